"""Moments: many faces for six frames each, of other proportions, many behind something."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")  # of the train extra

from training.mouth_inside import Palette
from training.portraits import CANVAS_PX, Portrait, as_another


def dotted() -> Portrait:
    """Dark dots on a light ground, and the points where they lie."""
    at = np.linspace(60, CANVAS_PX - 60, 5)
    points = np.stack(np.meshgrid(at, at), -1).reshape(-1, 2).astype(np.float32)
    y, x = np.mgrid[0:CANVAS_PX, 0:CANVAS_PX]
    image = np.full((CANVAS_PX, CANVAS_PX, 3), 250.0, np.float32)
    for px, py in points:
        image -= 240 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18)[..., None]
    white = np.ones(3, np.float32)
    return Portrait(image, points, points + 1, Palette(white, white))


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
