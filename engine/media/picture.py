"""A clip or a still picture as an endless sequence of frames, 25 a second."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter

from engine.media.look import Look
from engine.media.source import FPS, MediaError, open_source

_TICK_S = 1 / FPS
# A tick shows the last frame that is at most this late; a hair less than half, so that of two
# frames equally near the earlier one is taken.
_LATE_S = _TICK_S / 2 - 1e-4
# A clip plays backwards in blocks of decoded frames; this bounds a block.
_BLOCK_BYTES = 256 << 20
_BYTES_PER_PIXEL = 2


class Picture:
    """A file of moving or still pictures.

    Rotation metadata is applied. An odd last row or column is left out: H.264 4:2:0 has none.
    Raises MediaError if the file cannot be read or holds no picture; so does `frames`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._to_rgb = VideoReformatter()
        with open_source(path) as container:
            if not container.streams.video:
                raise MediaError(f"{path}: holds no picture")
            first = next(container.decode(video=0), None)
            aspect = container.streams.video[0].sample_aspect_ratio
        if first is None:
            raise MediaError(f"{path}: holds no picture")
        self._origin_s = first.time or 0.0
        self._has_times = first.time is not None
        self._coded_size = first.width, first.height
        self._block = max(FPS, _BLOCK_BYTES // (first.width * first.height * _BYTES_PER_PIXEL))
        self.look = Look.of(first, (aspect.numerator, aspect.denominator) if aspect else (1, 1))

    def frames(self) -> Generator[np.ndarray, None, None]:
        """uint8 RGB (height, width, 3): forward, backward, forward and so on, without end.

        A still picture comes as one array again and again: don't write into it.
        """
        count = 0
        for frame in self._ticks():
            count += 1
            rgb = self._upright(frame)
            yield rgb
        while count == 1:
            yield rgb
        while True:
            for end in range(count - 1, 0, -self._block):
                start = max(0, end - self._block)
                block = list(islice(self._ticks(start), end - start))
                yield from map(self._upright, reversed(block))
            yield from map(self._upright, islice(self._ticks(), 1, None))

    def once(self) -> Iterator[np.ndarray]:
        """uint8 RGB (height, width, 3): forward, to the clip's end."""
        return map(self._upright, self._ticks())

    def _ticks(self, start: int = 0) -> Iterator[av.VideoFrame]:
        """The frame nearest to each tick's time, from tick `start` to the end of the clip."""
        tick, held, end_s = start, None, 0.0
        for time_s, length_s, frame in self._decode(start):
            while held is not None and tick * _TICK_S + _LATE_S < time_s:
                yield held
                tick += 1
            held, end_s = frame, time_s + length_s
        while held is not None and (tick == 0 or (tick + 0.01) * _TICK_S < end_s):
            yield held
            tick += 1

    def _decode(self, start: int = 0) -> Iterator[tuple[float, float, av.VideoFrame]]:
        """(time_s, length_s, frame) from a frame at or before tick `start` on.

        Where the file cannot seek there, from its first frame.
        """
        wanted_s = start * _TICK_S
        with open_source(self.path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            if start and self._has_times:
                with suppress(av.FFmpegError):
                    container.seek(int((self._origin_s + wanted_s) * av.time_base))
            timed = self._timed(container)
            first = next(timed, None)
            if first is not None and first[0] <= wanted_s + _LATE_S:
                yield first
                yield from timed
                return
        if start:
            yield from self._decode()

    def _timed(self, container: InputContainer) -> Iterator[tuple[float, float, av.VideoFrame]]:
        stream = container.streams.video[0]
        unit_s = float(stream.time_base or 0)
        usual_s = float(1 / stream.average_rate) if stream.average_rate else _TICK_S
        for order, frame in enumerate(container.decode(stream)):
            length_s = frame.duration * unit_s or usual_s
            time_s = order * usual_s if frame.time is None else frame.time - self._origin_s
            yield time_s, length_s, frame

    def _upright(self, frame: av.VideoFrame) -> np.ndarray:
        width, height = self._coded_size
        rgb = self._to_rgb.reformat(frame, width, height, "rgb24").to_ndarray()
        upright = np.rot90(rgb, round(frame.rotation / 90))
        return np.ascontiguousarray(upright[: self.look.height, : self.look.width])
