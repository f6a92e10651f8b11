"""The model's part of a tick, stage by stage, on random input: to time it, or to pay for what a
process or a shape pays for once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.audio import MEL_COLUMNS, N_MELS, SILENCE_LEVEL, WINDOW_COLUMNS
from engine.stream import DECODED, WindowInput

if TYPE_CHECKING:
    from engine.engine import LipSyncEngine

STAGES = ("encode", "audio", "denoise", "decode", "motion")


def silence(slots: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mel windows (L, 80, 64) and heard (L, 32)."""
    mel = np.full((slots, N_MELS, WINDOW_COLUMNS), SILENCE_LEVEL, np.float32)
    return mel, np.ones((slots, MEL_COLUMNS), np.float32)


def time_tick(engine: LipSyncEngine, slots: int | None = None) -> dict[str, float]:
    """ms of each of STAGES. slots: the window's own size by default."""
    rng = np.random.default_rng(0)
    slots, side, crop_px = slots or len(engine.levels), engine.latent_side, engine.facts.crop_px
    crop = rng.integers(0, 255, (crop_px, crop_px, 3), dtype=np.uint8)
    mel, heard = silence(slots)
    window = engine.open_window(0)
    window.resize(slots)
    top, left, right = (round(share * side) for share in DECODED)
    at = [time.perf_counter()]
    window.push(engine.encode(crop), None)
    at.append(time.perf_counter())
    tokens = engine.hear(mel, heard)
    at.append(time.perf_counter())
    given = WindowInput(window.x(), window.z(), window.levels, tokens, 1.0, (0.5, 0.5))
    x0 = engine.denoise([given])[0]
    at.append(time.perf_counter())
    [(latent, slot)] = window.accept(x0)
    here = (slice(None), slice(top, None), slice(left, right))
    engine.decode(latent[here])
    at.append(time.perf_counter())
    engine.move(latent[here], slot.z[here])
    at.append(time.perf_counter())
    return {stage: 1e3 * float(spent) for stage, spent in zip(STAGES, np.diff(at), strict=True)}
