"""The received voice: a 48 kHz timeline of packets in their places, and 16 kHz for the model.

The timeline owns lateness, loss and silence; it knows nothing of frames or of the network.
"""

import math

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]

RATE_HZ = 48_000
CAPACITY = RATE_HZ  # samples: 1 s
LOST_AFTER_S = 0.06  # this long without a packet, the clock goes on with silence
LATE_PACKETS = 5  # so many packets in a row behind the reader mean that the delay has grown
FADE = 240  # samples: 5 ms
JUMP = RATE_HZ // 2  # a timestamp step that no loss explains


class SoundTimeline:
    """A bounded ring of mono samples. Not thread-safe: one event loop owns it.

    Positions are samples since the start. `unread` samples may be taken by `read`, holes in them
    are concealed by a fade. While nothing arrives `fill` lets silence flow at the clock's rate.
    """

    def __init__(self) -> None:
        self._ring = np.zeros(CAPACITY, np.int16)
        self._known = np.zeros(CAPACITY, bool)
        self._offset: int | None = None  # position = timestamp + offset
        self._end = 0
        self._read = 0
        self._heard_at: float | None = None  # the end of the sound corresponds to this instant
        self._arrived_at = -math.inf
        self._late_run = 0
        self._last_sample = 0.0
        self.lost_samples = 0
        self.late_samples = 0
        self.silent_samples = 0
        self.shifted_samples = 0

    @property
    def unread(self) -> int:
        return self._end - self._read

    def write(self, timestamp: int, samples: Pcm, now: float) -> None:
        """Sets int16 mono 48 kHz samples to their place; late ones go where still unread."""
        if self._offset is None:
            self._offset = self._end - timestamp
        position = timestamp + self._offset
        if not -JUMP < position - self._end < JUMP:
            self._shift(self._end - position)
            position = self._end
        self._arrived_at = now
        if position < self._read:
            position, samples = self._mend_late(position, samples)
        else:
            self._late_run = 0
        self._set(position, samples)
        if position + len(samples) >= self._end:
            self._end = position + len(samples)
            self._heard_at = now
        self._bound()

    def fill(self, now: float) -> None:
        """Lets silence flow while no sound arrives (muted, lost, or none sent at all)."""
        if self._heard_at is None:
            self._heard_at = now
        if now - self._arrived_at < LOST_AFTER_S:
            return
        count = max(0, int((now - self._heard_at) * RATE_HZ))
        self._set(self._end, np.zeros(min(count, CAPACITY), np.int16))
        self.silent_samples += count
        self._end += count
        self._heard_at += count / RATE_HZ
        self._bound()

    def ready_at(self, count: int, now: float) -> float:
        """When `count` samples will be unread at the latest, if nothing more arrives."""
        heard_at = now if self._heard_at is None else self._heard_at
        return max(self._arrived_at + LOST_AFTER_S, heard_at + (count - self.unread) / RATE_HZ)

    def read(self, count: int) -> Pcm:
        """Takes `count` <= unread samples; what was lost fades out and in again."""
        assert count <= self.unread
        if count == 0:
            return np.zeros(0, np.int16)
        index = np.arange(self._read, self._read + count) % CAPACITY
        samples, known = self._ring[index], self._known[index]
        self._known[index] = False
        self._read += count
        if not known.all():
            self.lost_samples += int(count - known.sum())
            samples = _conceal(samples, known, self._last_sample)
        self._last_sample = float(samples[-1])
        return samples

    def keep(self, count: int) -> None:
        """Forgets all but the newest `count` unread samples."""
        if self.unread > count:
            self._skip(self.unread - count)

    def drop(self, count: int) -> None:
        """Skips unread samples, to follow a picture clock that runs behind."""
        self._skip(min(count, self.unread))

    def _skip(self, count: int) -> None:
        index = np.arange(self._read, self._read + min(count, CAPACITY)) % CAPACITY
        self._known[index] = False
        self._read += count

    def _mend_late(self, position: int, samples: Pcm) -> tuple[int, Pcm]:
        """Cuts off what the reader has passed; moves the origin when lateness persists."""
        self._late_run += 1
        if self._late_run >= LATE_PACKETS:
            self._shift(self._end - position)
            return self._end, samples
        late = min(self._read - position, len(samples))
        self.late_samples += late
        return self._read, samples[late:]

    def _set(self, position: int, samples: Pcm) -> None:
        index = np.arange(position, position + len(samples)) % CAPACITY
        self._ring[index] = samples
        self._known[index] = True

    def _shift(self, count: int) -> None:
        assert self._offset is not None
        self._offset += count
        self._late_run = 0
        self.shifted_samples += abs(count)

    def _bound(self) -> None:
        if self.unread > CAPACITY // 2:
            self.late_samples += self.unread - CAPACITY // 4
            self._skip(self.unread - CAPACITY // 4)


def _conceal(samples: Pcm, known: NDArray[np.bool_], last: float) -> Pcm:
    """Ramps to zero where sound is missing and back up where it returns, so nothing clicks."""
    out = np.where(known, samples, 0).astype(np.float32)
    edges = np.flatnonzero(np.diff(known.astype(np.int8)))
    for edge in edges.tolist():
        if known[edge]:
            start, level = edge + 1, float(samples[edge])
            _add_decay(out, start, level)
        else:
            stop = min(edge + 1 + FADE, len(out))
            out[edge + 1 : stop] *= np.linspace(0, 1, FADE, dtype=np.float32)[: stop - edge - 1]
    if not known[0]:
        _add_decay(out, 0, last)
    return np.clip(out, -32768, 32767).astype(np.int16)


def _add_decay(out: NDArray[np.float32], start: int, level: float) -> None:
    stop = min(start + FADE, len(out))
    out[start:stop] += level * np.linspace(1, 0, FADE, dtype=np.float32)[: stop - start]


def _low_pass(taps: int = 47, cutoff: float = 7_200 / RATE_HZ) -> NDArray[np.float32]:
    """Windowed-sinc filter against aliases above 8 kHz; its delay is 23 samples (0.5 ms)."""
    n = np.arange(taps) - (taps - 1) / 2
    kernel = np.sinc(2 * cutoff * n) * np.blackman(taps)
    normal: NDArray[np.float32] = (kernel / kernel.sum()).astype(np.float32)
    return normal


class Decimator:
    """48 kHz -> 16 kHz, int16 mono, in blocks of any multiple of 3 samples, without seams."""

    def __init__(self) -> None:
        self._kernel = _low_pass()
        self._tail = np.zeros(len(self._kernel) - 1, np.float32)

    def __call__(self, samples: Pcm) -> Pcm:
        assert len(samples) % 3 == 0
        line = np.concatenate([self._tail, samples.astype(np.float32)])
        self._tail = line[len(line) - len(self._tail) :]
        filtered = np.convolve(line, self._kernel, mode="valid")[::3]
        return np.clip(np.rint(filtered), -32768, 32767).astype(np.int16)
