"""More light for the networks on a face too dark for them: codes scaled, as a longer exposure
scales them (a camera's curve is nearly a power), and scaled back after decoding.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]

DARK = 60.0  # mean grey level of a crop below which it gets more
BRIGHT = 240.0  # which what is bright in it does not exceed
BRIGHT_SHARE = 0.99
MOST = 4.0
LOOK_EVERY = 5  # frames
FOLLOW = 0.1  # a frame, of the way to what the crop wants: a face does not pump
SHRUNK = 24  # px, of the picture that is looked at


def wanted_gain(crop: Rgb) -> float:
    """1..MOST for a crop uint8 (S, S, 3)."""
    small = cv2.resize(crop, (SHRUNK, SHRUNK), interpolation=cv2.INTER_AREA).astype(np.float32)
    bright = float(np.quantile(small.max(2), BRIGHT_SHARE))
    gain = min(DARK / max(float(small.mean()), 1.0), BRIGHT / max(bright, 1.0), MOST)
    return max(1.0, gain)


def exposed(crop: Rgb, gain: float) -> Rgb:
    """The crop with `gain` times its codes; itself at 1."""
    return crop if gain == 1.0 else np.asarray(cv2.convertScaleAbs(crop, alpha=gain), np.uint8)


class Exposure:
    """The gain of a stream's face."""

    def __init__(self) -> None:
        self._gain: float | None = None
        self._wanted = 1.0
        self._frames = 0

    def follow(self, crop: Rgb) -> float:
        """The gain for this crop: the first's own, then slowly what the next ones want."""
        if self._gain is None:
            self._gain = self._wanted = wanted_gain(crop)
            self._frames = 0
        elif self._frames % LOOK_EVERY == 0:
            self._wanted = wanted_gain(crop)
        self._frames += 1
        gain = self._gain = self._gain + FOLLOW * (self._wanted - self._gain)
        return gain if gain > 1.01 else 1.0

    def forget(self) -> None:
        self._gain = None
