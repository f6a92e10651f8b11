"""Both ends' rates against the relay's lines, on invented time: sender, line, receiver, reports."""

import heapq
import random
from collections import defaultdict
from collections.abc import Callable

import pytest

from benchmarks.relay import CLEAN, Condition, Line
from streaming.arrivals import SEND_TIME_HZ, LineEstimator
from streaming.sendrate import SendRate

FULL_BPS = 2_000_000
FPS = 25
SOUND_BYTES, SOUND_S = 220, 0.02  # 64 kbit/s and headers
PACKET_BYTES, HEADER_BYTES = 1150, 60
BACK_S = 0.01
NARROW_AT_S = 3


class Course:
    """One way of a call, second by second: what was sent and lost, and how long sound took."""

    def __init__(self, condition: Condition, *, trusts: bool = False, seed: int = 0) -> None:
        """trusts: the sender follows the estimate alone, as a browser does without losses."""
        self.condition = condition
        self.trusts = trusts
        self.pictures: dict[int, int] = defaultdict(int)
        self.sound_lost: dict[int, int] = defaultdict(int)
        self.sound_took_s: dict[int, float] = defaultdict(float)
        self.rates: dict[int, int] = {}
        self._random = random.Random(seed)
        self._line = Line(CLEAN, seed)
        self._rate = SendRate(FULL_BPS)
        self._estimator = LineEstimator(lambda: 0.0)
        self._estimator.missing = lambda: self._missing
        self._told = FULL_BPS
        self._missing = 0
        self._sent = self._lost = 0
        self._took_s = 0.0
        self._busy_until = 0.0
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = 0

    def run(self, seconds: float, *, wide_again_s: float | None = None) -> "Course":
        self._at(0.0, self._picture)
        self._at(0.0, self._sound)
        self._at(1.0, self._report)
        self._at(NARROW_AT_S, lambda now: self._become(self.condition))
        if wide_again_s is not None:
            self._at(wide_again_s, lambda now: self._become(CLEAN))
        while self._events[0][0] < seconds:
            now, _, happen = heapq.heappop(self._events)
            happen(now)
        return self

    def _at(self, when: float, happen: Callable[[float], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, (when, self._order, happen))

    def _become(self, condition: Condition) -> None:
        self._line.condition = condition

    @property
    def _bps(self) -> int:
        return self._told if self.trusts else self._rate.bps

    def _picture(self, now: float) -> None:
        self._at(now + 1 / FPS, self._picture)
        if now < self._busy_until:
            return  # the sender is behind and leaves this one out
        self.pictures[int(now)] += 1
        size = int(self._bps / FPS / 8 * self._random.uniform(0.7, 1.3))
        at = now
        while size > 0:
            part = min(size, PACKET_BYTES)
            size -= part
            self._send(part, at)
            at += 8 * part / (2.5 * self._bps) if self.trusts else self._rate.wait_s(at)
        self._busy_until = at

    def _send(self, size: int, now: float) -> None:
        self._rate.sent(size, now)
        self._sent += 1
        arrival = self._line.arrival_s(size + HEADER_BYTES, now)
        if arrival is None:
            self._lost += 1
            self._missing += 1
            self._at(now + 2 * BACK_S, self._rate.missed)
        else:
            self._at(arrival, lambda at: self._arrive(at, now, size))

    def _arrive(self, now: float, sent: float, size: int) -> None:
        self._took_s = now - sent
        told = self._estimator.add(round(1000 * now), int(sent * SEND_TIME_HZ), size, 1)
        if told is not None:
            self._at(now + BACK_S, lambda at: self._take_estimate(told[0], at))

    def _take_estimate(self, bps: int, now: float) -> None:
        self._told = min(bps, FULL_BPS)
        self._rate.estimated(bps, now)

    def _sound(self, now: float) -> None:
        self._at(now + SOUND_S, self._sound)
        arrival = self._line.arrival_s(SOUND_BYTES, now)
        second = int(now)
        if arrival is None:
            self.sound_lost[second] += 1
        else:
            self.sound_took_s[second] = max(self.sound_took_s[second], arrival - now)

    def _report(self, now: float) -> None:
        self._at(now + 1.0, self._report)
        self._rate.lost(self._lost / max(1, self._sent), now)
        self._rate.took(self._took_s + BACK_S, now)
        self._sent = self._lost = self._missing = 0
        self.rates[round(now)] = self._bps


@pytest.mark.parametrize("trusts", [False, True])
@pytest.mark.parametrize("kbps", [300, 500, 1000])
def test_sound_is_whole_and_pictures_go_on_over_a_narrow_line(kbps: int, trusts: bool) -> None:
    course = Course(Condition("", kbps=kbps), trusts=trusts).run(30)
    settled = range(NARROW_AT_S + 3, 30)
    assert sum(course.sound_lost[s] for s in settled) == 0
    assert sum(course.sound_lost.values()) * SOUND_S < 0.6
    assert min(course.pictures[s] for s in settled) >= 20
    assert max(course.sound_took_s[s] for s in settled) < 0.15
    # Half of what sound leaves is used at the least, and never more than there is for long.
    room = 1000 * kbps - 8 * SOUND_BYTES / SOUND_S
    rates = [course.rates[s] for s in settled]
    assert min(rates) > 0.5 * room and sum(rates) / len(rates) < room


def test_rate_comes_back_with_the_line() -> None:
    course = Course(Condition("", kbps=500)).run(60, wide_again_s=8)
    assert course.rates[6] < 450_000
    assert course.rates[20] > course.rates[10]
    assert course.rates[58] == FULL_BPS


@pytest.mark.parametrize(
    "condition",
    [CLEAN, Condition("", loss=0.05), Condition("", jitter_ms=40), Condition("", reordered=0.02)],
)
def test_line_with_room_is_left_alone(condition: Condition) -> None:
    for trusts in (False, True):
        course = Course(condition, trusts=trusts).run(30)
        assert set(course.rates.values()) == {FULL_BPS}


def test_deep_queue_is_not_filled() -> None:
    """A line that drops nothing, only delays: no loss tells of it."""
    course = Course(Condition("", kbps=500, queue_ms=10_000)).run(25)
    assert sum(course.sound_lost.values()) == 0
    assert max(course.sound_took_s[s] for s in range(15, 25)) < 0.3
