"""A sheet to draw on: outlines in drawing units, filled and stroked with soft edges."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Field = NDArray[np.float32]
Outline = NDArray[np.float64]  # (N, 2) drawing units, x right, y down
Colour = tuple[float, float, float]  # RGB, 0..255

_SHIFT = 4  # fraction bits of OpenCV's fixed-point coordinates


@dataclass(frozen=True)
class Sheet:
    """Pixels uint8 (S, S, 3), drawn on in place. A drawing unit is `scale` pixels wide; the
    drawing's origin lies at `origin`, pixels.
    """

    pixels: Rgb
    scale: float
    origin: tuple[float, float]

    def _fixed(self, outline: Outline) -> NDArray[np.int32]:
        at = outline * self.scale + np.array(self.origin)
        return np.round(at * (1 << _SHIFT)).astype(np.int32)

    def fill(self, outline: Outline, colour: Colour) -> None:
        cv2.fillPoly(self.pixels, [self._fixed(outline)], colour, cv2.LINE_AA, _SHIFT)

    def stroke(self, line: Outline, colour: Colour, width: float, closed: bool = False) -> None:
        """A line `width` drawing units wide; none where that is no width."""
        if width > 0:
            thick = max(1, round(width * self.scale))
            cv2.polylines(
                self.pixels, [self._fixed(line)], closed, colour, thick, cv2.LINE_AA, _SHIFT
            )

    def shape(self, outline: Outline, colour: Colour, line: Colour, width: float) -> None:
        """Filled, then outlined."""
        self.fill(outline, colour)
        self.stroke(outline, line, width, closed=True)

    def cover(self, outline: Outline) -> Field:
        """How much of each pixel the outline holds, float32 (S, S) 0..1."""
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        cv2.fillPoly(mask, [self._fixed(outline)], 255, cv2.LINE_AA, _SHIFT)
        return (mask / np.float32(255)).astype(np.float32)

    def part(self, outline: Outline) -> tuple[Sheet, slice, slice]:
        """A blank sheet as large as the outline needs, and where on this one it lies."""
        at = outline * self.scale + np.array(self.origin)
        size = self.pixels.shape[0]
        left, top = np.clip(np.floor(at.min(0)).astype(int) - 2, 0, size - 1)
        right, bottom = np.clip(np.ceil(at.max(0)).astype(int) + 3, 1, size)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        blank = np.zeros((bottom - top, right - left, 3), np.uint8)
        origin = (self.origin[0] - left, self.origin[1] - top)
        return Sheet(blank, self.scale, origin), slice(top, bottom), slice(left, right)


def oval(
    x: float, y: float, half_width: float, half_height: float, power: float = 2.0, turn: float = 0.0
) -> Outline:
    """Closed superellipse; power 2 is an ellipse, above it nears a rectangle; turn in radians."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    c, s = np.cos(angle), np.sin(angle)
    u = half_width * np.sign(c) * np.abs(c) ** (2 / power)
    v = half_height * np.sign(s) * np.abs(s) ** (2 / power)
    rows = [x + u * np.cos(turn) - v * np.sin(turn), y + u * np.sin(turn) + v * np.cos(turn)]
    return np.stack(rows, 1)


def arc(x: float, y: float, half_width: float, depth: float) -> Outline:
    """An open bow through (x, y), its middle `depth` below its ends."""
    s = np.linspace(-1, 1, 25)
    return np.stack([x + half_width * s, y - depth * s**2], 1)


def shaded(colour: Colour, by: float) -> Colour:
    """Darker below 1, lighter above."""
    r, g, b = (float(np.clip(c * by, 0, 255)) for c in colour)
    return r, g, b


def between(one: Colour, other: Colour, share: float) -> Colour:
    r, g, b = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return r, g, b
