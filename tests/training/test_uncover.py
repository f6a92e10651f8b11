"""What stands before a face is gone from what the judge sees, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")  # of the train extra

from training.evaluation.measure.uncover import uncovered

SKIN, THING = np.array([200, 150, 130], np.uint8), np.array([20, 20, 20], np.uint8)


def covered_face() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    face = np.clip(SKIN + rng.normal(0, 3, (120, 160, 3)), 0, 255).astype(np.uint8)
    cover = np.zeros((120, 160), np.uint8)
    cover[50:90, 60:100] = 255
    face[cover > 0] = THING
    return face, cover


def test_the_place_of_a_cover_shows_what_lies_round_it() -> None:
    face, cover = covered_face()
    out = uncovered(face, cover)
    assert np.abs(out.astype(int) - SKIN)[cover > 0].max() < 10
    beside = np.ones(cover.shape, bool)
    beside[49:91, 59:101] = False
    np.testing.assert_array_equal(out[beside], face[beside])


def test_without_a_cover_or_with_nothing_else_the_picture_stays() -> None:
    face, cover = covered_face()
    assert uncovered(face, np.zeros_like(cover)) is face
    assert uncovered(face, np.full_like(cover, 255)) is face
