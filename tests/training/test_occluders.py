"""What covers a mouth covers it alike in every track, and leaves the rest of the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.face.align import MOUTH_CENTRE
from training.occluders import KINDS, Occluder

SIZE = 96


@pytest.mark.parametrize("kind", KINDS)
def test_same_cover_on_every_track(kind: str) -> None:
    tracks = np.random.default_rng(0).integers(0, 255, (2, 3, SIZE, SIZE, 3), dtype=np.uint8)
    thing = Occluder.sample(np.random.default_rng(1), SIZE, kind)
    painted, covers = zip(*(thing.paint(track) for track in tracks), strict=True)
    np.testing.assert_array_equal(covers[0], covers[1])
    assert covers[0].max() > 0.5
    differ = np.abs(painted[0].astype(float) - painted[1])
    assert (differ <= 255 * (1 - covers[0][..., None]) + 1).all()


@pytest.mark.parametrize("kind", ("foam", "mesh", "fingers", "palm", "cup"))
def test_lies_on_the_mouth_and_not_on_the_eyes(kind: str) -> None:
    y, x = (np.mgrid[0:SIZE, 0:SIZE] + 0.5) / SIZE
    near_mouth = np.hypot(x - MOUTH_CENTRE[0], y - MOUTH_CENTRE[1]) < 0.2
    blank = np.full((1, SIZE, SIZE, 3), 128, np.uint8)
    shares = []
    for seed in range(12):
        _, cover = Occluder.sample(np.random.default_rng(seed), SIZE, kind).paint(blank)
        shares.append(cover[0][near_mouth].mean())
        assert cover[0][: SIZE // 8].mean() < 0.15
    assert 0.1 < np.mean(shares) < 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_outside_cover_and_shadow_nothing_changes(kind: str) -> None:
    blank = np.full((1, SIZE, SIZE, 3), 128, np.uint8)
    thing = Occluder.sample(np.random.default_rng(2), SIZE, kind)
    bare = replace(thing, shadow=replace(thing.shadow, depth=0.0))
    painted, cover = bare.paint(blank)
    np.testing.assert_array_equal(painted[0][cover[0] == 0], 128)
    shaded, _ = thing.paint(blank)
    assert (shaded[0][cover[0] == 0] <= 128).all()


def test_seeded() -> None:
    blank = np.full((2, SIZE, SIZE, 3), 128, np.uint8)
    first, second = (Occluder.sample(np.random.default_rng(5), SIZE).paint(blank) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
