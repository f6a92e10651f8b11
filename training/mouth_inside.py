"""The inside of a mouth: light and dark of a GRID sentence, colours of the portrait that gets it.

GRID's pictures are compressed with a quarter of the colour samples: its teeth, two or three of
those wide, bear the red of the lips and the olive of what is between. Its light and dark are sound.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.lip_pose import LIPS_INNER, opening

Image = NDArray[np.float32]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
TEETH_HUE = np.array([1.12, 1.0, 0.88], np.float32)
TEETH_AT_1, TEETH_EXPONENT = 27.4, 0.375
SHADED = 0.85  # of a smile's brightness: a talker's teeth lie in the shade of his lips
COLOURED = 0.25  # saturation of the skin from which on a picture counts as one in colour
CHEEKS = (50, 280, 205, 425, 117, 346)
LIP_MIDDLES = ((14, 17), (87, 84), (317, 314), (13, 0), (82, 37), (312, 267))
FLESH = 0.10, 0.22  # excess of red over green, of all light: teeth below, tongue and gums above
DEPTH = 1.6  # exponent: GRID's light is flat, its dark a gray
RIM = 0.2  # of an opening, in shadow of the lips
SHADOW = 0.45  # light left at the rim
GUMS = 0.7  # of their light, where the clip's own shade is kept
UNSEEN_TEETH = 130.0  # luma of GRID's in a sentence that shows no inside


@dataclass(frozen=True)
class Palette:
    """Colours (3,), RGB in grey levels 0..255, of one person's teeth and of tongue and gums in the
    same light.
    """

    teeth: Image
    flesh: Image


def sampled(image: Image, points: Image, radius: int) -> Image:
    """Mean colours (N, 3) around points (N, 2)."""
    at = np.clip(np.round(points).astype(int), radius, len(image) - 1 - radius)
    return np.stack(
        [
            image[y - radius : y + radius + 1, x - radius : x + radius + 1].mean((0, 1))
            for x, y in at
        ]
    ).astype(np.float32)


def palette_of(image: Image, points: Image) -> Palette:
    """What a face's teeth and tongue look like, by its skin and its lips: image (S, S, 3), RGB in
    grey levels 0..255, points (478, 2) in its pixels.

    Teeth as measured on the sixty training portraits that show theirs: their hue does not follow
    the skin's, unless the picture has no colours, and their brightness follows it little.
    """
    skin = np.median(sampled(image, points[list(CHEEKS)], 3), axis=0)
    coloured = min(1.0, float(np.ptp(skin) / max(skin.max(), 1.0)) / COLOURED)
    hue = 1 + (TEETH_HUE - 1) * coloured
    light = SHADED * TEETH_AT_1 * max(float(skin.mean()), 1.0) ** TEETH_EXPONENT
    middles = np.stack([points[list(pair)].mean(0) for pair in LIP_MIDDLES])
    lips = np.median(sampled(image, middles, 2), axis=0)
    flesh = lips / max(float(lips @ LUMA), 1.0)
    return Palette(
        (light * hue / (hue @ LUMA)).astype(np.float32), (light * flesh).astype(np.float32)
    )


def teeth_light(frames: NDArray[np.uint8], points: Image) -> float:
    """Luma, 0..255, of a talker's teeth: of what is bright in his widest open mouths. frames
    (T, S, S, 3), points (T, 478, 2) in their pixels.
    """
    found = []
    for t in np.argsort(opening(points))[-6:]:
        inside = np.zeros(frames.shape[1:3], np.uint8)
        cv2.fillPoly(inside, [np.round(points[t, list(LIPS_INNER)]).astype(np.int32)], 1)
        pixels = frames[t][cv2.erode(inside, np.ones((3, 3), np.uint8)) > 0].astype(np.float32)
        if len(pixels):
            found.append(np.percentile(pixels @ LUMA, 85))
    return float(np.median(found)) if found else UNSEEN_TEETH


def recoloured(inside: Image, light: float, palette: Palette) -> Image:
    """GRID's mouth (..., 3), RGB in grey levels, its teeth's luma `light`, in the colours of
    `palette`; up to a third brighter than its teeth, so not yet clipped to 255.
    """
    share = (inside @ LUMA)[..., None] / light
    red = (inside[..., 0] - inside[..., 1]) / np.maximum(inside.sum(-1), 1)
    low, high = FLESH
    flesh = np.clip((red - low) / (high - low), 0, 1)[..., None]
    colour = palette.teeth * (1 - flesh) + palette.flesh * flesh
    out: Image = np.minimum(share, 1.2) ** DEPTH * colour
    return out


def in_natural_colours(frames: NDArray[np.uint8], points: Image) -> NDArray[np.uint8]:
    """A GRID clip whose mouth has the colours that its skin and lips ask for: RGB frames
    (T, S, S, 3) as given but for the inside of the lips, points (T, 478, 2) in their pixels.
    """
    light, size = teeth_light(frames, points), frames.shape[1]
    palette = palette_of(frames[0].astype(np.float32), points[0])
    palette = Palette(palette.teeth, GUMS * palette.flesh)
    out = frames.copy()
    for t, inner in enumerate(points[:, list(LIPS_INNER)]):
        share, _ = cover_and_shade(inner, size)
        mouth = np.clip(recoloured(frames[t].astype(np.float32), light, palette), 0, 255)
        out[t] = frames[t] * (1 - share) + mouth * share
    return out


def cover_and_shade(inner: Image, size: int) -> tuple[Image, Image]:
    """How much of each pixel lies within the inner lips (20, 2), in pixels, and how much light the
    lips leave there; both (size, size, 1), 0..1.
    """
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.round(inner * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    share = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 0.8)
    deep = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
    reach = max(1.5, RIM * float(np.ptp(inner[:, 1])))
    shade = SHADOW + (1 - SHADOW) * np.minimum(deep / reach, 1)
    return share[..., None], cv2.GaussianBlur(shade, (0, 0), 0.8)[..., None]
