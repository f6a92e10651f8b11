"""Latents that stay on the device between ticks: a pool of rows, and a rolling window of them.

A row holds one latent (16, h, w): a source, the last estimate of a slot, or a stream's eps. Streams
come and go without any memory being allocated; which rows are in use a mask says. Work on different
CUDA streams is put in order by events that each row keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, cast, overload

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError
from engine.runtime.device import Device
from engine.window import Payload, RollingWindow

Array = NDArray[np.float32]
ROWS = 512  # of a stream with four slots: 8 sources and estimates, 4 on their way, eps


class LatentPool:
    """`rows` latents of one shape on the device. Thread-safe.

    in_use: bool (rows,), the mask of rows that somebody holds.
    """

    def __init__(self, device: Device, shape: tuple[int, int, int], rows: int = ROWS) -> None:
        self.device, self.shape = device, shape
        self.row_bytes = 4 * int(np.prod(shape))
        self.in_use = np.zeros(rows, bool)
        self._lock = Lock()
        self._last_use: list[dict[int, Any]] = [{} for _ in range(rows)]
        with device.current():
            self._memory = device.memory(rows * self.row_bytes)
            self._stream = device.stream()
            self._staging = device.pinned(shape)

    def take(self, count: int = 1) -> Latents:
        """Rows whose values are not defined yet.

        Raises:
            EngineError: all are in use.
        """
        with self._lock:
            free = np.flatnonzero(~self.in_use)[:count]
            if len(free) < count:
                raise EngineError("no room for more streams on the GPU: end one")
            self.in_use[free] = True
        return Latents(tuple(Latent(_Row(self, int(index))) for index in free))

    def release(self, index: int) -> None:
        self.in_use[index] = False

    def address(self, index: int) -> int:
        return int(self._memory) + index * self.row_bytes

    def wait(self, rows: Iterable[_Row], stream: Any) -> None:
        """What is queued on `stream` from now on runs after all uses of the rows so far."""
        for row in rows:
            for user, event in list(self._last_use[row.index].items()):
                if user != stream.handle:
                    stream.wait_for_event(event)

    def used(self, rows: Iterable[_Row], stream: Any) -> Any:
        """What is queued on `stream` so far uses these rows; returns the event after it."""
        event = self.device.mark(stream)
        for row in rows:
            self._last_use[row.index][stream.handle] = event
        return event

    def synchronize(self, rows: Iterable[_Row]) -> None:
        """Wait for all uses of the rows so far. With the device current."""
        for row in rows:
            for event in list(self._last_use[row.index].values()):
                event.synchronize()

    def forget(self, stream: Any) -> None:
        """A stream that ends; nothing is queued on it any more. With the device current."""
        for users in self._last_use:
            users.pop(stream.handle, None)

    def put(self, value: Array) -> Latent:
        """A latent from the host."""
        latent = self.take()[0]
        with self.device.current(), self._lock:
            self._staging[...] = value
            self.wait([latent.row], self._stream)
            self.device.to_device(latent.address, self._staging, self._stream)
            self.used([latent.row], self._stream)
            self._stream.synchronize()
        return latent

    def fetch(self, latent: Latent) -> Array:
        """A whole row, on the host."""
        with self.device.current(), self._lock:
            self.wait([latent.row], self._stream)
            self.device.to_host(self._staging, latent.address, self._stream)
            self.used([latent.row], self._stream)
            self._stream.synchronize()
            return self._staging.copy()


class _Row:
    """In use as long as it is referred to."""

    def __init__(self, pool: LatentPool, index: int) -> None:
        self.pool, self.index = pool, index

    def __del__(self) -> None:
        self.pool.release(self.index)


@dataclass(frozen=True, eq=False)
class Latent:
    """A latent on the device, or a part of it; indexed as the array (16, h, w) that it is."""

    row: _Row
    top: int = 0
    left: int = 0
    part: tuple[int, int] | None = None  # all of it

    @property
    def address(self) -> int:
        return self.row.pool.address(self.row.index)

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.row.pool.shape
        return (channels, *(self.part or (height, width)))

    def __getitem__(self, where: tuple[slice, slice, slice]) -> Latent:
        channels, rows, columns = where
        _, height, width = self.shape
        top, bottom, down = rows.indices(height)
        left, right, along = columns.indices(width)
        if channels != slice(None) or (down, along) != (1, 1):
            raise IndexError("a part of a latent has all channels and neighbouring pixels")
        return Latent(self.row, self.top + top, self.left + left, (bottom - top, right - left))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        _, height, width = self.shape
        whole = self.row.pool.fetch(self)
        part = whole[:, self.top : self.top + height, self.left : self.left + width]
        return part.astype(dtype or np.float32)


class Latents(Sequence[Latent]):
    """Several, as the array (L, 16, h, w) that they are."""

    def __init__(self, latents: Iterable[Latent]) -> None:
        self._latents = tuple(latents)

    @overload
    def __getitem__(self, index: int) -> Latent: ...
    @overload
    def __getitem__(self, index: slice) -> Latents: ...
    def __getitem__(self, index: int | slice) -> Latent | Latents:
        if isinstance(index, slice):
            return Latents(self._latents[index])
        return self._latents[index]

    def __len__(self) -> int:
        return len(self._latents)

    def __iter__(self) -> Iterator[Latent]:
        return iter(self._latents)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self._latents[0].shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.stack([np.asarray(latent) for latent in self._latents]).astype(
            dtype or np.float32
        )


@dataclass(frozen=True, eq=False)
class NoisyLatent:
    """(1 - mix) base + mix eps, worked out by the denoiser's graph."""

    base: Latent
    eps: Latent
    mix: float


class DeviceWindow(RollingWindow[Payload]):
    """A rolling window whose latents are rows of a pool. Its x is a sequence of `NoisyLatent`."""

    def __init__(
        self,
        pool: LatentPool,
        levels: tuple[float, ...],
        seed: int,
        others: Mapping[int, tuple[float, ...]],
    ) -> None:
        super().__init__(levels, pool.shape, seed, others)
        self._pool = pool
        self.eps: Any = pool.put(self.eps)

    def push(self, z: Any, payload: Payload, real: bool = True) -> None:
        there: Any = z if isinstance(z, Latent) else self._pool.put(z)
        super().push(there, payload, real)

    def noised(self, latent: Any, level: float) -> Any:
        return NoisyLatent(latent, self.eps, level)

    def x(self) -> Any:
        return tuple(slot.x for slot in self.slots)

    def z(self) -> Any:
        return Latents(cast(Latent, slot.z) for slot in self.slots)
