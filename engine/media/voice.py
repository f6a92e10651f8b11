"""A voice in pieces of 40 ms: one for the model, one to be heard."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.stream import Stream

from engine.media.source import FPS, MediaError, open_source

MODEL_HZ = 16_000
OUTPUT_HZ = 48_000
_MODEL_TICK = MODEL_HZ // FPS
_OUTPUT_TICK = OUTPUT_HZ // FPS


@dataclass(frozen=True, slots=True)
class VoiceTick:
    """40 ms of voice: pcm int16 (640,) mono 16 kHz; sound int16 (channels, 1920) at 48 kHz.

    In the last tick pcm is filled up with silence and sound is as short as what is left.
    """

    pcm: np.ndarray
    sound: np.ndarray


class _Lane:
    """Resampled sound of one layout and rate, handed out in pieces."""

    def __init__(self, layout: str, rate_hz: int) -> None:
        self._to = ("s16p", layout, rate_hz)
        self._resampler = av.AudioResampler(*self._to)
        self._fifo = av.AudioFifo()

    @property
    def samples(self) -> int:
        return int(self._fifo.samples)

    def push(self, frame: AudioFrame | None) -> None:
        """Take a decoded frame, or None to drain the resampler."""
        for piece in self._resampler.resample(frame):
            piece.pts = None
            self._fifo.write(piece)

    def renew(self) -> None:
        """What comes next has another rate or other channels."""
        self.push(None)
        self._resampler = av.AudioResampler(*self._to)

    def pop(self, count: int) -> np.ndarray:
        """int16 (channels, at most `count`)."""
        piece = self._fifo.read(count, partial=True)
        return np.zeros((1, 0), np.int16) if piece is None else piece.to_ndarray()


class Voice:
    """The first sound track of any file that PyAV reads.

    channels is 1 or 2. length_ticks is a guess for progress (None: unknown). late_s: how much
    later than the picture of the same file it begins. Raises MediaError if the file cannot be read
    or holds no sound; so does `ticks`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_source(path) as container:
            if not container.streams.audio:
                raise MediaError(f"{path}: holds no sound")
            stream = container.streams.audio[0]
            self.channels = min(2, stream.channels)
            self.late_s = _start_s(stream)
            if container.streams.video:
                self.late_s -= _start_s(container.streams.video[0])
            length_s = None
            if stream.duration is not None and stream.time_base is not None:
                length_s = float(stream.duration * stream.time_base)
            elif container.duration is not None:
                length_s = container.duration / av.time_base
        self.length_ticks = None if length_s is None else max(1, round(length_s * FPS))

    def ticks(self) -> Generator[VoiceTick, None, None]:
        model = _Lane("mono", MODEL_HZ)
        output = _Lane("mono" if self.channels == 1 else "stereo", OUTPUT_HZ)
        heard, form = False, None
        with open_source(self.path) as container:
            for frame in _frames(container):
                # Each track's own clock is not needed: the samples themselves count time.
                frame.pts = None
                last, form = form, (frame.format.name, frame.layout.name, frame.sample_rate)
                if last not in (None, form):
                    model.renew()
                    output.renew()
                model.push(frame)
                output.push(frame)
                while min(model.samples / _MODEL_TICK, output.samples / _OUTPUT_TICK) >= 1:
                    yield VoiceTick(model.pop(_MODEL_TICK)[0], output.pop(_OUTPUT_TICK))
                    heard = True
        if not (heard or output.samples):
            raise MediaError(f"{self.path}: holds no sound")
        model.push(None)
        output.push(None)
        while output.samples:
            pcm = np.zeros(_MODEL_TICK, np.int16)
            rest = model.pop(_MODEL_TICK)[0]
            pcm[: len(rest)] = rest
            yield VoiceTick(pcm, output.pop(_OUTPUT_TICK))


def _start_s(stream: Stream) -> float:
    if stream.start_time is None or stream.time_base is None:
        return 0.0
    return float(stream.start_time * stream.time_base)


def _frames(container: InputContainer) -> Iterator[AudioFrame]:
    """All frames of the first sound track but those that are broken."""
    for packet in container.demux(audio=0):
        with suppress(av.InvalidDataError):
            yield from packet.decode()
