"""The arithmetic of the benchmarks, on recordings whose answer is known."""

import numpy as np
import pytest

from benchmarks.figures import (
    STAMP_BITS,
    Shown,
    ages_ms,
    delays_ms,
    first_synced_ms,
    flash_onsets,
    growth,
    new_pictures,
    skews_ms,
    spread,
)


def shown(*entries: tuple[float, int | None]) -> list[Shown]:
    return [Shown(at_ms, stamp, False) for at_ms, stamp in entries]


def test_spread_has_the_quantiles_of_the_sample() -> None:
    found = spread([float(n) for n in range(101)])
    assert found is not None
    assert (found.count, found.p10, found.p50, found.p95, found.p99) == (101, 10, 50, 95, 99)
    assert spread([]) is None


def test_repeats_and_unreadable_stamps_are_not_new() -> None:
    looks = shown((100, 7), (140, 7), (180, None), (220, 7), (260, 8), (300, 7))
    assert [picture.at_ms for picture in new_pictures(looks)] == [100, 260, 300]


def test_age_is_of_the_first_showing_and_survives_the_stamp_s_wrap() -> None:
    end = 1 << STAMP_BITS
    looks = shown((end + 20.9, end - 60), (end + 60.2, end - 60), (end + 95.0, 5))
    assert ages_ms(looks) == [80.0, 90.0]


def test_first_synced_picture_follows_the_passed_ones() -> None:
    looks = shown((900, 1), (1100, 2), (1140, 2), (1180, 3), (1220, 4))
    assert first_synced_ms(looks, 1000, passed=0) == 100
    assert first_synced_ms(looks, 1000, passed=2) == 220
    assert first_synced_ms(looks, 1000, passed=3) is None


def test_flash_counts_once_and_not_when_already_white() -> None:
    states = [True, True, False, True, True, True, False, True]
    looks = [Shown(40.0 * n, n, flash) for n, flash in enumerate(states)]
    assert flash_onsets(looks) == [120.0, 280.0]


def test_skew_is_sound_minus_picture_of_the_nearest_pair() -> None:
    flashes = [1000.0, 2000.0, 3000.0, 4000.0]
    beeps = [1030.0, 1970.0, 4031.0]
    assert skews_ms(flashes, beeps) == [30.0, -30.0, 31.0]
    assert skews_ms(flashes, []) == []


def test_delays_take_the_first_end_after_each_start() -> None:
    assert delays_ms([0.0, 1000.0, 2000.0], [90.0, 950.0, 1110.0]) == [90.0, 110.0]


def test_growth_of_a_line_under_noise() -> None:
    rng = np.random.default_rng(1)
    seconds = np.arange(480.0)
    memory = 300 + 0.25 * seconds / 60 + rng.normal(0, 0.05, seconds.size)
    found = growth(seconds.tolist(), memory.tolist())
    assert found is not None
    assert found.per_minute == pytest.approx(0.25, abs=0.01)
    assert found.line_total == pytest.approx(2.0, abs=0.08)
    assert found.ends == pytest.approx(1.9, abs=0.1)


def test_one_spike_is_no_growth() -> None:
    memory = [300.0] * 120
    memory[60] = 400.0
    found = growth([float(n) for n in range(120)], memory)
    assert found is not None
    assert found.ends == 0
    assert abs(found.line_total) < 1
    assert growth([0.0, 1.0], [1.0, 2.0]) is None
