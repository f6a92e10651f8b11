"""What denoiser calls cost on this machine: the windows of several streams in one call against as
many calls at the same time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
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
    from as many threads, which may have a core each. The best of some rounds.
    """

    shared_ms: tuple[float, ...]
    separate_ms: tuple[float, ...]

    @property
    def most(self) -> int:
        """Windows that a call should hold; 1 where sharing does not pay."""
        most = 1
        for size, shared, separate in zip(SIZES, self.shared_ms, self.separate_ms, strict=True):
            if size > 1 and shared > WORTH * separate:
                return most
            most = size
        return MOST  # all that were measured paid

    def windows_within(self, budget_ms: float) -> int:
        """Windows that shared calls, one after the other, get done in this time."""
        size = min(self.most, SIZES[-1])
        return int(budget_ms / self.shared_ms[size - 1] * size)


def measure_costs(call: Call, window: WindowInput) -> CallCosts:
    """Runs `call` with copies of one window for a few hundred ms. See `LipSyncEngine.denoise`."""
    with ThreadPoolExecutor(SIZES[-1]) as pool:

        def separately(windows: Sequence[WindowInput]) -> None:
            for job in wait([pool.submit(call, [window]) for window in windows]).done:
                job.result()

        return CallCosts(
            tuple(_best_ms(call, [window] * size) for size in SIZES),
            tuple(_best_ms(separately, [window] * size) for size in SIZES),
        )


def _best_ms(call: Callable[[Sequence[WindowInput]], object], windows: list[WindowInput]) -> float:
    spent = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        call(windows)
        spent.append(1000 * (time.perf_counter() - begin))
    return min(spent)
