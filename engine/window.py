"""The rolling window: slots at rising noise levels, refined together once a tick, with cached
progressive-noise latents.

A frame enters at the noisy end as its own source latent under noise (OmniSync's progressive noise
initialisation), is refined once a tick
while it grows old, and leaves finished after as many ticks as there are slots. Between ticks a slot
keeps its estimate, re-noised to the next
level with the stream's one eps.
"""

from __future__ import annotations

from collections import deque
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
    payload: Payload
    real: bool = (
        True  # False for the copies that fill the window at the start and push it out at the end
    )


class RollingWindow(Generic[Payload]):
    """A fixed number of slots; `push`, then `x` and `z` for the denoiser, then `accept` its
    estimate.

    Args:
        levels: noise level of each slot, oldest first, rising; the last one is tau.
        shape: latent shape (16, h, w).
        seed: draws eps, once: a new eps a frame would flicker.
    """

    def __init__(
        self, levels: tuple[float, ...], shape: tuple[int, int, int], seed: int = 0
    ) -> None:
        if list(levels) != sorted(levels) or not levels:
            raise ValueError(f"levels must rise from the oldest slot to the newest, got {levels}")
        self.levels = np.array(levels, np.float32)
        self.eps: Latent = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
        self._slots: deque[Slot[Payload]] = deque()

    @property
    def slots(self) -> tuple[Slot[Payload], ...]:
        """Oldest first."""
        return tuple(self._slots)

    def clear(self) -> None:
        self._slots.clear()

    def push(self, z: Latent, payload: Payload, real: bool = True) -> None:
        """Enter a frame: x = (1 - tau) z + tau eps. The first one also fills the older slots, as if
        it had stood still.
        """
        while len(self._slots) < len(self.levels) - 1:
            level = float(self.levels[len(self._slots)])
            self._slots.append(Slot(z, add_noise(z, self.eps, level), payload, real=False))
        if len(self._slots) != len(self.levels) - 1:
            raise RuntimeError("push before the last estimate was accepted")
        self._slots.append(Slot(z, add_noise(z, self.eps, float(self.levels[-1])), payload, real))

    def x(self) -> Latent:
        """(L, 16, h, w)."""
        return np.stack([s.x for s in self._slots])

    def z(self) -> Latent:
        """(L, 16, h, w)."""
        return np.stack([s.z for s in self._slots])

    def accept(self, x0: Latent) -> tuple[Latent, Slot[Payload]]:
        """Take the denoiser's estimate (L, 16, h, w): the oldest slot leaves finished, the others
        move one level down.
        """
        done = self._slots.popleft()
        for level, slot, estimate in zip(self.levels, self._slots, x0[1:], strict=False):
            slot.x = add_noise(estimate, self.eps, float(level))
        return x0[0], done
