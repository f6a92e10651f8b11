"""Steadies followed points: a One-Euro filter (Casiez, Roussel and Vogel 2012) in face sizes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

FPS = 25.0
REST_HZ = 1.6  # cut-off of a still face: the net's jitter is well above it
PER_SPEED = 14.0  # rise of the cut-off, Hz for each face width a second
SPEED_HZ = 3.0  # cut-off of the speed itself


def _share(cutoff_hz: NDArray[np.floating] | float) -> NDArray[np.floating] | float:
    """Weight of the newest value in a first-order low-pass at 25 frames a second."""
    rate = 2 * np.pi * cutoff_hz / FPS
    return rate / (rate + 1)


class PointFilter:
    """Smooths points (N, 2) over time; what moves is followed at once, what rests is held still."""

    def __init__(self) -> None:
        self._points: NDArray[np.float64] | None = None
        self._speed = np.zeros(0)

    def reset(self) -> None:
        self._points = None

    def step(self, points: F32, size: float) -> F32:
        """The next frame's points; `size` is the face's width in the same pixels."""
        raw = points.astype(np.float64)
        if self._points is None or self._points.shape != raw.shape:
            self._points, self._speed = raw, np.zeros_like(raw)
            return points
        moved = (raw - self._points) * FPS / size
        self._speed = self._speed + _share(SPEED_HZ) * (moved - self._speed)
        # The whole face's motion counts for each point, its own motion on top of that.
        whole = np.linalg.norm(np.median(self._speed, axis=0))
        own = np.linalg.norm(self._speed, axis=1, keepdims=True)
        share = _share(REST_HZ + PER_SPEED * np.maximum(whole, own))
        self._points = self._points + share * (raw - self._points)
        return self._points.astype(np.float32)
