"""Fills what is hidden in a picture with the colours around it, ever coarser away from its edge
(push-pull: Gortler, Grzeszczuk, Szeliski and Cohen, "The Lumigraph", SIGGRAPH 1996).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
SURE = 0.25  # weight from which a pixel of a coarser picture is taken as it is


def filled(picture: NDArray[np.uint8], known: Field) -> Field:
    """Picture uint8 (H, W, 3), of which `known` (H, W) 0..1 is to be trusted -> float32, grey
    levels. Where all is known the picture stays; where nothing is, its mean colour.
    """
    weighted: Field = picture.astype(np.float32) * known[..., None]
    return _fill(weighted, known)


def _fill(colour: Field, weight: Field) -> Field:
    """Colours (H, W, 3), already weighted by `weight` (H, W)."""
    here = cv2.divide(colour, cv2.merge([np.maximum(weight, np.float32(1e-3))] * 3))
    height, width = weight.shape
    if weight.min() >= SURE or min(height, width) <= 2:
        return here
    coarse = _fill(cv2.pyrDown(colour), cv2.pyrDown(weight))
    there = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    share: Field = np.minimum(weight / np.float32(SURE), np.float32(1))[..., None]
    return share * here + (1 - share) * there
