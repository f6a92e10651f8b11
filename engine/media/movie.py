"""An MP4 file (H.264, AAC) that appears under its name only when it is whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter

from engine.media.look import Look
from engine.media.source import FPS, MediaError
from engine.media.voice import OUTPUT_HZ

# Visually lossless, and most of two cores is left to the model.
_X264 = {"crf": "18", "preset": "veryfast"}
_AAC_BITS_PER_CHANNEL = 96_000


class Movie:
    """Write frames and sound in any order of the two; leaving the `with` block ends the file.

    Left by an exception, the block leaves no file behind. Raises MediaError if `path` cannot be
    written.
    """

    def __init__(self, path: Path, look: Look, channels: int) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._look = look
        self._layout = "mono" if channels == 1 else "stereo"
        self._to_yuv = VideoReformatter()
        self._frames = 0
        self._samples = 0
        with self._writing():
            # By its whole path: FFmpeg would take "12:" in front of a name for a protocol.
            self._container = av.open(
                str(self._part.absolute()), "w", format="mp4", options={"movflags": "+faststart"}
            )
        self._video = self._container.add_stream("libx264", rate=FPS, options=_X264)
        self._describe_video()
        self._audio = self._container.add_stream("aac", rate=OUTPUT_HZ, layout=self._layout)
        self._audio.bit_rate = channels * _AAC_BITS_PER_CHANNEL

    def _describe_video(self) -> None:
        context, look = self._video.codec_context, self._look
        context.width, context.height, context.pix_fmt = look.width, look.height, "yuv420p"
        context.time_base = Fraction(1, FPS)
        context.sample_aspect_ratio = Fraction(*look.sample_aspect)
        context.color_range = ColorRange.MPEG
        context.colorspace = look.matrix
        context.color_primaries = look.primaries
        context.color_trc = look.transfer

    def __enter__(self) -> "Movie":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with self._writing():
                if kind is None:
                    self._container.mux(self._video.encode())
                    self._container.mux(self._audio.encode())
                self._container.close()
                if kind is None:
                    self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)

    def write_frame(self, rgb: np.ndarray) -> None:
        """Append one frame, uint8 RGB (height, width, 3)."""
        frame = self._to_yuv.reformat(
            av.VideoFrame.from_ndarray(rgb, "rgb24"),
            format="yuv420p",
            dst_colorspace=self._look.scaler_matrix,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base = self._frames, Fraction(1, FPS)
        self._frames += 1
        with self._writing():
            self._container.mux(self._video.encode(frame))

    def write_sound(self, sound: np.ndarray) -> None:
        """Append sound, int16 (channels, any number of samples) at 48 kHz."""
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), "s16p", self._layout)
        frame.sample_rate = OUTPUT_HZ
        frame.pts, frame.time_base = self._samples, Fraction(1, OUTPUT_HZ)
        self._samples += sound.shape[1]
        with self._writing():
            self._container.mux(self._audio.encode(frame))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            raise MediaError(f"{self._path}: {error.strerror}") from error
