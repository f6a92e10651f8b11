"""The output clock: when each media time leaves.

The delay between taking a slot and releasing it follows what the engine needs, slowly, by
stretching the spacing of packets, never by cutting samples. Time is injected.
"""

import math
from collections import deque

import numpy as np

from .mediaclock import FPS

LATENESS_WINDOW = 60  # pictures: 2.4 s
LOST_AFTER_S = 0.3  # slots late for so long: media time was lost
WARM_UP = 20  # first pictures: they tell of starting, not of running
FIRST_JUDGED = 8  # pictures before the first delay is corrected
OUTLIERS = 0.15  # of the pictures may be later than the delay allows; nearly all within the grace
SLACK_S = 0.002
RISE = 0.02  # seconds of delay per second; 2 % is what a receiver stretches without being heard
FAST_RISE = 0.1  # while a whole frame behind: every picture would be late until it has caught up
FALL = 0.02
FAST_FALL = 0.05  # while more than two frames above what is needed
FAR_ABOVE_S = 0.5  # a delay that no stretching takes back in time is given up at once
MAX_DELAY_S = 0.4  # a machine that needs more repeats pictures instead


class PlayoutClock:
    """Release time = base + media time; the base follows the lateness of nearly all pictures."""

    def __init__(self) -> None:
        self._base: float | None = None
        self._first_delay_s = 0.0
        self._moved_at = 0.0
        self._lateness: deque[float] = deque(maxlen=LATENESS_WINDOW)
        self._taken: deque[float] = deque(maxlen=FPS // 2)
        self._target = 0.0
        self._late_since: float | None = None
        self._seen = 0
        self.rebased = 0

    @property
    def started(self) -> bool:
        return self._base is not None

    def start(self, now: float, delay_s: float) -> None:
        """Media time 0 leaves at now + delay_s until experience says otherwise."""
        self._first_delay_s = self._first_delay_s or delay_s
        self._base = self._target = now + delay_s
        self._moved_at = now

    def release(self, media_s: float) -> float:
        assert self._base is not None
        return self._base + media_s

    def taken(self, media_s: float, now: float) -> None:
        """Learns that the slot of this media time was taken at `now`.

        What is late after a stall is sent at once, and catches up. Only when slots go on being
        taken after their release has media time been lost, and the clock moves on.
        """
        self._taken.append(now - media_s)
        if self._base is None or now - media_s <= self._base:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = now
        elif now - self._late_since > LOST_AFTER_S:
            self.start(now, -media_s + self._first_delay_s)
            self._late_since = None
            self._lateness.clear()
            self.rebased += 1

    def ready(self, media_s: float, now: float) -> None:
        """Learns that the picture of this media time became ready at `now`."""
        self._seen += 1
        if self._seen <= WARM_UP:
            return
        self._lateness.append(now - media_s)
        if len(self._lateness) >= FIRST_JUDGED:
            ignored = max(2, int(OUTLIERS * len(self._lateness)))
            needed = float(np.sort(self._lateness)[-1 - ignored]) + SLACK_S
            self._target = min(needed, self._limit())

    def _limit(self) -> float:
        return float(np.median(self._taken)) + MAX_DELAY_S if self._taken else math.inf

    def advance(self, now: float) -> None:
        """Moves the base towards its target, slowly enough to go unheard."""
        assert self._base is not None
        passed = max(0.0, now - self._moved_at)
        self._moved_at = now
        step = self._target - self._base
        if step > 0:
            self._base += min(step, passed * (FAST_RISE if step > 1 / FPS else RISE))
        elif step < -FAR_ABOVE_S:
            self._base = self._target
        else:
            self._base += max(step, -passed * (FAST_FALL if step < -2 / FPS else FALL))
