"""Pastes the re-synced mouth back at the frame's own resolution.

The frame's own pixels move as the motion net says: lips, beard and skin stay as sharp as the camera
made them. Decoded pixels show only where the source has none, as in a mouth that was closed. The
decoded edit also has the last word on everything coarse: where what is shown differs from it by
more than detail, the difference is added, so that a motion that falls short opens no mouth too far.
What stands before the face, a hand or a microphone, stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.align import Similarity
from engine.face.teeth import natural

Rgb = NDArray[np.uint8]
Field = NDArray[np.float32]
Picture = TypeVar("Picture", NDArray[np.uint8], NDArray[np.float32])

CENTRE = (0.5, 0.60)  # of the editable region, crop units: lips, chin and the cheeks beside them
RADII = (0.40, 0.38)
SOFTNESS = 0.22  # share of the radius over which the edit fades out
STILL = (0.0008, 0.0024)  # motion below the first, crop units, is none; above the second whole
SHOWN = (0.02, 0.10)  # the same for the share of decoded pixels
COARSE = 1 / 128  # sigma that parts coarse from detail, crop units
CORRECTED = (2.0, 6.0)  # grey levels by which the coarse part is off: below the first it stays
WRONG = (10.0, 25.0)  # the same: above the second the moved source is wrong, and not shown at all


@dataclass(frozen=True, slots=True)
class Moves:
    """What the motion net says of each pixel of the edit.

    motion: (s, s, 2), crop units, x and y: where the source shows what the pixel is to show.
    kept: (s, s), 0..1: how much of what is found there is shown, the rest being decoded.
    covered: (s, s), 0..1: whether something stands before the face, which is to stay.
    """

    motion: Field
    kept: Field
    covered: Field


@dataclass(frozen=True, slots=True)
class Cover:
    """What stands before a face, on its crop.

    share: (S, S), 0..1: how much of a pixel is its own. rim: the same and what lies at its edge,
    whose colours are mixed. bare: uint8 (S, S, 3), the crop without it, other colours in its place.
    """

    share: Field
    rim: Field
    bare: Rgb


@lru_cache(4)
def region(size: int) -> Field:
    """The editable region, float32 (size, size) 0..1, zero at the crop's border."""
    y, x = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / size
    r = (np.abs((x - CENTRE[0]) / RADII[0]) ** 3 + np.abs((y - CENTRE[1]) / RADII[1]) ** 3) ** (
        1 / 3
    )
    return smooth_step(1.0 - r, (0.0, SOFTNESS))


def smooth_step(value: Field, bounds: tuple[float, float]) -> Field:
    """0 below the first bound, 1 above the second, smooth between."""
    low, high = bounds
    share = np.clip((value - low) / (high - low), 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)


@lru_cache(4)
def _skin_weight(crop_px: int) -> tuple[Field, Field]:
    """Where source and edit should agree in colour, an eighth of the crop's size: around the mouth,
    not in it; and the same blurred.
    """
    y, x = (np.mgrid[0:crop_px, 0:crop_px].astype(np.float32) + 0.5) / crop_px
    mouth = np.exp(-((((x - 0.5) / 0.26) ** 2 + ((y - 0.55) / 0.20) ** 2) ** 2))
    small = crop_px // 8
    weight = cv2.resize(1.02 - mouth, (small, small), interpolation=cv2.INTER_AREA).astype(
        np.float32
    )
    return weight, cv2.GaussianBlur(weight, (0, 0), small / 8)


def match_colour(edit: Field, source: Rgb) -> Field:
    """Move the slow colour differences of `edit` (S, S, 3) to those of `source`, judged outside the
    mouth.
    """
    size = edit.shape[0]
    weight, norm = _skin_weight(size)
    small = len(weight)
    shrunk = (cv2.resize(p, (small, small), interpolation=cv2.INTER_AREA) for p in (source, edit))
    there, here = (p.astype(np.float32) for p in shrunk)
    spread = cv2.GaussianBlur((there - here) * weight[..., None], (0, 0), small / 8)
    slow = spread / norm[..., None]
    return edit + cv2.resize(slow, (size, size), interpolation=cv2.INTER_LINEAR)


def _fields(motion: Field, kept: Field, alpha: float) -> Field:
    """(s, s, 3): motion in crop units, x and y, and the share of decoded pixels; both faded out
    towards the region's edge.
    """
    shown = region(kept.shape[0]) * np.float32(alpha)
    length = cv2.magnitude(motion[..., 0], motion[..., 1])
    u, v = cv2.split(motion * (shown * smooth_step(length, STILL))[..., None])
    generated = 1 - kept
    generated = generated * shown * smooth_step(generated, SHOWN)
    return cv2.merge([u, v, generated])


def _in_frame(fields: Field, transform: Similarity) -> Field:
    """The motion alone, (s, s, 2), in frame pixels."""
    u, v, _ = cv2.split(fields)
    a, b = (np.float32(v / transform.scale**2) for v in (transform.a, transform.b))
    return cv2.merge([a * u + b * v, a * v - b * u])


def _drawn(
    crop: Rgb, edit: Field, decoded: Field, fields: Field, alpha: float, gain: float
) -> tuple[Field, Field, Field]:
    """What is added to the moved source, on the crop: pixels of `decoded` by their share and the
    coarse correction towards `edit` (S, S, 3); that share (S, S); and how much is corrected (S, S),
    grey levels, in the light of `gain`.
    """
    size = crop.shape[0]
    u, v, generated = cv2.split(cv2.resize(fields, (size, size), interpolation=cv2.INTER_LINEAR))
    at = np.arange(size, dtype=np.float32)
    x, y = size * u + at, size * v + at[:, None]
    moved = cv2.remap(crop, x, y, cv2.INTER_LINEAR)
    off = cv2.GaussianBlur(edit - moved, (0, 0), COARSE * size)
    red, green, blue = cv2.split(np.abs(off))
    amount = cv2.max(cv2.max(red, green), blue) * np.float32(gain)
    shown = region(size) * np.float32(alpha)
    share = cv2.max(generated, shown * smooth_step(amount, WRONG))
    weight = (shown - share).clip(0) * smooth_step(amount, CORRECTED)
    drawn = cv2.merge([share] * 3) * decoded + cv2.merge([weight] * 3) * off
    return drawn, share, amount * weight


def _blend(picture: Picture, below: Picture, share: Field) -> Picture:
    """`picture` by its share (H, W), the rest from `below`."""
    blended: Picture = cv2.blendLinear(picture, below, share, 1 - share)
    return blended


def _box(transform: Similarity, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the editable region in a frame, clipped to it."""
    inverse = cv2.invertAffineTransform(transform.matrix(1))
    (cx, cy), (rx, ry) = CENTRE, RADII
    corners = np.array([[cx + sx * rx, cy + sy * ry] for sx in (-1, 1) for sy in (-1, 1)]) - 0.5
    outline = corners @ inverse[:, :2].T + inverse[:, 2]
    left, top = np.maximum(np.floor(outline.min(0)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(outline.max(0)).astype(int) + 2, [width, height])
    return int(left), int(top), int(right), int(bottom)


def paste(
    frame: Rgb,
    crop: Rgb,
    edit: Field,
    moves: Moves,
    transform: Similarity,
    alpha: float,
    cover: Cover | None = None,
    photographed: bool = True,
    gain: float = 1.0,
) -> tuple[Rgb, Field]:
    """Make a frame's mouth the edited one.

    Args:
        frame: source frame, uint8 (H, W, 3); not changed.
        crop: its aligned crop, uint8 (S, S, 3).
        edit: the edited latent decoded, float32 (S, S, 3), 0..255.
        moves: how the source's pixels make the edit, and where they cannot.
        transform: frame pixels to crop units.
        alpha: 0..1, fades an edit in or out as a face comes and goes.
        cover: what stands before the face, which stays.
        photographed: not a drawing, whose mouth may have any colours.
        gain: how much lighter the networks saw a dark crop (`exposure`).
    Returns:
        the new frame, and the mask float32 (H, W): 0 exactly where the frame is the source, bit for
        bit.
    """
    height, width = frame.shape[:2]
    out, mask = frame.copy(), np.zeros((height, width), np.float32)
    x0, y0, x1, y1 = _box(transform, width, height)
    if x1 <= x0 or y1 <= y0:
        return out, mask
    size = (x1 - x0, y1 - y0)

    def onto_frame(picture: Picture) -> Picture:
        inverse = cv2.invertAffineTransform(transform.matrix(picture.shape[0]))
        inverse[:, 2] -= (x0, y0)
        warped: Picture = cv2.warpAffine(picture, inverse, size, flags=cv2.INTER_LINEAR)
        return warped

    fields = _fields(moves.motion, moves.kept, alpha)
    bare = crop if cover is None else cover.bare
    edit = match_colour(edit, bare)
    decoded = natural(edit, bare) if photographed else edit
    drawn, share, corrected = _drawn(bare, edit, decoded, fields, alpha, gain)
    dx, dy = cv2.split(onto_frame(_in_frame(fields, transform)))
    amounts = cv2.merge([share, cv2.max(share, corrected / CORRECTED[1])])
    generated, drawn_on = cv2.split(onto_frame(amounts))
    changed = cv2.max(cv2.magnitude(dx, dy), drawn_on)
    _, changed = cv2.threshold(changed, 1 / 64, 0, cv2.THRESH_TOZERO)
    x = dx + np.arange(x0, x1, dtype=np.float32)
    y = dy + np.arange(y0, y1, dtype=np.float32)[:, None]
    source = frame
    if cover is not None:  # no second hand on skin that comes out from under one
        source = out.copy()
        source[y0:y1, x0:x1] = _blend(
            onto_frame(cover.bare), source[y0:y1, x0:x1], onto_frame(cover.rim)
        )
    moved = cv2.remap(source, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    pixels = onto_frame(drawn)
    left = cv2.merge([1 - generated] * 3)
    blended = cv2.add(pixels, left * moved, dtype=cv2.CV_8U)
    below = out[y0:y1, x0:x1]
    if cover is not None:
        left_bare = 1 - onto_frame(cover.share)
        blended = _blend(blended, below, left_bare)
        changed *= left_bare
    out[y0:y1, x0:x1] = cv2.copyTo(blended, (changed > 0).view(np.uint8), below.copy())
    mask[y0:y1, x0:x1] = cv2.min(changed, 1.0)
    return out, mask
