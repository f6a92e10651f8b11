"""The opening of a drawn mouth that no face detector finds: how much of its box is not skin.

Counted is the area whose colour is farther than `FAR` (CIELAB) from the skin's, in squares of the
box's width. `tests/training` holds this against sprites of known shape.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]  # x, y, width, height
FAR = 25.0
RIM = 0.06  # of the box's width: where the skin's colour is taken


def drawn_opening(frames: NDArray[np.uint8], mouth: Box) -> NDArray[np.float64]:
    """Openings (T,) of frames (T, H, W, 3) of one face that keeps its place."""
    x, y, width, height = (round(v) for v in mouth)
    rows, columns = slice(max(0, y), y + height), slice(max(0, x), x + width)
    rim = max(1, round(RIM * width))
    skin: NDArray[np.float32] | None = None
    openings = []
    for frame in frames:
        part = np.ascontiguousarray(frame[rows, columns]).astype(np.float32) / 255
        lab = cv2.cvtColor(part, cv2.COLOR_RGB2LAB)
        if skin is None:
            edge = np.ones(lab.shape[:2], bool)
            edge[rim:-rim, rim:-rim] = False
            skin = np.median(lab[edge], axis=0)
        far = np.linalg.norm(lab - skin, axis=-1) > FAR
        openings.append(far.sum() / width**2)
    return np.array(openings)
