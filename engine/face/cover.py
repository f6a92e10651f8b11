"""What stands before a face stays there: a frame in which the net misses it does not uncover it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Field = NDArray[np.float32]

GOES = 0.1  # share of what is no longer seen that goes each frame; what is seen comes at once
CUT = 30.0  # grey levels by which a crop's coarse picture changes where another shot begins
COARSE_PX = 16


class CoverTrace:
    """`covered` of one speaker's frames, in order. The crop follows the face, and so does it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """The next frame stands alone."""
        self._held: Field | None = None
        self._before: NDArray[np.int16] | None = None

    def follow(self, crop: Rgb, covered: Field) -> Field:
        """Crop uint8 (S, S, 3) and what the net says of it (h, w), 0..1 -> the same, held where
        frames before it were more certain.
        """
        small = cv2.resize(crop, (COARSE_PX, COARSE_PX), interpolation=cv2.INTER_AREA)
        coarse = small.astype(np.int16)
        if self._before is None or np.abs(coarse - self._before).mean() > CUT:
            self._held = None
        if self._held is not None:
            covered = np.maximum(covered, self._held + np.float32(GOES) * (covered - self._held))
        self._held, self._before = covered, coarse
        return covered
