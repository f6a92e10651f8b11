"""Pastes the re-synced crop back at the frame's own resolution: soft edge, matched colour, the
source kept where nothing changed, and its own detail where little did.

What the autoencoder cannot show (pores, stubble, grain) is not the edit's doing: the difference
between the edited and the unedited latent, both decoded, is what moves onto the frame. Only where
that is large (lips, teeth) the decoded pixels themselves are shown.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.align import Similarity

Rgb = NDArray[np.uint8]
Mask = NDArray[np.float32]

CENTRE = (0.5, 0.60)  # of the editable region, crop units: lips, chin and the cheeks beside them
RADII = (0.40, 0.38)
SOFTNESS = 0.22  # share of the radius over which the edit fades out
# Grey levels of change: below the first the source stays, above the second the edit shows whole.
SHOWN = (1.5, 6.0)
REPLACED = (6.0, 20.0)  # the same for giving up the source's own detail


@lru_cache(4)
def region(crop_px: int) -> Mask:
    """The editable region, float32 (crop_px, crop_px) 0..1, zero at the crop's border."""
    y, x = (np.mgrid[0:crop_px, 0:crop_px].astype(np.float32) + 0.5) / crop_px
    r = (np.abs((x - CENTRE[0]) / RADII[0]) ** 3 + np.abs((y - CENTRE[1]) / RADII[1]) ** 3) ** (
        1 / 3
    )
    t = np.clip((1.0 - r) / SOFTNESS, 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


@lru_cache(4)
def _skin_weight(crop_px: int) -> Mask:
    """Where source and edit should agree in colour: around the mouth, not in it."""
    y, x = (np.mgrid[0:crop_px, 0:crop_px].astype(np.float32) + 0.5) / crop_px
    mouth = np.exp(-((((x - 0.5) / 0.26) ** 2 + ((y - 0.55) / 0.20) ** 2) ** 2))
    return (1.0 - mouth + 0.02).astype(np.float32)


def match_colour(edit: NDArray[np.float32], source: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move the slow colour differences of `edit` (S, S, 3) to those of `source`, judged outside the
    mouth.
    """
    size = edit.shape[0]
    small = size // 8
    weight = cv2.resize(_skin_weight(size), (small, small), interpolation=cv2.INTER_AREA)
    difference = cv2.resize(source - edit, (small, small), interpolation=cv2.INTER_AREA)
    spread = cv2.GaussianBlur(difference * weight[..., None], (0, 0), small / 8)
    norm = cv2.GaussianBlur(weight, (0, 0), small / 8)
    slow = spread / norm[..., None]
    return edit + cv2.resize(slow, (size, size), interpolation=cv2.INTER_LINEAR)


def _rise(change: Mask, bounds: tuple[float, float]) -> Mask:
    low, high = bounds
    share = np.clip((change - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def change_of(edit: NDArray[np.float32], kept: NDArray[np.float32]) -> Mask:
    """How much the edit changes round each crop pixel, (S, S), grey levels."""
    red, green, blue = cv2.split(cv2.absdiff(edit, kept))
    change = cv2.max(cv2.max(red, green), blue)
    return cv2.GaussianBlur(change, (0, 0), edit.shape[0] / 40)


def paste(
    frame: Rgb,
    crop: Rgb,
    edit: NDArray[np.float32],
    kept: NDArray[np.float32],
    transform: Similarity,
    alpha: float,
) -> tuple[Rgb, Mask]:
    """Blend an edited crop into its frame.

    Args:
        frame: source frame, uint8 (H, W, 3); not changed.
        crop: its aligned crop, uint8 (S, S, 3).
        edit: the edited latent decoded, float32 (S, S, 3), 0..255.
        kept: the source's own latent decoded, same shape.
        transform: frame pixels to crop units.
        alpha: 0..1, fades an edit in or out as a face comes and goes.
    Returns:
        the new frame, and the mask float32 (H, W): 0 exactly where the frame is the source, bit for
        bit.
    """
    size = crop.shape[0]
    source = crop.astype(np.float32)
    edit, kept = match_colour(edit, source), match_colour(kept, source)
    change = change_of(edit, kept)
    shown = region(size) * _rise(change, SHOWN) * np.float32(alpha)
    replaced = shown * _rise(change, REPLACED)
    added = cv2.merge([replaced] * 3) * edit
    added += cv2.merge([shown - replaced] * 3) * (edit - kept)
    inverse = cv2.invertAffineTransform(transform.matrix(size))
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], np.float64) - 0.5
    outline = corners @ inverse[:, :2].T + inverse[:, 2]
    height, width = frame.shape[:2]
    x0, y0 = np.maximum(np.floor(outline.min(0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(outline.max(0)).astype(int) + 1, [width, height])
    out, mask = frame.copy(), np.zeros((height, width), np.float32)
    if x1 <= x0 or y1 <= y0:
        return out, mask
    inverse = inverse.copy()
    inverse[:, 2] -= (x0, y0)
    part = (int(x1 - x0), int(y1 - y0))
    enlarging = transform.side_px > size
    flags = cv2.INTER_CUBIC if enlarging else cv2.INTER_LINEAR
    m = cv2.warpAffine(shown, inverse, part, flags=cv2.INTER_LINEAR)
    _, m = cv2.threshold(m, 1 / 512, 0, cv2.THRESH_TOZERO)
    left = 1 - cv2.warpAffine(replaced, inverse, part, flags=cv2.INTER_LINEAR)
    pixels = cv2.warpAffine(added, inverse, part, flags=flags)
    below = out[y0:y1, x0:x1]
    # Rounds and saturates; where the mask is 0 the source stays bit for bit.
    blended = cv2.add(cv2.merge([left] * 3) * below, pixels, dtype=cv2.CV_8U)
    out[y0:y1, x0:x1] = cv2.copyTo(blended, (m > 0).view(np.uint8), below.copy())
    mask[y0:y1, x0:x1] = m
    return out, mask
