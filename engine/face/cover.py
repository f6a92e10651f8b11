"""What stands before a face stays there: a frame in which the net misses it does not uncover it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Field = NDArray[np.float32]

GOES = 0.05  # share of what is no longer seen that goes each frame; what is seen comes at once
OTHER = 24.0  # grey levels by which a place differs where something else is now: it goes at once


class CoverTrace:
    """`covered` of one speaker's frames, in order. The crop follows the face, and so does it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """The next frame stands alone."""
        self._held: Field | None = None
        self._looks: Field | None = None  # of each place when its cover was last seen

    def follow(self, crop: Rgb, covered: Field) -> Field:
        """Crop uint8 (S, S, 3) and what the net says of it (h, w), 0..1 -> the same, held where
        frames before it were more certain and the place still looks alike.
        """
        height, width = covered.shape
        coarse = cv2.resize(crop, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        looks = cv2.resize(coarse, (width, height)).astype(np.float32)
        if self._held is not None and self._looks is not None:
            alike = np.abs(looks - self._looks).max(2) < OTHER
            left = np.where(alike, (1 - np.float32(GOES)) * self._held, 0)
            looks = np.where((left > covered)[..., None], self._looks, looks)
            covered = np.maximum(covered, left)
        self._held, self._looks = covered, looks
        return covered
