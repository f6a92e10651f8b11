"""Pixels and sound in, re-synced pixels out."""

from engine.engine import EngineFacts, LipSyncEngine
from engine.errors import EngineError, PersonError, RuntimeUnavailableError, WeightsError
from engine.personal import Person
from engine.stream import LipSyncStream, SyncedFrame, WindowInput

__all__ = [
    "EngineError",
    "EngineFacts",
    "LipSyncEngine",
    "LipSyncStream",
    "Person",
    "PersonError",
    "RuntimeUnavailableError",
    "SyncedFrame",
    "WeightsError",
    "WindowInput",
]
