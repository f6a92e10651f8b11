"""What stands before a face is believed when it is large and stays; it goes slowly, and at once
where the picture changes.
"""

from __future__ import annotations

import numpy as np

from engine.face.cover import CoverTrace

SEEN, MISSED = np.full((4, 4), 0.9, np.float32), np.full((4, 4), 0.1, np.float32)
FACE = np.random.default_rng(0).integers(60, 190, (48, 48, 3), dtype=np.uint8)


def part(first: int, rows: int) -> np.ndarray:
    """`covered` in a stripe of a whole field."""
    field = np.zeros((64, 64), np.float32)
    field[first : first + rows, 16:48] = 1
    return field


def test_what_stays_is_believed_in_a_fifth_of_a_second() -> None:
    trace = CoverTrace()
    trace.follow(FACE, part(0, 0))
    said = [trace.follow(FACE, part(34, 8)) for _ in range(6)]
    assert not said[0].any()
    np.testing.assert_array_equal(said[-1], part(34, 8))


def test_what_a_stream_begins_with_is_believed_at_once() -> None:
    np.testing.assert_array_equal(CoverTrace().follow(FACE, part(34, 8)), part(34, 8))


def test_specks_and_what_is_now_here_now_there_are_no_cover() -> None:
    jumping, small = CoverTrace(), CoverTrace()
    jumping.follow(FACE, part(0, 0))
    for k in range(30):
        assert not jumping.follow(FACE, part((24, 34, 44)[k % 3], 8)).any()
        assert not small.follow(FACE, part(34, 3)).any()


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
    assert not trace.follow(FACE, MISSED).any()
    np.testing.assert_array_equal(trace.follow(FACE, SEEN) > 0.5, SEEN < 0)  # not at once again
