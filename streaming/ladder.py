"""What a call gives up when its ticks take longer than 40 ms, in order, and how it gets it back.

Pure logic on counts of slots, 25 a second: no clock, no tasks. Sound has no part in it.
"""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum

BUDGET_S = 0.040  # of one tick
OVERLOAD_S = 0.038  # mean above which slots pile up
RELIEF_S = 0.030  # what the step above may be expected to take
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
            self._go(self._at + 1)
        return not self.resting or self._since_change % TRIAL_EVERY == 0

    def ticked(self, seconds: float) -> None:
        """Learns how long a tick took, waiting for a core included."""
        if not self._started:  # the first one waits for its stream to be opened
            self._started = True
            return
        self._spent.append(min(seconds, 2 * BUDGET_S))  # one long tick is no overload
        self._judge()

    def skipped(self) -> None:
        """Learns that a slot waited for the engine in vain."""
        if self._started and not self.resting:
            self._spent.append(BUDGET_S)
            self._judge()

    def _judge(self) -> None:
        count = len(self._spent)
        mean_s = sum(self._spent) / count
        patience = 2 if self._wary else 1
        if self.resting:
            if count < TRIALS * patience:
                return
            if mean_s < RELIEF_S:
                self._go(self._steps.index(Step.HOLD) - 1)
            else:
                self._spent.popleft()
        elif count >= LEAST and mean_s > OVERLOAD_S:
            self._go(self._at + 1)
        elif self._at and count >= LEAST and self._since_change >= LEAST * patience:
            relieved = mean_s * _DEARER[self.step] < RELIEF_S
            if relieved:
                self._go(self._at - 1)

    def _go(self, at: int) -> None:
        if at > self._at:
            self._wary = self._since_climb < EARLY_FALL
        else:
            self._since_climb = 0
        self._at = at
        self._since_change = 0
        self._spent.clear()
