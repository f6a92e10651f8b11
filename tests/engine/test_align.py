"""Alignment and paste-back: exact transforms, untouched background, no seam in colour."""

from __future__ import annotations

import numpy as np
import pytest

from engine.face.align import (
    MOUTH_CENTRE,
    TEMPLATE,
    Similarity,
    fit_similarity,
    similarity_from_box,
    warp_crop,
)
from engine.face.paste import match_colour, paste, region


def placed(scale: float, angle: float, x: float, y: float) -> np.ndarray:
    """The stable points of a face of `scale` pixels a crop unit, turned by `angle`, with the crop's
    corner at (x, y).
    """
    c, s = np.cos(angle), np.sin(angle)
    return (TEMPLATE * scale @ np.array([[c, s], [-s, c]]) + np.array([x, y])).astype(np.float32)


@pytest.mark.parametrize("angle", [-0.4, 0.0, 0.3])
def test_fit_recovers_the_placement(angle: float) -> None:
    points = placed(180.0, angle, 240.0, 130.0)
    transform = fit_similarity(points)
    assert transform.side_px == pytest.approx(180.0, rel=1e-4)
    np.testing.assert_allclose(transform.apply(points), TEMPLATE, atol=1e-4)


def test_crop_of_a_hand_box_has_the_mouth_where_faces_have_it() -> None:
    transform = similarity_from_box((100, 50, 200, 260))
    mouth = transform.apply(np.array([[200.0, 50 + 260 * 0.755]], np.float32))[0]
    assert mouth[0] == pytest.approx(0.5, abs=0.01)
    assert mouth[1] == pytest.approx(MOUTH_CENTRE[1], abs=0.06)


@pytest.mark.parametrize("side", [64.0, 128.0, 400.0])
def test_warp_keeps_places(side: float) -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    x0, y0 = 120.0, 40.0
    cx, cy = int(x0 + side * 0.5), int(y0 + side * 0.25)
    frame[cy - 3 : cy + 4, cx - 3 : cx + 4] = 255
    crop = warp_crop(frame, Similarity(1 / side, 0.0, -x0 / side, -y0 / side), 128)
    grey = crop[..., 0].astype(float)
    y, x = np.mgrid[0:128, 0:128]
    centre = np.array([(grey * x).sum(), (grey * y).sum()]) / grey.sum()
    expected = np.array([(cx - x0 + 0.5) / side, (cy - y0 + 0.5) / side]) * 128 - 0.5
    np.testing.assert_allclose(centre, expected, atol=0.35)


def test_outside_the_mask_the_frame_is_the_source() -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
    transform = Similarity(1 / 150, 0.0, -80 / 150, -40 / 150)
    crop = warp_crop(frame, transform, 128)
    edit = crop.astype(np.float32)
    edit[70:90, 40:90] = 20.0
    out, mask = paste(frame, crop, edit, crop.astype(np.float32), transform, 1.0)
    assert (out[mask == 0] == frame[mask == 0]).all()
    assert (out[mask > 0.9] != frame[mask > 0.9]).any()
    assert mask[:40].max() == 0 and mask[:, :80].max() == 0


def test_an_edit_that_changes_nothing_leaves_the_frame_alone() -> None:
    rng = np.random.default_rng(1)
    frame = np.kron(rng.integers(40, 200, (24, 32, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    transform = Similarity(1 / 128, 0.0, -60 / 128, -50 / 128)
    crop = warp_crop(frame, transform, 128)
    kept = crop.astype(np.float32)
    out, mask = paste(frame, crop, kept + 1.0, kept, transform, 1.0)
    assert (out == frame).all()
    assert mask.max() == 0


def test_detail_that_the_autoencoder_loses_stays_where_the_edit_is_slight() -> None:
    rng = np.random.default_rng(3)
    frame = rng.integers(90, 130, (200, 200, 3), dtype=np.uint8)  # grain on every pixel
    transform = Similarity(1 / 128, 0.0, -36 / 128, -36 / 128)
    crop = warp_crop(frame, transform, 128)
    kept = np.full((128, 128, 3), 110.0, np.float32)  # what the autoencoder leaves of it
    slight, strong = kept.copy(), kept.copy()
    slight[60:82, 46:82] -= 5.0
    strong[60:82, 46:82] -= 60.0
    inside = (slice(36 + 66, 36 + 76), slice(36 + 52, 36 + 76))
    grain = frame[inside].astype(float)
    darker = paste(frame, crop, slight, kept, transform, 1.0)[0][inside].astype(float)
    replaced = paste(frame, crop, strong, kept, transform, 1.0)[0][inside].astype(float)
    assert darker.std() > 0.9 * grain.std()
    assert (grain - darker).mean() > 2.0
    assert replaced.std() < 0.2 * grain.std()


def test_alpha_zero_shows_nothing() -> None:
    frame = np.full((200, 200, 3), 90, np.uint8)
    transform = Similarity(1 / 128, 0.0, -0.2, -0.2)
    crop = warp_crop(frame, transform, 128)
    edit = np.zeros((128, 128, 3), np.float32)
    out, _ = paste(frame, crop, edit, crop.astype(np.float32), transform, 0.0)
    assert (out == frame).all()


def test_colour_cast_is_taken_out_but_the_mouth_stays() -> None:
    rng = np.random.default_rng(2)
    source = np.kron(rng.uniform(80, 160, (16, 16, 3)), np.ones((8, 8, 1))).astype(np.float32)
    edit = source + np.array([12.0, -8.0, 5.0], np.float32)
    edit[64:76, 48:80] -= 60.0
    matched = match_colour(edit, source)
    assert np.abs(matched - source)[:30].mean() < 2.0
    assert (source - matched)[66:74, 52:76].mean() > 40.0


def test_region_fades_before_the_crop_ends() -> None:
    mask = region(128)
    assert mask[0].max() == mask[-1].max() == mask[:, 0].max() == 0
    assert mask[int(MOUTH_CENTRE[1] * 128), 64] == 1.0
