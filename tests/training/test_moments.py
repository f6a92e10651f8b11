"""Moments: many faces for six frames each, of other proportions, many behind something."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")  # of the train extra

from training.lip_pose import LIPS_INNER
from training.portraits import CANVAS_PX, Portrait, as_another, teeth_of, teeth_on


def dotted() -> Portrait:
    """Dark dots on a light ground, and the points where they lie."""
    at = np.linspace(60, CANVAS_PX - 60, 5)
    points = np.stack(np.meshgrid(at, at), -1).reshape(-1, 2).astype(np.float32)
    y, x = np.mgrid[0:CANVAS_PX, 0:CANVAS_PX]
    image = np.full((CANVAS_PX, CANVAS_PX, 3), 250.0, np.float32)
    for px, py in points:
        image -= 240 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18)[..., None]
    return Portrait(image, points, points + 1, np.ones(3, np.float32))


@pytest.mark.parametrize("seed", range(4))
def test_points_lie_where_the_warp_puts_their_pixels(seed: int) -> None:
    before = dotted()
    after = as_another(before, np.random.default_rng(seed))
    assert np.abs(after.points - before.points).max() > 3
    y, x = np.mgrid[0:CANVAS_PX, 0:CANVAS_PX]
    for point in after.points:
        dark = (250 - after.image[..., 0]).clip(0)
        dark = dark * (np.hypot(x - point[0], y - point[1]) < 12)
        centre = np.array([(dark * x).sum(), (dark * y).sum()]) / dark.sum()
        np.testing.assert_allclose(centre, point, atol=1.0)


def test_the_closed_mouth_moves_along() -> None:
    after = as_another(dotted(), np.random.default_rng(0))
    assert np.abs(after.closed - after.points - 1).max() < 0.7


def test_a_talkers_teeth_are_what_is_bright_and_pale_in_his_mouth() -> None:
    points = np.zeros((3, 478, 2), np.float32)
    points[:, 33], points[:, 263] = (60, 40), (140, 40)
    angle = np.linspace(0, 2 * np.pi, len(LIPS_INNER), endpoint=False)
    for t, half in enumerate((1, 20, 24)):
        ring = np.stack([100 + 30 * np.cos(angle), 120 + half * np.sin(angle)], 1)
        points[t, list(LIPS_INNER)] = ring
        points[t, 13], points[t, 14] = (100, 120 - half), (100, 120 + half)
    frames = np.full((3, 200, 200, 3), (200, 120, 110), np.uint8)  # skin, bright as teeth
    frames[:, 90:150, 60:140] = (60, 20, 20)
    frames[1:, 108:124, 75:125] = (180, 160, 130)
    np.testing.assert_allclose(teeth_on(frames, points), (180, 160, 130), atol=2)
    assert teeth_on(frames[:1], points[:1]) is None


def test_teeth_hardly_darken_with_the_skin() -> None:
    dark, light = teeth_of(40.0), teeth_of(160.0)
    assert 1.5 < (light / dark)[1] < 2
    assert light[0] > light[1] > light[2]
