"""What stands before a face is taken away before FaceLandmarker looks, for it takes the top of a
microphone for a lower lip: `training.judge_report` says how far, and how well this mends it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.fill import filled

Rgb = NDArray[np.uint8]
TOUCHED = 8  # cover, 0..255, from which a pixel shows something of it


def uncovered(picture: Rgb, cover: NDArray[np.uint8]) -> Rgb:
    """Picture uint8 (H, W, 3) whose covered pixels, by `cover` (H, W) 0..255, show the colours
    around them. All others stay.
    """
    hole = cv2.dilate(cover, np.ones((3, 3), np.uint8)) > TOUCHED
    if not hole.any() or hole.all():
        return picture
    found = np.clip(np.round(filled(picture, (~hole).astype(np.float32))), 0, 255)
    return np.where(hole[..., None], found, picture).astype(np.uint8)
