"""Whether a face outside its lips is still the same: colour and texture of the skin at the same
places of the face mesh, beside what the autoencoder's round trip alone does to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from engine import LipSyncEngine
from engine.face.align import STABLE_INDICES, fit_similarity, warp_crop
from training.lip_pose import LIPS_INNER, LIPS_OUTER
from training.portraits import mesh_triangles

Rgb = NDArray[np.uint8]
Points = NDArray[np.float32]
SIZE_PX = 160  # of the crop that is looked at
SKIN_SIGMA_PX, FINE_SIGMA_PX = 2.5, 1.2
LEAST_TEXTURE = 0.3  # lightness units: below that, texture is the camera's noise


@dataclass(frozen=True)
class Likeness:
    """skin: colour distance (CIELAB units); texture: |log ratio| of fine detail."""

    skin: float
    texture: float


@lru_cache(1)
def _places() -> NDArray[np.int32]:
    """Mesh triangles (F, 3) that touch no lip."""
    triangles = mesh_triangles()
    lips = np.isin(triangles, [*LIPS_OUTER, *LIPS_INNER])
    return triangles[~lips.any(1) & (triangles < 468).all(1)]


def _look(rgb: Rgb, points: Points) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Skin colour (F, 3) and fine detail (F,) at each place, NaN outside the crop."""
    transform = fit_similarity(points[list(STABLE_INDICES)])
    crop = warp_crop(rgb, transform, SIZE_PX).astype(np.float32) / 255
    lab = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB)
    fine = np.abs(lab[..., 0] - cv2.GaussianBlur(lab[..., 0], (0, 0), FINE_SIGMA_PX))
    skin = cv2.GaussianBlur(lab, (0, 0), SKIN_SIGMA_PX)
    detail = cv2.GaussianBlur(fine, (0, 0), SKIN_SIGMA_PX)
    at = (transform.apply(points[_places()].mean(1)) * SIZE_PX - 0.5).astype(np.float32)
    outside = ((at < 1) | (at > SIZE_PX - 2)).any(1)
    colours, details = (
        cv2.remap(field, at[:, None], None, cv2.INTER_LINEAR)[:, 0] for field in (skin, detail)
    )
    details = details.reshape(len(at)).astype(np.float32)
    colours[outside], details[outside] = np.nan, np.nan
    return colours, details


def likeness(source: Rgb, at_source: Points, other: Rgb, at_other: Points) -> Likeness:
    """How far the face in `other` is from the one in `source`, each with its own landmarks."""
    (skin_a, fine_a), (skin_b, fine_b) = _look(source, at_source), _look(other, at_other)
    ratio = np.log((fine_b + LEAST_TEXTURE) / (fine_a + LEAST_TEXTURE))
    return Likeness(
        float(np.nanmean(np.linalg.norm(skin_b - skin_a, axis=1))),
        float(np.nanmean(np.abs(ratio))),
    )


def round_trip(engine: LipSyncEngine, rgb: Rgb, points: Points) -> Rgb:
    """The picture with its aligned crop encoded and decoded, put back whole."""
    transform = fit_similarity(points[list(STABLE_INDICES)])
    size = engine.facts.crop_px
    decoded = engine.decode(engine.encode(warp_crop(rgb, transform, size)))
    back = cv2.invertAffineTransform(transform.matrix(size))
    extent = (rgb.shape[1], rgb.shape[0])
    pasted = cv2.warpAffine(decoded, back, extent, flags=cv2.INTER_CUBIC)
    inside = cv2.warpAffine(np.ones((size, size), np.uint8), back, extent)
    return np.where(inside[..., None] > 0, np.clip(pasted, 0, 255), rgb).astype(np.uint8)
