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


def gains(crop: Rgb) -> tuple[float, float]:
    """What gain a crop uint8 (S, S, 3) wants, and the most that leaves what is bright in it its
    detail; 1..MOST each.
    """
    small = cv2.resize(crop, (SHRUNK, SHRUNK), interpolation=cv2.INTER_AREA).astype(np.float32)
    bright = float(np.quantile(small.max(2), BRIGHT_SHARE))
    most = max(1.0, min(BRIGHT / max(bright, 1.0), MOST))
    return max(1.0, min(DARK / max(float(small.mean()), 1.0), most)), most


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
        """The gain for this crop: the first's own, then slowly what the next ones want, but at
        once where light comes on.
        """
        if self._gain is None or self._frames % LOOK_EVERY == 0:
            self._wanted, most = gains(crop)
            self._gain = min(self._gain or self._wanted, most)
        self._frames += 1
        gain = self._gain = self._gain + FOLLOW * (self._wanted - self._gain)
        return gain if gain > 1.01 else 1.0

    def forget(self) -> None:
        self._gain, self._frames = None, 0
