"""A smile's landmarks, moved to where its closed mouth would put them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")  # of the train extra

from training.lip_pose import opening
from training.portraits import LOWER_INNER, UPPER_INNER, with_closed_mouth


def smile() -> np.ndarray:
    """478 points, most of them far away; inner lips open by 20 px over 100 px."""
    points = np.zeros((478, 2), np.float32)
    points[33], points[263] = (-100, -100), (100, -100)
    x = np.linspace(-40, 40, 9)
    gap = 20 * (1 - (x / 50) ** 2)
    points[list(UPPER_INNER)] = np.stack([x, -gap / 2], 1)
    points[list(LOWER_INNER)] = np.stack([x, gap / 2], 1)
    points[61], points[291] = (-50, 0), (50, 0)
    points[152] = (0, 70)  # chin
    return points


def test_inner_lips_meet() -> None:
    closed = with_closed_mouth(smile())
    assert opening(smile()) == 0.1
    assert opening(closed) < 0.002
    gaps = closed[list(LOWER_INNER), 1] - closed[list(UPPER_INNER), 1]
    assert np.abs(gaps).max() < 0.5


def test_chin_follows_less_than_the_lip_and_eyes_stay() -> None:
    moved = with_closed_mouth(smile()) - smile()
    assert moved[14, 1] < moved[152, 1] < -1
    assert np.abs(moved[[33, 263]]).max() == 0
