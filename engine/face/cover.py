"""What stands before a face, a hand or a microphone: where it is, and the face without it.

It stays as it is, and a frame in which the net misses it does not uncover it. The denoiser would
take it for a part of the face, which moves: so once it is found, the networks are shown the face
with the colours around it in its place.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.fill import filled
from engine.face.paste import Cover, region, smooth_step

Rgb = NDArray[np.uint8]
Field = NDArray[np.float32]

GOES = 0.05  # share of what is no longer seen that goes each frame; what is seen comes at once
OTHER = 24.0  # grey levels by which a place differs where something else is now: it goes at once
SURE = (0.6, 0.85)  # of `covered`: below the first all is face, above the second nothing
COVERED = (0.3, 0.6)  # the same once its edges are the crop's
EDGE = 1 / 48, 12.0  # reach, crop units, and contrast, grey levels, of a cover's own edges
WIDER = 1 / 64  # crop units by which it is taken for larger: its edge is the cover's, too
# Moustaches look covered now here, now there; a hand in one place and large. So a cover has to be
# that for a while: shares of the crop's area, in one piece, that begin and keep one.
COMES, STAYS = 130 / 64**2, 65 / 64**2
LEARN = 0.2  # a frame's part of what is believed
RIM_PX = 2  # beyond its edge, where its colours are mixed with the face's


def cover_of(crop: Rgb, covered: Field) -> Cover | None:
    """What stands before the face of a crop uint8 (S, S, 3), its edges where the crop has them
    (fast guided filter, He and Sun 2015, arXiv 1505.00996); None where nothing does, or not before
    the mouth.
    """
    if covered[region(len(covered)) > 0].max() < SURE[0]:
        return None
    size, (reach, contrast) = crop.shape[0], EDGE
    half = (size // 2, size // 2)
    side = 2 * round(reach * size / 2) + 1
    guide = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    light = cv2.resize(guide, half, interpolation=cv2.INTER_AREA)
    said = cv2.resize(smooth_step(covered, SURE), half, interpolation=cv2.INTER_LINEAR)

    def mean(field: Field) -> Field:
        blurred: Field = cv2.boxFilter(field, -1, (side, side), borderType=cv2.BORDER_REPLICATE)
        return blurred

    mean_light, mean_said = mean(light), mean(said)
    spread = mean(light * light) - mean_light * mean_light + np.float32(contrast**2)
    slope = cv2.divide(mean(light * said) - mean_light * mean_said, spread)
    line = cv2.merge([mean(slope), mean(mean_said - slope * mean_light)])
    factor, offset = cv2.split(cv2.resize(line, (size, size), interpolation=cv2.INTER_LINEAR))
    share = _wider(smooth_step(factor * guide + offset, COVERED), round(WIDER * size))
    rim = cv2.dilate(share, np.ones((2 * RIM_PX + 1,) * 2, np.uint8))
    # At half its size: what is filled in has no detail.
    small = cv2.resize(crop, half, interpolation=cv2.INTER_AREA)
    known = 1 - cv2.resize(rim, half, interpolation=cv2.INTER_AREA)
    around = cv2.resize(filled(small, known), (size, size), interpolation=cv2.INTER_LINEAR)
    bare = cv2.copyTo(cv2.convertScaleAbs(around), (rim > 0).view(np.uint8), crop.copy())
    return Cover(share, rim, bare)


def _wider(share: Field, pixels: int) -> Field:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1,) * 2)
    return np.asarray(cv2.dilate(share, disc), np.float32)


class CoverTrace:
    """`covered` of one speaker's frames, in order. The crop follows the face, and so does it."""

    def __init__(self, there: bool = False) -> None:
        """there: a cover is known of already."""
        self.forget()
        self._there = there

    def forget(self) -> None:
        """The next frame stands alone."""
        self._held: Field | None = None
        self._looks: Field | None = None  # of each place when its cover was last seen
        self._believed: Field | None = None
        self._there = False

    def follow(self, crop: Rgb, covered: Field) -> Field:
        """Crop uint8 (S, S, 3) and what the net says of it (h, w), 0..1 -> the same, held where
        frames before it were more certain and the place still looks alike; nothing while no cover
        is to be believed.
        """
        height, width = covered.shape
        if self._believed is None:
            self._believed = covered
        self._believed = self._believed + np.float32(LEARN) * (covered - self._believed)
        least = STAYS if self._there else COMES
        self._there = _largest(self._believed) >= least * height * width
        coarse = cv2.resize(crop, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        looks = cv2.resize(coarse, (width, height)).astype(np.float32)
        if self._held is not None and self._looks is not None:
            alike = np.abs(looks - self._looks).max(2) < OTHER
            left = np.where(alike, (1 - np.float32(GOES)) * self._held, 0)
            looks = np.where((left > covered)[..., None], self._looks, looks)
            covered = np.maximum(covered, left)
        self._held, self._looks = covered, looks
        return covered if self._there else np.zeros_like(covered)


def _largest(believed: Field) -> int:
    """Pixels of the largest piece that is covered where something may be edited."""
    sure = (believed >= SURE[0]) & (region(len(believed)) > 0)
    count, _, facts, _ = cv2.connectedComponentsWithStats(sure.astype(np.uint8))
    return int(facts[1:, cv2.CC_STAT_AREA].max()) if count > 1 else 0
