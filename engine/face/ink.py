"""Whether a face is drawn: even colours between lines. A photograph is nowhere even, in any light
and after any codec: what there is of it grows and shrinks with its edges.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]

SIDE_PX, EDGE_PX = 96, 4
# Percentiles of local ranges, grey levels in 3 x 3 px. The even one over the strong one is .00 to
# .06 in flat drawings (in videos of 120 kbit/s, too), to .11 on paper and under a camera's noise,
# and .08 to .6 in photographs.
EVEN, STRONG = 60, 97
DRAWN, PHOTOGRAPH = 0.06, 0.2
LINES = 40.0  # grey levels that the strong one has in drawings at least
CUT = (8, 248)  # codes beside which a sensor is at its end: even, and no drawing
LOOK_EVERY = 5  # frames
FOLLOW = 0.4  # a look's voice
_NEAR = np.ones((3, 3), np.uint8)


def lean(crop: Rgb) -> int:
    """Of an aligned crop, uint8 (S, S, 3): 1 a drawing, -1 a photograph, 0 not to be told."""
    small = cv2.resize(crop, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    ranges = cv2.subtract(cv2.dilate(grey, _NEAR), cv2.erode(grey, _NEAR))
    r, g, b = cv2.split(small)
    low, high = cv2.min(cv2.min(r, g), b), cv2.max(cv2.max(r, g), b)
    told = (low < CUT[1]) & (high > CUT[0])
    inside = (slice(EDGE_PX, -EDGE_PX),) * 2
    known = ranges[inside][told[inside]]
    if known.size < SIDE_PX:
        return 0
    even, strong = np.percentile(known, (EVEN, STRONG))
    if strong >= LINES and even < DRAWN * strong:
        return 1
    return -1 if even > PHOTOGRAPH * strong and known.size > ranges[inside].size / 2 else 0


class Ink:
    """What a stream's last crops leaned to, -1..1."""

    def __init__(self) -> None:
        self._lean: float | None = None
        self._frames = 0

    def follow(self, crop: Rgb) -> float:
        if self._lean is None:
            self._lean = float(lean(crop))
        elif self._frames % LOOK_EVERY == 0:
            self._lean += FOLLOW * (lean(crop) - self._lean)
        self._frames += 1
        return self._lean

    def forget(self) -> None:
        self._lean, self._frames = None, 0
