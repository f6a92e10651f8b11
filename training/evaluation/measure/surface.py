"""What the eye catches without knowing faces: seams, flicker, and pixels that should not have
changed. Fed frame by frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Mask = NDArray[np.float32]
Box = tuple[int, int, int, int]  # left, top, right, bottom

SEAM_EVERY = 4
EDGE = (1 / 255, 0.25)  # of the mask: the ring in which a seam would show


@dataclass(frozen=True)
class Surface:
    """Grey levels, except `seam`: gradient in the ring at the mask's edge, output over source.
    `outside`: largest change of a pixel where the mask is 0; flicker: how much more two frames
    differ than their sources do, in the mouth while nothing is heard, and in the mask beside the
    mouth always.
    """

    seam: float
    outside: float
    flicker_mouth: float
    flicker_skin: float


class SurfaceMeter:
    """`add` once a frame, then `figures`."""

    def __init__(self) -> None:
        self._count = 0
        self._gradients = np.zeros(2)
        self._outside = 0
        self._mouth: list[float] = []
        self._skin: list[float] = []
        self._last: tuple[Box, NDArray[np.float32]] | None = None

    def add(
        self, source: Rgb, output: Rgb, mask: Mask | None, lips: Box | None, quiet: bool
    ) -> None:
        """lips: box of the source's mouth, if known; quiet: nothing has been heard for a while."""
        if mask is None or not mask.any():
            self._outside = max(self._outside, _largest(source, output))
            self._last = None
            return
        unchanged = (mask == 0).view(np.uint8)
        self._outside = max(
            self._outside, _largest(cv2.copyTo(source, unchanged), cv2.copyTo(output, unchanged))
        )
        box = _around(mask)
        rows, columns = slice(box[1], box[3]), slice(box[0], box[2])
        part, before, after = mask[rows, columns], source[rows, columns], output[rows, columns]
        if self._count % SEAM_EVERY == 0:
            self._gradients += _ring_gradients(part, before, after)
        self._count += 1
        difference = after.astype(np.float32) - before
        if lips is not None and self._last is not None:
            self._flicker(box, difference, part, lips, quiet)
        self._last = (box, difference)

    def _flicker(
        self, box: Box, difference: NDArray[np.float32], mask: Mask, lips: Box, quiet: bool
    ) -> None:
        """Difference and mask are of `box` of the picture; only what the last box shares counts."""
        assert self._last is not None
        last_box, last = self._last
        shared = _overlap(box, last_box)
        if shared is None:
            return
        now, then = _part(difference, box, shared), _part(last, last_box, shared)
        change = np.abs(now - then).mean(-1)
        inner = _overlap(lips, shared)
        beside = _part(mask, box, shared) > 0
        if inner is not None:
            if quiet:
                self._mouth.append(float(_part(change, shared, inner).mean()))
            _part(beside, shared, inner)[:] = False
        if beside.any():
            self._skin.append(float(change[beside].mean()))

    def figures(self) -> Surface:
        source, output = self._gradients
        return Surface(
            seam=float(output / source) if source else float("nan"),
            outside=float(self._outside),
            flicker_mouth=_mean(self._mouth),
            flicker_skin=_mean(self._skin),
        )


def _overlap(a: Box, b: Box) -> Box | None:
    left, top = max(a[0], b[0]), max(a[1], b[1])
    right, bottom = min(a[2], b[2]), min(a[3], b[3])
    return (left, top, right, bottom) if right > left and bottom > top else None


def _part(field: NDArray, box: Box, part: Box) -> NDArray:
    """The pixels of `part`, where `field` holds those of `box`."""
    left, top = box[:2]
    return field[part[1] - top : part[3] - top, part[0] - left : part[2] - left]


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _largest(a: Rgb, b: Rgb) -> int:
    return int(cv2.absdiff(a, b).max())


def _around(mask: Mask) -> Box:
    x, y, width, height = cv2.boundingRect((mask > 0).view(np.uint8))
    return (
        max(0, x - 2),
        max(0, y - 2),
        min(mask.shape[1], x + width + 2),
        min(mask.shape[0], y + height + 2),
    )


def _ring_gradients(mask: Mask, source: Rgb, output: Rgb) -> NDArray[np.float64]:
    """Summed gradient of source and output in the ring, (2,)."""
    ring = (mask > EDGE[0]) & (mask < EDGE[1])
    return np.array([_gradient(picture)[ring].sum() for picture in (source, output)])


def _gradient(rgb: Rgb) -> NDArray[np.float32]:
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
