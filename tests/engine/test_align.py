"""Alignment: exact transforms between frame and crop."""

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


@pytest.mark.parametrize("place", [(-9000, 0), (0, -9000), (9000, 0)])
def test_a_crop_that_lies_beside_the_frame_shows_nothing_of_it(place: tuple[int, int]) -> None:
    frame = np.full((200, 300, 3), 200, np.uint8)
    crop = warp_crop(frame, similarity_from_box((*place, 1500, 1500)), 128)
    assert not crop.any()


def test_crop_of_a_hand_box_has_the_mouth_where_faces_have_it() -> None:
    transform = similarity_from_box((100, 50, 200, 260))
    mouth = transform.apply(np.array([[200.0, 50 + 260 * 0.755]], np.float32))[0]
    assert mouth[0] == pytest.approx(0.5, abs=0.01)
    assert mouth[1] == pytest.approx(MOUTH_CENTRE[1], abs=0.06)


@pytest.mark.parametrize("wide", [120.0, 260.0, 600.0])
def test_a_wide_box_keeps_the_mouths_place_and_holds_its_width(wide: float) -> None:
    narrow = similarity_from_box((300 - 60, 50, 120, 260))
    transform = similarity_from_box((300 - wide / 2, 50, wide, 260))
    mouth = (MOUTH_CENTRE[1] - narrow.ty) / narrow.scale
    at = transform.apply(np.array([[300.0, mouth]], np.float32))[0]
    np.testing.assert_allclose(at, MOUTH_CENTRE, atol=1e-3)
    assert transform.side_px > 0.89 * wide


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
