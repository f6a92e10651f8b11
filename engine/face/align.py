"""The aligned crop: a similarity transform from frame pixels to crop units, fitted to points that
speech does not move.

Crop units: 0..1 across the square crop; the eyes' line lies just above its upper edge, the chin
above its lower edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]

# Mean positions over 278 frontal portraits, in eye-centre distances from the eyes' midpoint (x
# right, y down).
# Keys are FaceLandmarker's point numbers: eye corners, nose bridge, base of the nose.
STABLE_POINTS: dict[int, tuple[float, float]] = {
    33: (-0.725, -0.020),
    133: (-0.275, 0.020),
    362: (0.275, 0.020),
    263: (0.725, -0.020),
    168: (0.0, -0.038),
    6: (0.0, 0.099),
    197: (0.0, 0.218),
    195: (0.0, 0.325),
    2: (0.0, 0.768),
}
STABLE_INDICES = tuple(STABLE_POINTS)
_WEIGHTS = np.array([1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.7], np.float64)
SPAN = 2.2  # crop side in eye-centre distances: jaw to jaw, eyes to below an open chin
TOP = 0.05  # crop's upper edge below the eyes' line, same unit
MOUTH_CENTRE = (0.5, (1.13 - TOP) / SPAN)  # where an average closed mouth lies, in crop units

TEMPLATE = (
    np.array(list(STABLE_POINTS.values()), np.float64) - np.array([0.0, TOP])
) / SPAN + np.array([0.5, 0.0])


@dataclass(frozen=True, slots=True)
class Similarity:
    """crop = scale * R(angle) @ frame + shift, frame in pixels, crop in crop units."""

    a: float  # scale * cos(angle)
    b: float  # scale * sin(angle)
    tx: float
    ty: float

    @property
    def scale(self) -> float:
        """Crop units a frame pixel."""
        return float(np.hypot(self.a, self.b))

    @property
    def side_px(self) -> float:
        """Side of the crop in frame pixels."""
        return 1.0 / self.scale

    def matrix(self, crop_px: int) -> NDArray[np.float64]:
        """(2, 3) affine matrix from frame pixels to crop pixels, pixel centres at integers."""
        m = np.array([[self.a, -self.b, self.tx], [self.b, self.a, self.ty]], np.float64) * crop_px
        m[:, 2] += 0.5 * (m[:, 0] + m[:, 1]) - 0.5
        return m

    def apply(self, points: Points) -> Points:
        """Frame pixels (N, 2) to crop units (N, 2)."""
        r = np.array([[self.a, self.b], [-self.b, self.a]])
        return (points @ r + np.array([self.tx, self.ty])).astype(np.float32)

    def as_array(self) -> NDArray[np.float64]:
        return np.array([self.a, self.b, self.tx, self.ty])


def fit_similarity(points: Points) -> Similarity:
    """Weighted least-squares similarity (Umeyama 1991, no reflection) of the stable points to the
    template.

    Args:
        points: (9, 2) frame pixels in the order of `STABLE_INDICES`.
    """
    w = _WEIGHTS / _WEIGHTS.sum()
    source = points.astype(np.float64)
    mean_s, mean_t = w @ source, w @ TEMPLATE
    s, t = source - mean_s, TEMPLATE - mean_t
    norm = float(w @ (s**2).sum(1))
    a = float(w @ (s * t).sum(1)) / norm
    b = float(w @ (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0])) / norm
    tx = mean_t[0] - (a * mean_s[0] - b * mean_s[1])
    ty = mean_t[1] - (b * mean_s[0] + a * mean_s[1])
    return Similarity(a, b, float(tx), float(ty))


def similarity_from_box(box: tuple[float, float, float, float]) -> Similarity:
    """Crop placed by a hand-drawn face box (x, y, w, h) in pixels: forehead to chin, ear to ear.

    The box's height spans 1.1 eye distances above the eyes to 1.85 below; the crop keeps the box's
    centre line, and has the mouth in its place however wide the box is.
    """
    x, y, w, h = box
    unit = h / 2.95
    side = max(SPAN * unit, w * 0.9)
    left = x + w / 2 - side / 2
    mouth = y + (1.1 + TOP + SPAN * MOUTH_CENTRE[1]) * unit
    top = mouth - MOUTH_CENTRE[1] * side
    return Similarity(1.0 / side, 0.0, -left / side, -top / side)


def warp_crop(rgb: NDArray[np.uint8], transform: Similarity, crop_px: int) -> NDArray[np.uint8]:
    """The aligned crop, uint8 (crop_px, crop_px, 3). Shrinking averages, enlarging is bilinear."""
    matrix = transform.matrix(crop_px)
    side = transform.side_px
    if side > 1.5 * crop_px:
        # warpAffine takes one bilinear sample a pixel: shrink the neighbourhood first, or
        # it aliases.
        factor = crop_px / side
        inverse = cv2.invertAffineTransform(matrix)
        corners = np.array([[0, 0], [crop_px, 0], [0, crop_px], [crop_px, crop_px]], np.float64)
        box = corners @ inverse[:, :2].T + inverse[:, 2]
        x0, y0 = np.floor(box.min(0) - 2).astype(int).clip(0)
        x1, y1 = np.ceil(box.max(0) + 2).astype(int).clip(0)
        part = rgb[y0:y1, x0:x1]
        if part.size == 0:
            return np.zeros((crop_px, crop_px, 3), np.uint8)
        height, width = part.shape[:2]
        small_w, small_h = max(1, round(width * factor)), max(1, round(height * factor))
        part = cv2.resize(part, (small_w, small_h), interpolation=cv2.INTER_AREA)
        sx, sy = width / small_w, height / small_h
        matrix = matrix.copy()
        matrix[:, 2] += matrix[:, 0] * (x0 + 0.5 * sx - 0.5) + matrix[:, 1] * (y0 + 0.5 * sy - 0.5)
        matrix[:, 0] *= sx
        matrix[:, 1] *= sy
        rgb = part
    return cv2.warpAffine(
        rgb,
        matrix,
        (crop_px, crop_px),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
