"""What stands before a face comes at once, goes slowly, and at once where the picture changes."""

from __future__ import annotations

import numpy as np

from engine.face.cover import CoverTrace

SEEN, MISSED = np.full((4, 4), 0.9, np.float32), np.full((4, 4), 0.1, np.float32)
FACE = np.random.default_rng(0).integers(60, 190, (48, 48, 3), dtype=np.uint8)


def test_it_comes_at_once() -> None:
    trace = CoverTrace()
    trace.follow(FACE, MISSED)
    np.testing.assert_array_equal(trace.follow(FACE, SEEN), SEEN)


def test_a_missed_frame_does_not_uncover_it_but_many_do() -> None:
    trace = CoverTrace()
    trace.follow(FACE, SEEN)
    said = [float(trace.follow(FACE, MISSED).max()) for _ in range(60)]
    assert said[0] > 0.7
    assert sorted(said, reverse=True) == said
    assert said[-1] < 0.15


def test_where_something_else_is_now_it_is_gone() -> None:
    trace = CoverTrace()
    trace.follow(FACE, SEEN)
    other = FACE.copy()
    other[:, :24] = 255
    said = trace.follow(other, MISSED)
    np.testing.assert_array_equal(said[:, 0], MISSED[:, 0])
    assert said[:, -1].min() > 0.7


def test_forgotten_it_starts_anew() -> None:
    trace = CoverTrace()
    trace.follow(FACE, SEEN)
    trace.forget()
    np.testing.assert_array_equal(trace.follow(FACE, MISSED), MISSED)
