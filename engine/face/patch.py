"""The square that the landmark net looks at: upright, around a face, placed by its own points."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.points import EYES

F32 = NDArray[np.float32]

PATCH_PX = 96
# Side in root-mean-square distances of the 39 points from their centre: brows, ears and chin lie
# inside with a quarter to spare, and turning the head to the side hardly changes it.
SIDE_PER_SPREAD = 3.3
_LEFT_EYE, _RIGHT_EYE = (0, 1, 4, 5), (2, 3, 6, 7)


@dataclass(frozen=True, slots=True)
class Patch:
    """A turned square in a picture: centre and side in pixels, angle in radians, clockwise.

    Pixel centres are at integers.
    """

    x: float
    y: float
    side: float
    angle: float

    @staticmethod
    def around(points: F32) -> Patch:
        """The patch of a face with these points (39, 2)."""
        centre = points.mean(0)
        spread = float(np.sqrt(((points - centre) ** 2).sum(1).mean()))
        eyes = points[EYES]
        line = eyes[list(_RIGHT_EYE)].mean(0) - eyes[list(_LEFT_EYE)].mean(0)
        angle = float(np.arctan2(line[1], line[0]))
        return Patch(float(centre[0]), float(centre[1]), SIDE_PER_SPREAD * spread, angle)

    def distance(self, other: Patch) -> float:
        """How far the two lie apart, in sides: the largest of shift, growth and turn."""
        turned = abs((self.angle - other.angle + np.pi) % (2 * np.pi) - np.pi)
        shifted = np.hypot(self.x - other.x, self.y - other.y) / other.side
        return float(max(shifted, abs(self.side / other.side - 1), turned))

    def to_picture(self, points: F32) -> F32:
        """Patch units 0..1 (N, 2) to pixels of the picture."""
        return ((points - 0.5) * self.side @ self._turn().T + (self.x, self.y)).astype(np.float32)

    def to_patch(self, points: F32) -> F32:
        """Pixels of the picture (N, 2) to patch units."""
        return ((points - (self.x, self.y)) @ self._turn() / self.side + 0.5).astype(np.float32)

    def cut(self, rgb: NDArray[np.uint8], border: int = cv2.BORDER_REPLICATE) -> NDArray[np.uint8]:
        """The patch's pixels, uint8 (96, 96, 3)."""
        step = self.side / PATCH_PX
        turn = self._turn() * step
        shift = np.array([self.x, self.y]) - turn @ np.full(2, PATCH_PX / 2 - 0.5)
        matrix = np.column_stack([turn, shift])
        source = rgb
        if step > 2.0:
            # A bilinear warp that shrinks this much skips pixels: shrink the surroundings first.
            source, matrix = _shrink(rgb, matrix, step)
        patch = cv2.warpAffine(
            source,
            matrix,
            (PATCH_PX, PATCH_PX),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=border,
        )
        return np.asarray(patch, np.uint8)

    def _turn(self) -> NDArray[np.float64]:
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.array([[c, -s], [s, c]])


def _shrink(
    rgb: NDArray[np.uint8], matrix: NDArray[np.float64], step: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of a picture that `matrix` (patch pixels to picture pixels) reads, at 1/step."""
    corners = np.array([[0, 0], [PATCH_PX, 0], [0, PATCH_PX], [PATCH_PX, PATCH_PX]], np.float64)
    reached = corners @ matrix[:, :2].T + matrix[:, 2]
    height, width = rgb.shape[:2]
    x0, y0 = np.floor(reached.min(0) - step).astype(int).clip(0, (width - 2, height - 2))
    x1, y1 = np.ceil(reached.max(0) + step).astype(int).clip((x0 + 2, y0 + 2), (width, height))
    part = rgb[y0:y1, x0:x1]
    w, h = max(1, round((x1 - x0) / step)), max(1, round((y1 - y0) / step))
    small = np.asarray(cv2.resize(part, (w, h), interpolation=cv2.INTER_AREA), np.uint8)
    factor = np.array([w / (x1 - x0), h / (y1 - y0)])
    moved = matrix.copy()
    moved[:, 2] = (moved[:, 2] - (x0, y0) + 0.5) * factor - 0.5
    moved[:, :2] *= factor[:, None]
    return small, moved
