"""Teeth of a natural colour: a latent between teeth and dark, the mean of mouths that fit, is
decoded green or blue.

In any light teeth are redder, beside their green, than 1.04 / 1.3 of what skin is, and have no more
blue than red but where the light itself is blue; nothing else inside a mouth is greener or bluer.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Field = NDArray[np.float32]

CENTRE = (0.5, 0.55)  # crop units
MOUTH, FACE = (0.26, 0.20), (0.36, 0.30)  # half axes; between the two lies skin
SKIN_RED = 1.3  # red over green of skin in neutral light
TEETH_RED = 1.04  # the same of the greenest teeth
SKIN_BLUE = 0.7  # blue over red of pale skin in neutral light
GREEN_PER_RED = 0.299 / 0.587  # what green loses where red gains one at the same luma (BT.601)
SHRUNK = 8  # the skin is judged on a picture so many times smaller


@lru_cache(4)
def _weights(size: int) -> tuple[Field, Field]:
    """How much a pixel belongs to the mouth (size, size), and to the skin around it, small."""

    def within(side: int, half: tuple[float, float]) -> Field:
        y, x = (np.mgrid[0:side, 0:side].astype(np.float32) + 0.5) / side
        square = ((x - CENTRE[0]) / half[0]) ** 2 + ((y - CENTRE[1]) / half[1]) ** 2
        return np.exp(-(square**2)).astype(np.float32)

    small = size // SHRUNK
    return within(size, MOUTH), within(small, FACE) * (1 - within(small, MOUTH))


def natural(edit: Field, source: Rgb) -> Field:
    """`edit` (S, S, 3) in grey levels, its mouth no greener and no bluer than teeth are in the
    light that falls on the skin of `source` (S, S, 3).
    """
    mouth, skin = _weights(len(edit))
    shrunk = cv2.resize(source, skin.shape, interpolation=cv2.INTER_AREA)
    red, green, blue = (shrunk.reshape(-1, 3) * skin.reshape(-1, 1)).sum(0)
    least = TEETH_RED * min(1.0, float(red / max(green, 1.0)) / SKIN_RED)
    r, g, b = cv2.split(edit)
    gain = cv2.max(least * g - r, 0) * mouth / np.float32(1 + GREEN_PER_RED * least)
    r += gain
    g -= np.float32(GREEN_PER_RED) * gain
    most = max(1.0, float(blue / max(red, 1.0)) / SKIN_BLUE)
    b -= cv2.max(b - most * r, 0) * mouth
    return cv2.merge([r, g, b])
