"""How much fine detail a mouth has: mean high-pass of its grey levels, in the box of the lips."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

LIPS = (61, 291, 0, 17, 37, 267, 84, 314, 39, 269, 181, 405)  # FaceLandmarker's, outer edge
SIGMA_PX = 1.5
COVER_PX = 7  # by so much the edge of a cover is kept out


def mouth_detail(
    frames: NDArray[np.uint8],
    points: NDArray[np.float32],
    covers: NDArray[np.uint8] | None = None,
) -> float:
    """frames (T, H, W, 3), points (T, 478, 2) in pixels, NaN where no face was found; covers
    (T, H, W) are above zero where something hides the face. NaN where no mouth is to be seen.
    """
    details = []
    for k, (frame, at) in enumerate(zip(frames, points, strict=True)):
        lips = at[list(LIPS)]
        if np.isnan(lips).any():
            continue
        (left, top), (right, bottom) = lips.min(0), lips.max(0)
        edge = 0.1 * (right - left)
        rows = slice(max(0, int(top - edge)), max(0, int(bottom + edge)))
        columns = slice(max(0, int(left - edge)), max(0, int(right + edge)))
        part = np.ascontiguousarray(frame[rows, columns])
        if not part.size:
            continue
        grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(np.float32)
        detail = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), SIGMA_PX))
        if covers is not None:
            hidden = cv2.dilate(covers[k][rows, columns], np.ones((COVER_PX, COVER_PX), np.uint8))
            detail = detail[hidden == 0]
        if detail.size:
            details.append(float(detail.mean()))
    return float(np.mean(details)) if details else float("nan")
