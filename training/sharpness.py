"""How much fine detail a mouth has: mean high-pass of its grey levels, in the box of the lips."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

LIPS = (61, 291, 0, 17, 37, 267, 84, 314, 39, 269, 181, 405)  # FaceLandmarker's, outer edge
SIGMA_PX = 1.5


def mouth_detail(frames: NDArray[np.uint8], points: NDArray[np.float32]) -> float:
    """frames (T, H, W, 3), points (T, 478, 2) in pixels, NaN where no face was found."""
    details = []
    for frame, at in zip(frames, points, strict=True):
        lips = at[list(LIPS)]
        if np.isnan(lips).any():
            continue
        (left, top), (right, bottom) = lips.min(0), lips.max(0)
        edge = 0.1 * (right - left)
        rows = slice(max(0, int(top - edge)), int(bottom + edge))
        columns = slice(max(0, int(left - edge)), int(right + edge))
        grey = cv2.cvtColor(frame[rows, columns], cv2.COLOR_RGB2GRAY).astype(np.float32)
        details.append(float(np.abs(grey - cv2.GaussianBlur(grey, (0, 0), SIGMA_PX)).mean()))
    return float(np.mean(details))
