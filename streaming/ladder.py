"""What a call gives up when its ticks take longer than 40 ms, in order, and how it gets it back.

Pure logic on counts of slots, 25 a second: no clock, no tasks. Sound has no part in it.
"""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum

BUDGET_S = 0.040  # of one tick
OVERLOAD_S = 0.038  # mean above which slots pile up
RELIEF_S = 0.030  # what the step above may be expected to take
# Without the engine's work nothing moves with the voice: better to lose some pictures than all.
SKIPPED_SHARE = 1 / 3  # of the slots, from which on the engine rests
TRIED_S = 0.045  # a tick of two slots while it rests: every second frame would fit again
WINDOW = 12  # slots that are judged together: 0.5 s
LEAST = 8  # of them, after a change
TRIALS = 3  # ticks that are judged where the engine rests
TRIAL_EVERY = 5  # slots: the engine's work in between is left out
HOLD_SLOTS = 25  # then a picture that stands still is worse than one that is not synced
# A climb that lasted less than this was too early: the next one waits twice as long. Even so all
# steps together take less than 3 s.
EARLY_FALL = 50  # slots


class Step(IntEnum):
    """How much is given up. The order is that of going down."""

    FULL = 0
    SHORT = 1  # two slots in the window: 40 ms of look-ahead
    EVERY_SECOND = 2  # every second frame through the networks, the other one between two
    HOLD = 3  # the last picture again
    PASS_THROUGH = 4  # the camera's own picture


# A tick of the step above over one of this step: measured 12.0, 10.7 and 8.9 ms of CPU.
_DEARER = {Step.SHORT: 1.15, Step.EVERY_SECOND: 1.25}


@dataclass(frozen=True, slots=True)
class Effort:
    """What the engine's stream is to do; see engine.LipSyncStream."""

    slots: int
    every_second: bool = False


class Ladder:
    """One call's step, from how long its ticks take. slots: of the engine's full window."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        # A window of two has no shorter one; a window of one has no neighbours to be between.
        self._steps = [step for step in Step if slots > 2 or step is not Step.SHORT]
        if slots < 2:
            self._steps.remove(Step.EVERY_SECOND)
        self._at = 0
        self._spent: deque[float] = deque(maxlen=WINDOW)
        self._skipped: deque[bool] = deque(maxlen=WINDOW)  # of each in `_spent`
        self._since_change = 0  # slots
        self._since_climb = EARLY_FALL
        self._wary = False
        self._started = False

    @property
    def step(self) -> Step:
        return self._steps[self._at]

    @property
    def resting(self) -> bool:
        """Whether the engine's pictures are not shown; it only tries now and then."""
        return self.step >= Step.HOLD

    @property
    def effort(self) -> Effort:
        if self.step is Step.FULL:
            return Effort(self._slots)
        return Effort(min(2, self._slots), self.step is Step.EVERY_SECOND)

    def due(self) -> bool:
        """To be asked once a slot: whether the engine is to take it."""
        self._since_change += 1
        self._since_climb += 1
        if self.step is Step.HOLD and self._since_change > HOLD_SLOTS:
            self._at, self._since_change = self._at + 1, 0  # what was tried goes on counting
        return not self.resting or self._since_change % TRIAL_EVERY == 0

    def ticked(self, seconds: float) -> None:
        """Learns how long a tick took, waiting for a core included."""
        if not self._started:  # the first one waits for its stream to be opened
            self._started = True
            return
        self._note(min(seconds, 2 * BUDGET_S))  # one long tick is no overload

    def skipped(self) -> None:
        """Learns that a slot waited for the engine in vain."""
        if self._started and not self.resting:
            self._note(BUDGET_S, skipped=True)

    def _note(self, spent_s: float, skipped: bool = False) -> None:
        self._spent.append(spent_s)
        self._skipped.append(skipped)
        if self.resting:
            self._judge_trials()
        elif len(self._spent) >= LEAST:
            self._judge()

    def _judge(self) -> None:
        mean_s = sum(self._spent) / len(self._spent)
        if self._steps[self._at + 1] is Step.HOLD:
            overloaded = sum(self._skipped) >= SKIPPED_SHARE * len(self._skipped)
        else:
            overloaded = mean_s > OVERLOAD_S
        if overloaded:
            self._go(self._at + 1)
        elif (
            self._at
            and self._since_change >= LEAST * self._patience
            and mean_s * _DEARER[self.step] < RELIEF_S
        ):
            self._go(self._at - 1)

    def _judge_trials(self) -> None:
        count = TRIALS * self._patience
        if len(self._spent) >= count and sum(list(self._spent)[-count:]) < TRIED_S * count:
            self._go(self._steps.index(Step.HOLD) - 1)

    @property
    def _patience(self) -> int:
        return 2 if self._wary else 1

    def _go(self, at: int) -> None:
        if at > self._at:
            self._wary = self._since_climb < EARLY_FALL
        else:
            self._since_climb = 0
        self._at = at
        self._since_change = 0
        self._spent.clear()
        self._skipped.clear()
