"""Paste-back: the source's pixels move, decoded ones fill in, everything else is untouched."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engine.face.align import MOUTH_CENTRE, Similarity, warp_crop
from engine.face.paste import match_colour, paste, region

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
) -> tuple[Rgb, np.ndarray]:
    crop = warp_crop(frame, transform, CROP)
    if edit is None:  # one that agrees with the motion
        x, y = (cv2.resize(motion[..., k], (CROP, CROP)) * CROP for k in (0, 1))
        at = np.arange(CROP, dtype=np.float32)
        edit = cv2.remap(crop, x + at, y + at[:, None], cv2.INTER_LINEAR).astype(np.float32)
    return paste(frame, crop, edit, motion, kept, transform, alpha)


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
