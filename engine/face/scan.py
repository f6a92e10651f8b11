"""Looks for a face with the landmark net itself: patches over the whole picture, a few a frame.

Slower than the cascades, but it finds what they miss: hats, hard light, tilted and turned heads.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.face.patch import Patch

SIDES = (0.6, 0.42, 0.9, 0.3)  # of the picture's shorter side, likeliest first
STRIDE = 0.38  # of the patch; the net knows faces that lie a fifth of a patch off its middle


def patches_over(width: int, height: int) -> list[Patch]:
    """All patches of a picture, those in its middle first."""
    out: list[Patch] = []
    for share in SIDES:
        side = share * min(width, height)
        grid = [
            Patch(float(x), float(y), side, 0.0)
            for y in _places(height, side)
            for x in _places(width, side)
        ]
        out += sorted(grid, key=lambda p: np.hypot(p.x - width / 2, p.y - 0.45 * height))
    return out


def _places(length: int, side: float) -> list[float]:
    """Centres along one axis, from edge to edge; a face may stand out of the picture a little."""
    first, last = 0.4 * side, length - 0.4 * side
    count = max(1, int(np.ceil((last - first) / (STRIDE * side))) + 1)
    return [length / 2] if count == 1 else [float(v) for v in np.linspace(first, last, count)]


class Scan:
    """Goes round and round over a picture's patches."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._patches: list[Patch] = []
        self._next = 0

    def reset(self) -> None:
        self._next = 0

    def step(self, width: int, height: int, count: int) -> Iterator[Patch]:
        """The next `count` patches."""
        if self._size != (width, height):
            self._size, self._patches, self._next = (width, height), patches_over(width, height), 0
        for _ in range(min(count, len(self._patches))):
            yield self._patches[self._next % len(self._patches)]
            self._next += 1
