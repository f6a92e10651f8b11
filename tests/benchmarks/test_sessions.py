"""Verdicts on load and recovery, on invented courses."""

from dataclasses import replace

import pytest

from benchmarks.hog import Course, Moment, _parts, outcome, recovery_s
from benchmarks.replay import Arrival
from benchmarks.sessions import Load, Ramp, _outcome
from benchmarks.sound_path import SoundPath

GOOD = Load("server", 2, 25.0, 24.9, 25.0, 15.0, 30.0, 0.0, 0.0, 0.0, 120.0, 10.0, 0)
BEGAN_S, ENDED_S = 10.0, 20.0
SOUND = SoundPath(500, 0.0, 25.0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"least_synced_fps": 23.0}, "23.0 synced fps"),
        ({"tick_p95_ms": 41.0}, "tick p95"),
        ({"sound_missing_ms": 20.0}, "sound"),
        ({"ladder": 2}, "quality, step 2"),
    ],
)
def test_each_failure_breaks_a_load(change: dict[str, float], reason: str) -> None:
    assert GOOD.breaks == ""
    assert replace(GOOD, **change).breaks == reason


def test_what_is_carried_is_the_last_that_did_not_break() -> None:
    loads = [replace(GOOD, sessions=1), GOOD, replace(GOOD, sessions=3, tick_p95_ms=60.0)]
    ramp = Ramp("server", loads, "", None)
    assert ramp.carried == 2
    carried, refused = _outcome([ramp], ("face", "voice"), limited=True).targets
    assert carried.met and not refused.met  # it broke before it refused: that is no clean refusal


def test_sound_that_stops_for_good_is_missing_though_no_gap_shows_it() -> None:
    def missing(stops_s: float) -> list[float]:
        times = [n * 0.02 for n in range(1500) if n * 0.02 < stops_s]
        came = [Arrival(at, n, 960 * n, True) for n, at in enumerate(times)]
        return [path.missing_ms for path in _parts(came, (0.0, 10.0, 20.0, 30.0))]

    assert missing(30.0) == [0, 0, 0]
    assert missing(15.0) == pytest.approx([0, 0, 15_020], abs=1)
    assert missing(0.0) == [0, 0, 10_000]


def course(recovers_at_s: float, ladder_until_s: float) -> list[Moment]:
    """25 a second, none while hogged and until `recovers_at_s`."""
    moments, out = [], 0.0
    for n in range(120):
        at_s = n / 4
        ladder = 2.0 if BEGAN_S < at_s < ladder_until_s else 0.0
        moments.append(Moment(at_s, {"out": out, "repeated": 0.0}, ladder, 0.0))
        out += 0.0 if BEGAN_S <= at_s < recovers_at_s else 25 / 4
    return moments


def test_recovery_is_the_first_whole_second() -> None:
    assert recovery_s(course(21.5, 21.0), ENDED_S) == pytest.approx(1.5, abs=0.3)
    assert recovery_s(course(ENDED_S, ENDED_S), ENDED_S) == pytest.approx(0.0, abs=0.3)


def test_recovery_waits_for_the_top_of_the_ladder() -> None:
    assert recovery_s(course(21.0, 25.0), ENDED_S) == pytest.approx(4.0, abs=0.3)
    assert recovery_s(course(100.0, ENDED_S), ENDED_S) is None


def test_lost_sound_and_late_recovery_are_missed() -> None:
    full = [
        replace(m, frames={**m.frames, "passed_through": 0.0, "skipped": 0.0})
        for m in course(24.5, 24.0)
    ]
    broken = replace(SOUND, missing_ms=40.0)
    found = outcome(Course(4, BEGAN_S, ENDED_S, full, (SOUND, broken, SOUND), 5.0), ("a", "b"))
    sound, recovery = found.targets
    assert sound.value == 40.0 and not sound.met
    assert recovery.value == pytest.approx(4.5, abs=0.3) and not recovery.met
