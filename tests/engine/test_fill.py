"""Holes get the colours around them; what is known stays."""

from __future__ import annotations

import numpy as np

from engine.face.fill import filled


def test_a_hole_in_a_slope_continues_it() -> None:
    slope = np.tile(np.linspace(0, 200, 96), (96, 1))[..., None].repeat(3, 2).astype(np.uint8)
    known = np.ones((96, 96), np.float32)
    known[30:60, 30:60] = 0
    holed = slope.copy()
    holed[known == 0] = 255
    out = filled(holed, known)
    assert np.abs(out - slope)[known > 0].max() < 1e-3
    error = np.abs(out - slope)[known == 0]
    assert error.mean() < 12
    assert out[45, 32, 0] < out[45, 57, 0]


def test_of_nothing_known_there_is_one_colour() -> None:
    out = filled(np.full((8, 8, 3), 90, np.uint8), np.zeros((8, 8), np.float32))
    assert np.ptp(out) < 1e-3
