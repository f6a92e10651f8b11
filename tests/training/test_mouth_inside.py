"""The inside of a driven portrait's mouth: no green teeth, no red rims, dark at the lips."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")  # of the train extra

from training.lip_pose import LIPS_INNER
from training.mouth_inside import (
    LUMA,
    SHADOW,
    Palette,
    cover_and_shade,
    in_natural_colours,
    palette_of,
    recoloured,
    teeth_light,
)

GRID_TEETH = (177.0, 144.0, 109.0)
GRID_OLIVE = (128.0, 124.0, 62.0)  # what chroma subsampling makes of a tooth
GRID_GUMS = (170.0, 85.0, 80.0)
SIZE = 128


def face_of(colour: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    image = np.full((SIZE, SIZE, 3), colour, np.float32)
    points = np.random.default_rng(0).uniform(20, 100, (478, 2)).astype(np.float32)
    return image, points


@pytest.fixture
def palette() -> Palette:
    return palette_of(*face_of((220, 150, 90)))


def test_teeth_are_of_one_warm_hue_under_any_skin_of_a_coloured_picture() -> None:
    warm, cold = (palette_of(*face_of(c)).teeth for c in ((220, 150, 90), (90, 120, 180)))
    np.testing.assert_allclose(warm / warm[1], (1.12, 1.0, 0.88), rtol=1e-4)
    np.testing.assert_allclose(cold / cold[1], (1.12, 1.0, 0.88), rtol=1e-4)


def test_a_picture_without_colours_gets_teeth_and_flesh_without() -> None:
    found = palette_of(*face_of((140, 140, 140)))
    assert np.ptp(found.teeth) < 1e-3 and np.ptp(found.flesh) < 1e-3


def test_brighter_skin_has_brighter_teeth_but_by_less() -> None:
    dark, bright = (float(palette_of(*face_of((g, g, g))).teeth[0]) for g in (50.0, 200.0))
    assert 1.3 < bright / dark < 2


@pytest.mark.parametrize("pixel", [GRID_TEETH, GRID_OLIVE])
def test_a_tooth_takes_the_palettes_hue_whatever_its_chroma_was(
    palette: Palette, pixel: tuple[float, float, float]
) -> None:
    made = recoloured(np.array([[pixel]], np.float32), 130.0, palette)[0, 0]
    np.testing.assert_allclose(made / made[1], palette.teeth / palette.teeth[1], rtol=1e-3)


def test_gums_take_the_hue_of_the_persons_lips(palette: Palette) -> None:
    made = recoloured(np.array([[GRID_GUMS]], np.float32), 130.0, palette)[0, 0]
    np.testing.assert_allclose(made / made[1], palette.flesh / palette.flesh[1], rtol=0.02)


def test_a_cavity_gets_darker_than_its_grey_in_the_recording(palette: Palette) -> None:
    tooth, cavity = (np.full((1, 1, 3), v, np.float32) for v in (130.0, 60.0))
    light = [float(recoloured(p, 130.0, palette)[0, 0] @ LUMA) for p in (tooth, cavity)]
    assert light[1] / light[0] < 0.35


def test_the_inside_is_whole_in_the_middle_and_in_shadow_at_the_lips() -> None:
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    inner = np.stack([64 + 30 * np.cos(turn), 64 + 12 * np.sin(turn)], 1).astype(np.float32)
    share, shade = cover_and_shade(inner, SIZE)
    assert share[64, 64, 0] == pytest.approx(1, abs=1e-3) and share[64, 110, 0] == 0
    assert shade[64, 64, 0] > 0.98 and shade[53, 64, 0] < 0.8
    assert shade.min() >= SHADOW - 1e-3


def talker() -> tuple[np.ndarray, np.ndarray]:
    """A mouth that opens: frames uint8 (3, 200, 200, 3), points (3, 478, 2)."""
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
    return frames, points


def test_a_talkers_teeth_are_what_is_bright_in_his_open_mouth() -> None:
    assert teeth_light(*talker()) == pytest.approx((180, 160, 130) @ LUMA, abs=2)


def test_a_clip_in_natural_colours_has_teeth_of_their_hue_and_the_same_skin() -> None:
    frames, points = talker()
    frames[1:, 108:124, 75:125] = GRID_OLIVE
    made = in_natural_colours(frames, points)
    tooth = made[2, 115, 100].astype(float)
    np.testing.assert_allclose(tooth / tooth[1], (1.12, 1.0, 0.88), atol=0.02)
    assert (made[:, :80] == frames[:, :80]).all() and (made[:, 160:] == frames[:, 160:]).all()
