"""VP8 and H.264 encoders for aiortc that keep one rate and one encoder for the whole call."""

import fractions
import random
from collections.abc import Iterator

import av
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.mediastreams import VIDEO_TIME_BASE, convert_timebase
from av.frame import Frame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

FPS = 25
KEYFRAME_DISTANCE = 3000  # frames; a receiver that needs one sooner asks with PLI or FIR


class PinnedVp8Encoder(Vp8Encoder):
    """VP8 at a constant rate, rebuilt only when the picture's size changes.

    aiortc rebuilds its encoder whenever the receiver's estimate moves by 10 %, and every rebuild
    is a keyframe burst. Noise reduction is off: it costs time and blurs skin.
    """

    def __init__(self, kbps: int) -> None:
        self.codec: VideoCodecContext | None = None
        self.picture_id = random.randrange(1 << 15)
        self._bitrate = kbps * 1000

    @property
    def target_bitrate(self) -> int:
        return self._bitrate

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        """The receiver's estimate; ignored on purpose."""

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        assert isinstance(frame, av.VideoFrame)
        if frame.format.name != "yuv420p":
            frame = frame.reformat(format="yuv420p")
        if self.codec is None or (self.codec.width, self.codec.height) != (
            frame.width,
            frame.height,
        ):
            self.codec = self._open(frame.width, frame.height)
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        data = b"".join(bytes(packet) for packet in self.codec.encode(frame))
        assert frame.pts is not None and frame.time_base is not None
        timestamp = convert_timebase(frame.pts, frame.time_base, VIDEO_TIME_BASE)
        payloads = self._packetize(data, self.picture_id)
        self.picture_id = (self.picture_id + 1) % (1 << 15)
        return payloads, timestamp

    def _open(self, width: int, height: int) -> VideoCodecContext:
        codec = av.CodecContext.create("libvpx", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.bit_rate = self._bitrate
        codec.framerate = fractions.Fraction(FPS, 1)
        codec.time_base = VIDEO_TIME_BASE
        codec.gop_size = KEYFRAME_DISTANCE
        codec.qmin, codec.qmax = 2, 56
        codec.thread_count = 1
        codec.options = {
            "bufsize": str(self._bitrate),
            "minrate": str(self._bitrate),
            "maxrate": str(self._bitrate),
            "deadline": "realtime",
            "cpu-used": "-12",
            "lag-in-frames": "0",
            "noise-sensitivity": "0",
            "overshoot-pct": "15",
            "undershoot-pct": "100",
            "partitions": "0",
            "static-thresh": "1",
        }
        return codec


class FastH264Encoder(H264Encoder):
    """x264 baseline at preset superfast; aiortc leaves it at medium, six times the work."""

    def __init__(self, kbps: int) -> None:
        super().__init__()
        self._bitrate = kbps * 1000

    @property
    def target_bitrate(self) -> int:
        return self._bitrate

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        """The receiver's estimate; ignored on purpose."""

    def _encode_frame(self, frame: av.VideoFrame, force_keyframe: bool) -> Iterator[bytes]:
        if frame.format.name != "yuv420p":
            frame = frame.reformat(format="yuv420p")
        if self.codec is None or (self.codec.width, self.codec.height) != (
            frame.width,
            frame.height,
        ):
            self.codec = self._open(frame.width, frame.height)
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        data = b"".join(bytes(packet) for packet in self.codec.encode(frame))
        yield from self._split_bitstream(data)

    def _open(self, width: int, height: int) -> VideoCodecContext:
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.bit_rate = self._bitrate
        codec.framerate = fractions.Fraction(FPS, 1)
        codec.time_base = VIDEO_TIME_BASE
        codec.gop_size = KEYFRAME_DISTANCE
        codec.thread_count = 1
        codec.profile = "Baseline"
        codec.options = {
            "preset": "superfast",
            "tune": "zerolatency",
            "level": "31",
            "forced-idr": "1",
            "maxrate": str(self._bitrate),
            "bufsize": str(self._bitrate // 2),
        }
        return codec
