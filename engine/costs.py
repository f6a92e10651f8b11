"""What denoiser calls cost on this machine: the windows of several streams in one call against as
many calls at the same time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.batch import MOST, Call

if TYPE_CHECKING:
    from engine.stream import WindowInput

SIZES = (1, 2, 3, 4)
ROUNDS = 6
WORTH = 0.95  # of separate calls' time: a shared one must save more than what waiting for it costs


@dataclass(frozen=True, slots=True)
class CallCosts:
    """Wall-clock ms until 1, 2, 3 and 4 windows are done: in one call, and in calls of their own
    from as many threads, which may have a core each; the best of some rounds.
    """

    shared_ms: tuple[float, ...]
    separate_ms: tuple[float, ...]

    @property
    def most(self) -> int:
        """Windows that a call may hold: 1 unless sharing pays at every size."""
        pairs = zip(self.shared_ms[1:], self.separate_ms[1:], strict=True)
        return MOST if all(shared < WORTH * separate for shared, separate in pairs) else 1

    def windows_within(self, budget_ms: float) -> int:
        """Windows that the largest calls measured, one after the other, get done in this time."""
        return int(budget_ms / self.shared_ms[-1] * SIZES[-1])


def measure_costs(call: Call, window: WindowInput) -> CallCosts:
    """Runs `call` with copies of one window for a few hundred ms. See `LipSyncEngine.denoise`."""
    shared_ms, separate_ms = [math.inf] * len(SIZES), [math.inf] * len(SIZES)
    with ThreadPoolExecutor(SIZES[-1]) as pool:

        def separately(windows: Sequence[WindowInput]) -> None:
            for job in [pool.submit(call, [window]) for window in windows]:
                job.result()

        for _ in range(ROUNDS):  # side by side, so that whatever else runs slows both
            for k, size in enumerate(SIZES):
                windows = [window] * size
                shared_ms[k] = min(shared_ms[k], _spent_ms(call, windows))
                separate_ms[k] = min(separate_ms[k], _spent_ms(separately, windows))
    return CallCosts(tuple(shared_ms), tuple(separate_ms))


def _spent_ms(call: Callable[[Sequence[WindowInput]], object], windows: list[WindowInput]) -> float:
    begin = time.perf_counter()
    call(windows)
    return 1000 * (time.perf_counter() - begin)
