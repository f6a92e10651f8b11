"""Sound features: a 16 kHz ring, log-mel columns, and the window of columns that belongs to each
video frame.

Column m covers samples 160 m - 200 .. 160 m + 200 (25 ms Hann window, 10 ms hop); a video frame's
window lies around
column 4 i + 2, the middle of its 40 ms. A column counts as heard once its last sample has arrived.
Before these columns the window tells what came earlier, in means of four columns each: who speaks,
how loud, or that it is no speech at all.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
FPS = 25
SAMPLES_PER_FRAME = SAMPLE_RATE // FPS
HOP = 160
WINDOW = 400
N_FFT = 512
N_MELS = 80
F_MIN, F_MAX = 60.0, 7600.0
COLUMNS_PER_FRAME = SAMPLES_PER_FRAME // HOP
PAST, FUTURE = 19, 12  # columns before and after a frame's middle column
MEL_COLUMNS = PAST + 1 + FUTURE
EARLIER = 32  # means before them, of as many columns as a frame has each: 1.28 s
WINDOW_COLUMNS = EARLIER + MEL_COLUMNS
_SPAN = EARLIER * COLUMNS_PER_FRAME + MEL_COLUMNS  # columns behind a window
AHEAD_S = 2.4  # how much sooner than its frame sound may come
_MEAN = np.full(COLUMNS_PER_FRAME, 1 / COLUMNS_PER_FRAME, np.float32)
FLOOR = 1e-5  # power floor: below the self-noise of a quiet microphone
SILENCE_LEVEL = float((np.log10(FLOOR) + 2.0) / 2.0)

Pcm = NDArray[np.int16]
Mel = NDArray[np.float32]


@lru_cache(1)
def mel_filters() -> NDArray[np.float32]:
    """(80, 257) triangular filters on the HTK mel scale, peak 1; equal to
    torchaudio.functional.melscale_fbanks.
    """
    ends = 2595.0 * np.log10(1.0 + np.array([F_MIN, F_MAX]) / 700.0)
    mels = np.linspace(ends[0], ends[1], N_MELS + 2)
    hertz = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bins = np.linspace(0.0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    slopes = hertz[:, None] - bins[None, :]
    width = np.diff(hertz)
    rising = -slopes[:-2] / width[:-1, None]
    falling = slopes[2:] / width[1:, None]
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


@lru_cache(1)
def _window() -> NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def log_mel(samples: NDArray[np.float32], columns: int) -> Mel:
    """Log-mel columns 0..columns-1 of `samples`, which must start 200 samples before column 0's
    middle.

    Args:
        samples: float32 (at least 160 (columns - 1) + 400,), -1..1.
    Returns:
        float32 (80, columns), about -1.5 (silence) .. 1.5.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP][:columns]
    power = np.abs(np.fft.rfft(frames * _window(), N_FFT, axis=1)).astype(np.float32) ** 2
    mel = power @ mel_filters().T
    return ((np.log10(mel + FLOOR) + 2.0) / 2.0).T.astype(np.float32)


def mel_of(pcm: Pcm) -> Mel:
    """All columns of a whole recording, int16 (S,) at 16 kHz -> float32 (80, S // 160 + 1)."""
    samples = np.pad(pcm.astype(np.float32) / 32768.0, (WINDOW // 2, WINDOW // 2))
    return log_mel(samples, len(pcm) // HOP + 1)


def mel_window(mel: Mel, index: int) -> Mel:
    """(80, 64) window of frame `index` of a recording's columns (80, C), all of it heard; outside
    the recording is silence.
    """
    wanted = _columns_behind(index)
    inside = (wanted >= 0) & (wanted < mel.shape[1])
    columns = np.where(inside, mel[:, wanted.clip(0, mel.shape[1] - 1)], np.float32(SILENCE_LEVEL))
    return _with_means(columns)


def _columns_behind(index: int) -> NDArray[np.int64]:
    """Numbers (160,) of the columns that the window of video frame `index` is made of."""
    return frame_column(index) - PAST - EARLIER * COLUMNS_PER_FRAME + np.arange(_SPAN)


def _with_means(columns: Mel) -> Mel:
    """Columns (80, 160) -> a window (80, 64): the first 128 in means of four."""
    window = np.empty((len(columns), WINDOW_COLUMNS), np.float32)
    early = columns[:, : EARLIER * COLUMNS_PER_FRAME].reshape(-1, COLUMNS_PER_FRAME)
    window[:, :EARLIER] = (early @ _MEAN).reshape(len(columns), EARLIER)
    window[:, EARLIER:] = columns[:, -MEL_COLUMNS:]
    return window


def frame_column(index: int) -> int:
    """Middle column of video frame `index`."""
    return COLUMNS_PER_FRAME * index + COLUMNS_PER_FRAME // 2


class SoundRing:
    """The last seconds of a stream's sound as log-mel columns, computed once as samples arrive.

    Holds a fixed number of columns: by default AHEAD_S and the 1.6 s of a window, also of one that
    is six frames old, four slots' at every second frame. `window` answers for any frame whose
    columns are still held.
    """

    def __init__(self, seconds: float = AHEAD_S + 1.7) -> None:
        self._capacity = int(seconds * SAMPLE_RATE / HOP)
        self.reset()

    def reset(self) -> None:
        self._mel: Mel = np.full((N_MELS, self._capacity), SILENCE_LEVEL, np.float32)
        self._columns = 0  # columns computed since the start
        self._tail: NDArray[np.float32] = np.zeros(WINDOW // 2, np.float32)

    @property
    def columns(self) -> int:
        """Columns heard since the start."""
        return self._columns

    @property
    def samples(self) -> int:
        """Pushed since the start."""
        return self._columns * HOP + len(self._tail) - WINDOW // 2

    def push(self, pcm: Pcm) -> None:
        """Append int16 mono 16 kHz samples (S,): no more than AHEAD_S ahead of the frames, or
        columns that are still wanted are overwritten.
        """
        samples = np.concatenate([self._tail, pcm.astype(np.float32) / 32768.0])
        ready = (len(samples) - WINDOW) // HOP + 1 if len(samples) >= WINDOW else 0
        if ready > 0:
            skip = max(0, ready - self._capacity)
            fresh = log_mel(samples[skip * HOP :], ready - skip)
            at = (self._columns + skip + np.arange(ready - skip)) % self._capacity
            self._mel[:, at] = fresh
            self._columns += ready
            samples = samples[ready * HOP :]
        self._tail = samples

    def window(self, index: int) -> tuple[Mel, NDArray[np.float32]]:
        """Mel (80, 64) and heard (32,) 0/1, of the last 32, of video frame `index`; columns before
        the start count as heard silence.
        """
        wanted = _columns_behind(index)
        heard = wanted < self._columns
        mel = np.where(
            heard & (wanted >= 0), self._mel[:, wanted % self._capacity], np.float32(SILENCE_LEVEL)
        )
        return _with_means(mel), heard[-MEL_COLUMNS:].astype(np.float32)
