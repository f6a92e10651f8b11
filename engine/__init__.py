"""Pixels and sound in, re-synced pixels out."""

from engine.engine import EngineFacts, LipSyncEngine
from engine.errors import EngineError, RuntimeUnavailableError, WeightsError
from engine.stream import LipSyncStream, SyncedFrame, WindowInput

__all__ = [
    "EngineError",
    "EngineFacts",
    "LipSyncEngine",
    "LipSyncStream",
    "RuntimeUnavailableError",
    "SyncedFrame",
    "WeightsError",
    "WindowInput",
]
