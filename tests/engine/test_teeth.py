"""Teeth in the mouth of a photographed face: no green or blue ones, whatever the light."""

import numpy as np
import pytest

from engine.face.teeth import natural

SIZE = 192
LUMA = (0.299, 0.587, 0.114)


def face(skin: tuple[float, float, float], inside: tuple[float, float, float]) -> np.ndarray:
    """A crop of skin, float32, with a mouth's inside where mouths are."""
    crop = np.full((SIZE, SIZE, 3), skin, np.float32)
    crop[98:112, 80:112] = inside
    return crop


def mouth_of(crop: np.ndarray) -> np.ndarray:
    return crop[105, 96]


@pytest.mark.parametrize("light", [(1.0, 1.0, 1.0), (1.05, 0.9, 0.7), (0.7, 0.7, 0.7)])
def test_green_teeth_lose_their_green_at_the_same_luma(light: tuple[float, float, float]) -> None:
    skin, green = np.array((200, 150, 120)) * light, np.array((150, 175, 150)) * light
    source, edit = face(skin, skin).astype(np.uint8), face(skin, green)
    made = mouth_of(natural(edit, source))
    assert made[0] / made[1] > 0.98 * min(1.04, 1.04 * skin[0] / skin[1] / 1.3)
    assert made @ LUMA == pytest.approx(green @ LUMA, abs=0.5)
    assert made[2] == pytest.approx(green[2])


@pytest.mark.parametrize("inside", [(200.0, 180, 160), (120.0, 60, 60), (30.0, 12, 10)])
def test_teeth_lips_and_dark_stay_as_they_are(inside: tuple[float, float, float]) -> None:
    edit = face((200, 150, 120), inside)
    source = face((200, 150, 120), (180, 110, 110)).astype(np.uint8)
    np.testing.assert_allclose(natural(edit, source), edit, atol=1e-3)


def test_what_is_blue_between_the_lips_is_so_only_in_blue_light() -> None:
    skin, dark = (200, 150, 120), (60, 65, 80)
    made = mouth_of(natural(face(skin, dark), face(skin, skin).astype(np.uint8)))
    assert made[2] <= made[0] + 1
    blue = face((120, 130, 160), (80, 95, 120))
    np.testing.assert_allclose(natural(blue, blue.astype(np.uint8)), blue, atol=1e-3)


def test_a_green_light_has_green_teeth_and_a_grey_picture_stays_grey() -> None:
    for skin, inside in (((100, 150, 90), (90, 120, 80)), ((140, 140, 140), (150, 150, 150))):
        edit = face(skin, inside)
        source = edit.astype(np.uint8)
        np.testing.assert_allclose(natural(edit, source), edit, atol=1e-3)


def test_what_is_green_beside_the_mouth_stays() -> None:
    edit = face((200, 150, 120), (180, 160, 140))
    edit[:, :20] = edit[:20] = edit[:, -20:] = (20, 220, 40)  # a screen
    source = edit.astype(np.uint8)
    made = natural(edit, source)
    np.testing.assert_allclose(made[:, :10], edit[:, :10], atol=0.5)
