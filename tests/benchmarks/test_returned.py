"""What is made of returned pictures and sound."""

import numpy as np
import pytest

from benchmarks.figures import new_pictures
from benchmarks.replay import Arrival, SeenPicture
from benchmarks.returned import find_delay_s, freezes, picture_ages_ms, steady_from_s
from benchmarks.sound_path import pictures_per_second, sound_path


def seen(times: list[float], stamps: list[int | None], age_s: float = 0.1) -> list[SeenPicture]:
    return [
        SeenPicture(at, stamp, None if stamp is None else at - age_s, round(90_000 * at), 640)
        for at, stamp in zip(times, stamps, strict=True)
    ]


def test_repeated_and_unreadable_pictures_are_not_new() -> None:
    pictures = seen([0.0, 0.04, 0.08, 0.12], [7, 7, None, 8])
    assert [p.stamp for p in new_pictures(pictures)] == [7, 8]
    assert picture_ages_ms(pictures) == pytest.approx([100, 100])


def test_freeze_is_a_gap_between_new_pictures_or_at_an_end() -> None:
    pictures = seen([0.1, 0.14, 0.45, 0.49], [1, 2, 3, 4])
    assert freezes(pictures, 0.0, 0.6) == 1
    assert freezes(pictures, 0.0, 1.0) == 2
    assert freezes([], 0.0, 1.0) == 1


def test_steady_begins_where_a_whole_second_follows() -> None:
    slow = [n / 10 for n in range(20)]
    fast = [2.0 + n / 25 for n in range(60)]
    pictures = seen([*slow, *fast], list(range(80)))
    assert steady_from_s(pictures, 0.5, 24.0) == pytest.approx(1.5)
    assert steady_from_s(pictures[:20], 0.0, 24.0) is None


@pytest.mark.parametrize("played_s", [0.3, 1.7, 12.34])
def test_sound_is_found_again_in_the_loop(played_s: float) -> None:
    rng = np.random.default_rng(0)
    recorded = (3000 * rng.standard_normal(5 * 48_000)).astype(np.int16)
    start = round((played_s - 0.125) * 48_000)
    returned = recorded[np.arange(start, start + 48_000) % len(recorded)]
    noisy = (returned + 500 * rng.standard_normal(len(returned))).astype(np.int16)
    assert find_delay_s(recorded, noisy, played_s) == pytest.approx(0.125, abs=0.001)
    other = (3000 * rng.standard_normal(48_000)).astype(np.int16)
    assert find_delay_s(recorded, other, played_s) is None


def arrivals(timestamps: list[int], period_s: float = 0.02) -> list[Arrival]:
    return [Arrival(n * period_s, n, t & 0xFFFFFFFF, True) for n, t in enumerate(timestamps)]


def test_unbroken_sound_across_the_wrap_of_its_clock() -> None:
    start = (1 << 32) - 2000
    path = sound_path(arrivals([start + 960 * n for n in range(10)]), 0.0, 0.2)
    assert path.missing_ms == 0 and path.packets == 10
    assert path.longest_gap_ms == pytest.approx(20)


def test_missing_sound_is_counted_and_order_is_not() -> None:
    path = sound_path(arrivals([0, 960, 2880, 1920, 1920, 4800 + 960]), 0.0, 0.12)
    assert path.missing_ms == pytest.approx(40)


def test_sound_that_begins_late_or_stops_is_missing() -> None:
    whole = arrivals([960 * n for n in range(100)])
    assert sound_path(whole, 0.0, 2.0).missing_ms == 0
    assert sound_path(whole, 0.0, 5.0).missing_ms == pytest.approx(3020)
    assert sound_path(whole, -1.0, 2.0).missing_ms == pytest.approx(1000)
    assert sound_path([], 0.0, 2.0).missing_ms == 2000


def test_pictures_count_by_their_last_packet() -> None:
    packets = [Arrival(0.0, 0, 0, False), Arrival(0.0, 1, 0, True), Arrival(0.1, 2, 3600, False)]
    assert pictures_per_second(packets, 0.5) == 2
