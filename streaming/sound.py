"""The received voice: a 48 kHz timeline of packets in their places, and 16 kHz for the model.

The timeline owns lateness, loss and silence; it knows nothing of frames or of the network.
"""

import math

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]

RATE_HZ = 48_000
CAPACITY = RATE_HZ  # samples: 1 s
FADE = 240  # samples: 5 ms
JUMP = RATE_HZ // 2  # a timestamp step that no loss explains


class SoundTimeline:
    """A bounded ring of mono samples. Not thread-safe: one event loop owns it.

    Positions are samples since the start. `unread` samples may be taken by `read`; holes in them
    are concealed by a fade. Sound that comes late is played late, never skipped: who reads decides
    when to drop the surplus. Only a straggler behind newer sound is of no use once its place has
    been read.
    """

    def __init__(self) -> None:
        self._ring = np.zeros(CAPACITY, np.int16)
        self._known = np.zeros(CAPACITY, bool)
        self._offset: int | None = None  # position = timestamp + offset
        self._newest = 0  # timestamp behind the newest packet
        self._end = 0
        self._read = 0
        self._last_sample = 0.0
        self.arrived_at = -math.inf
        self.concealed_samples = 0
        self.late_samples = 0
        self.padded_samples = 0

    @property
    def unread(self) -> int:
        return self._end - self._read

    def write(self, timestamp: int, samples: Pcm, now: float) -> None:
        """Sets int16 mono 48 kHz samples to their place."""
        if self._offset is None:
            self._offset = self._end - timestamp
        self.arrived_at = now
        position = timestamp + self._offset
        jumped = not -JUMP < position - self._end < JUMP
        if jumped or (timestamp >= self._newest and position < self._end):
            # A new origin, or silence was padded in its place: it follows what is there.
            self._offset += self._end - position
            position = self._end
        if jumped or timestamp >= self._newest:
            self._newest = timestamp + len(samples)
        late = min(max(0, self._read - position), len(samples))
        self.late_samples += late
        self._set(position + late, samples[late:])
        self._end = max(self._end, position + len(samples))
        self._bound()

    def pad(self, count: int) -> None:
        """Appends silence in place of sound that has not come."""
        self._end += count
        self.padded_samples += count

    def read(self, count: int) -> Pcm:
        """Takes `count` <= unread samples; what is missing fades out and in again."""
        assert count <= self.unread
        if count == 0:
            return np.zeros(0, np.int16)
        index = np.arange(self._read, self._read + count) % CAPACITY
        samples, known = self._ring[index], self._known[index]
        self._known[index] = False
        self._read += count
        if not known.all():
            self.concealed_samples += int(count - known.sum())
            samples = _conceal(samples, known, self._last_sample)
        self._last_sample = float(samples[-1])
        return samples

    def keep(self, count: int) -> None:
        """Forgets all but the newest `count` unread samples."""
        if self.unread > count:
            self.drop(self.unread - count)

    def drop(self, count: int) -> None:
        """Skips `count` unread samples."""
        count = min(count, self.unread)
        index = np.arange(self._read, self._read + min(count, CAPACITY)) % CAPACITY
        self._known[index] = False
        self._read += count

    def _set(self, position: int, samples: Pcm) -> None:
        index = np.arange(position, position + len(samples)) % CAPACITY
        self._ring[index] = samples
        self._known[index] = True

    def _bound(self) -> None:
        if self.unread > CAPACITY // 2:
            self.late_samples += self.unread - CAPACITY // 4
            self.drop(self.unread - CAPACITY // 4)


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
