"""Faces in little light: the networks see them lighter, the picture stays as dark as it was."""

from __future__ import annotations

import numpy as np
import pytest

from engine.face.exposure import DARK, MOST, Exposure, exposed, gains

SIZE = 192


def wanted_gain(crop: np.ndarray) -> float:
    return gains(crop)[0]


def face(mean: float, bright: float | None = None) -> np.ndarray:
    """A crop of that mean grey level; with a bright patch, as a lamp in it."""
    crop = np.full((SIZE, SIZE, 3), mean, np.uint8)
    if bright is not None:
        crop[:40, :40] = bright
    return crop


@pytest.mark.parametrize("mean", [DARK + 1, 120, 250])
def test_a_face_in_enough_light_is_the_very_crop(mean: float) -> None:
    crop = face(mean)
    assert wanted_gain(crop) == 1.0
    assert exposed(crop, Exposure().follow(crop)) is crop


def test_a_dark_face_is_as_light_as_networks_need_and_no_noise_is_made_of_night() -> None:
    assert exposed(face(25), wanted_gain(face(25))).mean() == pytest.approx(DARK, abs=1)
    assert wanted_gain(face(3)) == MOST
    assert wanted_gain(face(0)) == MOST


def test_what_is_bright_in_it_is_not_cut_off() -> None:
    crop = face(20, bright=180)
    assert 180 * wanted_gain(crop) <= 241
    assert wanted_gain(crop) < 1.5


def test_the_gain_begins_right_and_follows_slowly() -> None:
    exposure = Exposure()
    assert exposure.follow(face(20)) == pytest.approx(3.0)
    gains = [exposure.follow(face(75)) for _ in range(80)]
    steps = -np.diff([3.0, *gains])
    assert steps.min() >= 0 and steps.max() <= 0.21
    assert gains[-1] == 1.0  # and the crop itself again
    exposure.forget()
    assert exposure.follow(face(30)) == pytest.approx(2.0)


def test_where_light_comes_on_the_networks_are_not_blinded() -> None:
    exposure = Exposure()
    for _ in range(7):
        exposure.follow(face(15))
    seen = [exposed(face(150), exposure.follow(face(150))).mean() for _ in range(20)]
    assert max(seen[5:]) <= 241  # looked at in every fifth frame
    assert seen[-1] < 220
