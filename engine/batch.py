"""One denoiser call for the windows of many streams, under a deadline.

Ticks come from cameras, each at its own phase. A window waits a few ms for others; one that stays
alone runs alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Event
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from engine.stream import WindowInput

Array = NDArray[np.float32]
Call = Callable[[Sequence["WindowInput"]], list[Array]]

MOST = 16  # windows of one call
WAIT_S = 0.003  # for others, at most: less than a shared call saves on a GPU, a tenth of a tick


class SharedCalls:
    """Gathers windows that several threads bring at about the same time.

    The first to come leads: it waits for company, runs the call and wakes the others. One call runs
    at a time, in the order in which they were begun; who comes meanwhile gathers for the next one,
    so no window waits for more than one call of its kind. An error of a shared call makes each
    window run alone: it reaches the stream that caused it, and no other.

    call: see `LipSyncEngine.denoise`. most: windows of one call. wait_s: for others.
    observe: told the size of each call, in the leader's thread.
    """

    def __init__(
        self,
        call: Call,
        most: int = MOST,
        wait_s: float = WAIT_S,
        observe: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._call = call
        self._most = most
        self._wait_s = wait_s
        self._observe = observe
        self._changed = Condition()
        self._open: dict[tuple[object, int], _Gathering] = {}
        self._turns: deque[_Gathering] = deque()  # calls that run or wait to, oldest first

    def __call__(self, window: WindowInput, company: int) -> Array:
        """x0 (L, 16, h, w). Blocks until the window's call has run.

        company: streams that may bring a window, this one included; nobody waits for more.
        """
        key = window.denoiser, len(window.level)  # only these fit into one call
        with self._changed:
            gathering = self._open.get(key)
            leads = gathering is None
            if gathering is None:
                gathering = self._open[key] = _Gathering()
                self._turns.append(gathering)
            place = len(gathering.windows)
            gathering.windows.append(window)
            if place + 1 >= min(company, self._most):
                self._close(key, gathering)
            if leads:
                self._changed.wait_for(lambda: gathering.closed, self._wait_s)
                self._changed.wait_for(lambda: self._turns[0] is gathering)
                self._close(key, gathering)
        if leads:
            self._lead(gathering)
        else:
            gathering.done.wait()
        if gathering.x0 is None:
            return self._call([window])[0]
        return gathering.x0[place]

    def _close(self, key: tuple[object, int], gathering: _Gathering) -> None:
        if not gathering.closed:
            gathering.closed = True
            del self._open[key]
            self._changed.notify_all()

    def _lead(self, gathering: _Gathering) -> None:
        windows = gathering.windows
        try:
            gathering.x0 = self._call(windows)
            self._observe(len(windows))
        except Exception:
            # Whatever it was, each window finds out alone whether it was the one.
            if len(windows) == 1:
                raise
        finally:
            with self._changed:
                self._turns.popleft()
                self._changed.notify_all()
            gathering.done.set()


@dataclass(eq=False, slots=True)
class _Gathering:
    windows: list[WindowInput] = field(default_factory=list)
    closed: bool = False
    done: Event = field(default_factory=Event)
    x0: list[Array] | None = None  # none: the call failed


class InputRows:
    """The denoiser's inputs for many windows, one row each, filled anew for each call.

    Arrays are made once for each number of slots, and once more where two threads call at the same
    time. A stream has no row of its own: windows take the first rows as they come, so that those in
    use lie together and are the call's input as they are.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._free: dict[int, deque[dict[str, Array]]] = {}

    @contextmanager
    def stacked(self, windows: Sequence[WindowInput]) -> Iterator[Mapping[str, Array]]:
        """The inputs of at most `most` windows of as many slots each; valid inside the block.

        Raises:
            ValueError: a window has another shape than the first one that was ever stacked.
        """
        if len(windows) == 1:
            yield {name: value[None] for name, value in _inputs(windows[0]).items()}
            return
        free = self._free.setdefault(len(windows[0].level), deque())
        try:
            rows = free.pop()
        except IndexError:
            first = _inputs(windows[0]).items()
            rows = {name: np.empty((self._most, *value.shape), np.float32) for name, value in first}
        try:
            for k, window in enumerate(windows):
                for name, value in _inputs(window).items():
                    if value.shape != rows[name].shape[1:]:
                        raise ValueError(f"{name}: {value.shape} is not {rows[name].shape[1:]}")
                    rows[name][k] = value
            yield {name: values[: len(windows)] for name, values in rows.items()}
        finally:
            free.append(rows)


def _inputs(window: WindowInput) -> dict[str, Array]:
    return {
        "x": window.x,
        "z": window.z,
        "level": window.level,
        "tokens": window.tokens,
        "strength": np.asarray(window.strength, np.float32),
        "mouth": np.asarray(window.mouth, np.float32),
    }
