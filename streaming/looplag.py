"""How late the event loop is: timers run after their time where it finds no core."""

import asyncio
import time
from collections import deque

PROBE_S = 0.02
KEPT_S = 1.0


class LoopLag:
    """`watch` must run on the loop that is asked about."""

    def __init__(self) -> None:
        self._late: deque[tuple[float, float]] = deque()  # when, by how much; s

    async def watch(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(PROBE_S)
            now = time.monotonic()
            self._late.append((now, now - before - PROBE_S))
            while now - self._late[0][0] > KEPT_S:
                self._late.popleft()

    def worst_s(self, last_s: float = KEPT_S) -> float:
        """The latest timer of the last `last_s` seconds, KEPT_S at most; one that is due and has
        not run counts.
        """
        if not self._late:
            return 0.0
        now = time.monotonic()
        waiting = now - self._late[-1][0] - PROBE_S
        return max([waiting, *(late for at, late in self._late if now - at <= last_s)])
