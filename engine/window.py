"""The rolling window: slots at rising noise levels, refined together once a tick, with cached
progressive-noise latents.

A frame enters at the noisy end as its own source latent under noise (OmniSync's progressive noise
initialisation), is refined once a tick
while it grows old, and leaves finished after as many ticks as there are slots. Between ticks a slot
keeps its estimate, re-noised to the next
level with the stream's one eps.

The window may change its size between ticks. A smaller one lets two frames go in one tick, a larger
one none: each frame still leaves once, in its order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.flow import add_noise

Latent = NDArray[np.float32]
Payload = TypeVar("Payload")


@dataclass(slots=True)
class Slot(Generic[Payload]):
    """One frame in the window: source latent z (16, h, w), noisy latent x, and what the caller
    keeps with it.
    """

    z: Latent
    x: Latent
    level: float  # of the noise in x
    payload: Payload
    real: bool = (
        True  # False for the copies that fill the window at the start and push it out at the end
    )


class RollingWindow(Generic[Payload]):
    """Slots at rising levels; `push`, then `x` and `z` for the denoiser, then `accept` its
    estimate.

    Args:
        levels: noise level of each slot, oldest first, rising; the last one is tau.
        shape: latent shape (16, h, w).
        seed: draws eps, once: a new eps a frame would flicker.
        others: levels of the other sizes that `resize` may ask for.
        rest: how far a value of an estimate must lie from the slot's last one to replace it. A
            denoiser of few bits never gives the same answer twice, and answers itself through the
            cached latents: on a still picture what it draws would shimmer.
    """

    def __init__(
        self,
        levels: tuple[float, ...],
        shape: tuple[int, int, int],
        seed: int = 0,
        others: Mapping[int, tuple[float, ...]] | None = None,
        rest: float = 0.0,
    ) -> None:
        self.regrid({**(others or {}), len(levels): levels})
        self.size = len(levels)
        self.eps: Latent = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
        self._slots: deque[Slot[Payload]] = deque()
        self._pushed = False
        self._rest = rest
        self._last: Latent | None = None  # estimates of the tick before

    @property
    def slots(self) -> tuple[Slot[Payload], ...]:
        """Oldest first."""
        return tuple(self._slots)

    @property
    def levels(self) -> NDArray[np.float32]:
        """(L,) of the slots at hand between `push` and `accept`."""
        return np.array([slot.level for slot in self._slots], np.float32)

    def regrid(self, grids: Mapping[int, tuple[float, ...]]) -> None:
        """Other levels, of every size, from the next `push` or `accept` on; slots keep the noise
        that they have until then.
        """
        for grid in grids.values():
            if list(grid) != sorted(grid) or not grid:
                raise ValueError(f"levels must rise from the oldest slot to the newest, got {grid}")
        self._grids = {size: np.array(grid, np.float32) for size, grid in grids.items()}

    def resize(self, size: int) -> None:
        """The number of slots from the next tick on; a larger window fills tick by tick.

        Raises:
            ValueError: there are no levels for it, or for a size on the way to it.
        """
        if any(k not in self._grids for k in range(min(size, self.size), max(size, self.size) + 1)):
            offered = ", ".join(str(k) for k in sorted(self._grids))
            raise ValueError(f"no levels for a window of {size} slots: there are {offered}")
        self.size = size

    def clear(self) -> None:
        self._slots.clear()
        self._pushed = False
        self._last = None

    def push(self, z: Latent, payload: Payload, real: bool = True) -> None:
        """Enter a frame: x = (1 - tau) z + tau eps. The first one also fills the older slots, as if
        it had stood still.
        """
        if self._pushed:
            raise RuntimeError("push before the last estimate was accepted")
        if not self._slots:
            for level in self._grids[self.size][:-1].tolist():
                self._slots.append(Slot(z, self.noised(z, level), level, payload, real=False))
        tau = float(self._grids[len(self._slots) + 1][-1])
        self._slots.append(Slot(z, self.noised(z, tau), tau, payload, real))
        self._pushed = True

    def noised(self, latent: Latent, level: float) -> Latent:
        """(1 - level) latent + level eps."""
        return add_noise(latent, self.eps, level)

    def x(self) -> Latent:
        """(L, 16, h, w)."""
        return np.stack([s.x for s in self._slots])

    def z(self) -> Latent:
        """(L, 16, h, w)."""
        return np.stack([s.z for s in self._slots])

    def accept(self, x0: Latent) -> list[tuple[Latent, Slot[Payload]]]:
        """Take the denoiser's estimate (L, 16, h, w): the oldest slot leaves finished, the others
        move one level down. Two or more leave a window that shrinks, none one that grows.
        """
        if self._rest:
            x0 = self._rested(x0)
        leaving = max(0, len(self._slots) - self.size + 1)
        done = [(estimate, self._slots.popleft()) for estimate in x0[:leaving]]
        levels = self._grids[len(self._slots) + 1]
        for level, slot, estimate in zip(levels.tolist(), self._slots, x0[leaving:], strict=False):
            slot.x, slot.level = self.noised(estimate, level), level
        self._pushed = False
        return done

    def _rested(self, x0: Latent) -> Latent:
        if self._last is not None and self._last.shape == x0.shape:
            x0 = np.where(np.abs(x0 - self._last) < self._rest, self._last, x0)
        self._last = x0
        return x0
