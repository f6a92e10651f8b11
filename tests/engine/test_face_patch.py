"""The landmark net's patch: geometry that must hold to a fraction of a pixel."""

import cv2
import numpy as np
import pytest

from engine.face.patch import PATCH_PX, Patch
from engine.face.points import COUNT, LANDMARKS, MIRROR
from engine.face.smooth import PointFilter


def blob(width: int, height: int, at: tuple[float, float], sigma: float) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    spot = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * sigma**2))
    return np.repeat((255 * spot).astype(np.uint8)[..., None], 3, axis=2)


def centre_of(patch: np.ndarray) -> np.ndarray:
    weight = patch[..., 0].astype(float)
    y, x = np.mgrid[0 : patch.shape[0], 0 : patch.shape[1]]
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("side", [96.0, 150.0, 420.0])
@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_a_spot_lands_where_the_patch_says(side: float, angle: float) -> None:
    patch = Patch(330.0, 240.0, side, angle)
    at = (330.0 + 0.1 * side, 240.0 - 0.05 * side)
    pixels = patch.cut(blob(700, 500, at, sigma=side / 30))
    said = patch.to_patch(np.array([at], np.float32))[0] * PATCH_PX - 0.5
    assert np.abs(centre_of(pixels) - said).max() < 0.3


def test_there_and_back() -> None:
    patch = Patch(100.0, 50.0, 80.0, -0.7)
    points = np.random.default_rng(0).uniform(0, 200, (COUNT, 2)).astype(np.float32)
    assert np.allclose(patch.to_picture(patch.to_patch(points)), points, atol=1e-3)


def test_patch_turns_and_grows_with_the_face() -> None:
    rng = np.random.default_rng(1)
    face = rng.normal(0, 40, (COUNT, 2)).astype(np.float32)
    before = Patch.around(face)
    c, s = np.cos(0.3), np.sin(0.3)
    turned = (2 * face @ np.array([[c, s], [-s, c]]) + (500, 300)).astype(np.float32)
    after = Patch.around(turned)
    assert after.side == pytest.approx(2 * before.side, rel=1e-4)
    assert (after.angle - before.angle) % (2 * np.pi) == pytest.approx(0.3, abs=1e-4)


def test_a_patch_outside_the_picture_is_still_a_patch() -> None:
    picture = np.full((48, 64, 3), 90, np.uint8)
    for patch in (Patch(-500, -500, 40, 0), Patch(900, 10, 700, 0.3), Patch(32, 24, 9000, 0)):
        assert patch.cut(picture).shape == (PATCH_PX, PATCH_PX, 3)


def test_mirror_swaps_each_pair_once() -> None:
    assert len(set(LANDMARKS)) == COUNT == 39
    assert [MIRROR[k] for k in MIRROR] == list(range(COUNT))
    assert MIRROR[LANDMARKS.index(33)] == LANDMARKS.index(263)
    assert MIRROR[LANDMARKS.index(13)] == LANDMARKS.index(13)


def test_filter_holds_still_points_and_keeps_up_with_moving_ones() -> None:
    rng = np.random.default_rng(0)
    face = rng.uniform(0, 100, (COUNT, 2))
    steady = PointFilter()
    noisy = [face + rng.normal(0, 0.4, face.shape) for _ in range(100)]
    held = np.stack([steady.step(one.astype(np.float32), 100.0) for one in noisy])
    assert held[25:].std(0).mean() < 0.6 * np.stack(noisy)[25:].std(0).mean()

    steady.reset()
    speed = np.array([4.0, 0.0])  # a face width a second
    for t in range(20):
        at = (face + t * speed).astype(np.float32)
        out = steady.step(at, 100.0)
    assert np.abs(out - at).max() < 0.5 * 4.0  # behind by less than half a frame


def test_filter_starts_anew() -> None:
    steady = PointFilter()
    steady.step(np.zeros((COUNT, 2), np.float32), 100.0)
    steady.reset()
    jumped = np.full((COUNT, 2), 50.0, np.float32)
    assert (steady.step(jumped, 100.0) == jumped).all()


def test_cascades_propose_nothing_on_a_blank_picture() -> None:
    from engine.face.detect import FaceDetector

    detector = FaceDetector()
    grey = cv2.GaussianBlur(np.full((240, 320, 3), 128, np.uint8), (0, 0), 2)
    assert [detector.search(grey) for _ in range(3)] == [[], [], []]
