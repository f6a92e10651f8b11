"""Paste-back: the source's pixels move, decoded ones fill in, everything else is untouched."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engine.face.align import MOUTH_CENTRE, Similarity, warp_crop
from engine.face.cover import cover_of
from engine.face.paste import Moves, match_colour, paste, region

CROP, FIELD = 192, 64
STILL = np.zeros((FIELD, FIELD, 2), np.float32)
ALL_KEPT = np.ones((FIELD, FIELD), np.float32)
MOUTH = (slice(34, 44), slice(24, 40))  # rows, columns of the field
Rgb = np.ndarray


def turned(side: float, angle: float, x: float, y: float) -> Similarity:
    """The crop of `side` frame pixels, turned by `angle`, whose middle lies at (x, y)."""
    a, b = np.cos(angle) / side, np.sin(angle) / side
    return Similarity(a, b, 0.5 - (a * x - b * y), 0.5 - (b * x + a * y))


def grain(height: int = 300, width: int = 300) -> Rgb:
    return np.random.default_rng(0).integers(60, 190, (height, width, 3), dtype=np.uint8)


def pasted(
    frame: Rgb,
    transform: Similarity,
    motion: np.ndarray = STILL,
    kept: np.ndarray = ALL_KEPT,
    edit: np.ndarray | None = None,
    alpha: float = 1.0,
    covered: np.ndarray | None = None,
    photographed: bool = True,
) -> tuple[Rgb, np.ndarray]:
    crop = warp_crop(frame, transform, CROP)
    if edit is None:  # one that agrees with the motion
        x, y = (cv2.resize(motion[..., k], (CROP, CROP)) * CROP for k in (0, 1))
        at = np.arange(CROP, dtype=np.float32)
        edit = cv2.remap(crop, x + at, y + at[:, None], cv2.INTER_LINEAR).astype(np.float32)
    if covered is None:
        covered = np.zeros_like(kept)
    moves, cover = Moves(motion, kept, covered), cover_of(crop, covered)
    return paste(frame, crop, edit, moves, transform, alpha, cover, photographed)


def filled_mouth(value: float) -> tuple[np.ndarray, np.ndarray]:
    """`kept` with a hole at the mouth, and an edit of that colour there."""
    kept = ALL_KEPT.copy()
    kept[MOUTH] = 0
    edit = np.full((CROP, CROP, 3), 125.0, np.float32)
    edit[tuple(slice(3 * s.start, 3 * s.stop) for s in MOUTH)] = value
    return kept, edit


def test_no_motion_and_nothing_generated_is_the_frame() -> None:
    frame = grain()
    out, mask = pasted(frame, turned(180, 0.3, 150, 140))
    np.testing.assert_array_equal(out, frame)
    assert mask.max() == 0


def test_motion_too_small_to_see_leaves_the_frame_alone() -> None:
    frame = grain()
    out, _ = pasted(frame, turned(180, 0.0, 150, 150), motion=STILL + np.float32(0.0005))
    np.testing.assert_array_equal(out, frame)


def test_outside_the_mask_the_frame_is_the_source() -> None:
    frame = grain()
    kept, edit = filled_mouth(20.0)
    motion = STILL + np.float32(0.03)
    out, mask = pasted(frame, turned(150, 0.2, 150, 150), motion, kept, edit)
    np.testing.assert_array_equal(out[mask == 0], frame[mask == 0])
    assert (out[mask > 0.9] != frame[mask > 0.9]).any()
    assert mask[:70].max() == 0 and mask[:, :70].max() == 0


@pytest.mark.parametrize("side", [96.0, 200.0])
@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_pixels_come_from_where_the_motion_points(side: float, angle: float) -> None:
    frame = np.zeros((300, 300, 3), np.uint8)
    cv2.circle(frame, (150, 160), 6, (255, 255, 255), -1, cv2.LINE_AA)
    step = 0.06
    motion = STILL.copy()
    motion[..., 0] = step  # look to the crop's right: what is there moves to its left
    out, _ = pasted(frame, turned(side, angle, 150, 150), motion)

    def centre(picture: Rgb) -> np.ndarray:
        y, x = np.mgrid[0:300, 0:300]
        grey = picture[..., 0].astype(float)
        return np.array([(grey * x).sum(), (grey * y).sum()]) / grey.sum()

    right = np.array([np.cos(angle), -np.sin(angle)]) * side  # of the crop, in the frame
    np.testing.assert_allclose(centre(out) - centre(frame), -step * right, atol=0.4)


def test_moved_pixels_keep_their_grain_and_decoded_ones_have_none() -> None:
    frame, transform = grain(), turned(192, 0.0, 150, 150)
    motion = STILL.copy()
    motion[..., 1] = 4 / 192
    moved = pasted(frame, transform, motion)[0][150:170, 140:160]
    np.testing.assert_array_equal(moved, frame[154:174, 140:160])
    kept, edit = filled_mouth(125.0)
    assert pasted(frame, transform, STILL, kept, edit)[0][160:176, 140:160].std() < 3


def test_decoded_pixels_fill_the_mouth() -> None:
    frame = np.full((300, 300, 3), 125, np.uint8)
    kept, edit = filled_mouth(30.0)
    out, mask = pasted(frame, turned(192, 0.0, 150, 150), STILL, kept, edit)
    assert abs(int(out[168, 150, 0]) - 30) < 12
    assert mask[168, 150] == 1
    assert abs(int(out[120, 150, 0]) - 125) < 2


@pytest.mark.parametrize("photographed", [True, False])
def test_only_a_drawing_may_have_green_teeth(photographed: bool) -> None:
    frame = np.full((300, 300, 3), (200, 150, 120), np.uint8)
    kept, edit = filled_mouth(0.0)
    edit[:] = (200, 150, 120)
    edit[tuple(slice(3 * s.start, 3 * s.stop) for s in MOUTH)] = (140, 180, 140)
    out, _ = pasted(frame, turned(192, 0.0, 150, 150), STILL, kept, edit, photographed=photographed)
    red, green, _ = out[165, 150].astype(int)  # crop (.5, .58)
    assert (green - red > 30) if not photographed else (red >= green)


def test_alpha_zero_shows_nothing() -> None:
    kept, edit = filled_mouth(0.0)
    frame = grain()
    out, mask = pasted(
        frame, turned(192, 0.0, 150, 150), STILL + np.float32(0.05), kept, edit, alpha=0.0
    )
    np.testing.assert_array_equal(out, frame)
    assert mask.max() == 0


def test_a_face_outside_the_frame_changes_nothing() -> None:
    frame = grain()
    kept, edit = filled_mouth(0.0)
    out, mask = pasted(frame, turned(100, 0.0, -300, 150), STILL, kept, edit)
    np.testing.assert_array_equal(out, frame)
    assert mask.max() == 0


def test_colour_cast_is_taken_out_but_the_mouth_stays() -> None:
    rng = np.random.default_rng(2)
    source = np.kron(rng.uniform(80, 160, (16, 16, 3)), np.ones((12, 12, 1))).astype(np.uint8)
    edit = source.astype(np.float32) + np.array([12.0, -8.0, 5.0], np.float32)
    edit[96:114, 72:120] -= 60.0
    matched = match_colour(edit, source)
    assert np.abs(matched - source)[:45].mean() < 2.0
    assert (source - matched)[100:110, 78:114].mean() > 40.0


def test_region_fades_before_the_crop_ends() -> None:
    mask = region(128)
    assert mask[0].max() == mask[-1].max() == mask[:, 0].max() == 0
    assert mask[int(MOUTH_CENTRE[1] * 128), 64] == 1.0


def test_where_motion_falls_short_the_decoded_edit_is_shown() -> None:
    frame, transform = np.full((300, 300, 3), 125, np.uint8), turned(192, 0.0, 150, 150)
    _, edit = filled_mouth(30.0)
    out, mask = pasted(frame, transform, edit=edit)  # all kept, nothing moved
    assert abs(int(out[168, 150, 0]) - 30) < 12
    assert mask[168, 150] == 1


def test_detail_that_the_edit_lacks_is_no_reason_to_show_it() -> None:
    frame, transform = grain(), turned(192, 0.0, 150, 150)
    soft = cv2.GaussianBlur(warp_crop(frame, transform, CROP), (0, 0), 3).astype(np.float32)
    out, _ = pasted(frame, transform, edit=soft)
    inside = (slice(140, 180), slice(130, 170))
    assert out[inside].std() > 0.9 * frame[inside].std()


@pytest.fixture
def microphone() -> tuple[Rgb, np.ndarray]:
    """A dark disc before a light face in a frame (300, 300, 3), and where it is solid."""
    frame = np.full((300, 300, 3), 190, np.uint8)
    cv2.circle(frame, (150, 175), 24, (30, 40, 35), -1, cv2.LINE_AA)
    return frame, (frame[..., 0] == 30)


def coarsely(solid: np.ndarray, transform: Similarity) -> np.ndarray:
    """The cover as a net of `FIELD` cells tells it: soft at its edge."""
    picture = np.repeat(255 * solid[..., None].astype(np.uint8), 3, 2)
    cover = warp_crop(picture, transform, CROP)[..., 0] / np.float32(255)
    small = cv2.resize(cover, (FIELD, FIELD), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), 0.6)


@pytest.mark.parametrize("side", [150.0, 260.0])
def test_what_stands_before_the_face_stays(microphone: tuple[Rgb, np.ndarray], side: float) -> None:
    frame, solid = microphone
    transform = turned(side, 0.1, 150, 150)
    motion = STILL + np.float32(0.04)
    kept, edit = filled_mouth(90.0)
    without, _ = pasted(frame, transform, motion, kept, edit)
    out, mask = pasted(frame, transform, motion, kept, edit, covered=coarsely(solid, transform))
    inner = cv2.erode(solid.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert np.abs(without[inner].astype(int) - frame[inner]).max() > 40
    np.testing.assert_array_equal(out[inner], frame[inner])
    np.testing.assert_array_equal(out[mask == 0], frame[mask == 0])
    beside = ~cv2.dilate(solid.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    assert (out[beside] != frame[beside]).any()  # the mouth beside it is edited still


def test_skin_that_comes_out_from_under_a_cover_shows_none_of_it(
    microphone: tuple[Rgb, np.ndarray],
) -> None:
    frame, solid = microphone
    transform = turned(192, 0.0, 150, 150)
    motion = STILL.copy()
    motion[..., 1] = 0.06  # above the disc, the source is looked up in it
    skin = np.full((CROP, CROP, 3), 190.0, np.float32)
    out, _ = pasted(frame, transform, motion, edit=skin, covered=coarsely(solid, transform))
    above = out[140:148, 146:155]
    assert above.min() > 170  # no second disc


def test_doubt_covers_nothing(microphone: tuple[Rgb, np.ndarray]) -> None:
    frame, _ = microphone
    transform, motion = turned(192, 0.0, 150, 150), STILL + np.float32(0.03)
    doubt = np.full((FIELD, FIELD), 0.25, np.float32)
    out, mask = pasted(frame, transform, motion, covered=doubt)
    expected, expected_mask = pasted(frame, transform, motion)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_allclose(mask, expected_mask, atol=1e-6)


def test_a_collar_below_the_region_is_no_cover() -> None:
    collar = np.zeros((FIELD, FIELD), np.float32)
    collar[-1] = 1.0
    assert cover_of(grain(CROP, CROP), collar) is None
    collar[-20:] = 1.0
    assert cover_of(grain(CROP, CROP), collar) is not None
