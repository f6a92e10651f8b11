"""VP8 and H.264 encoders for aiortc: one encoder for the whole call, whatever its rate becomes."""

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

from .pictures import shrunk

FPS = 25
KEYFRAME_DISTANCE = 3000  # frames; a receiver that needs one sooner asks with PLI or FIR
LEAST_KBPS = 100
# Below this many bits a pixel even the coarsest coding of a moving picture is too large (measured
# on a panned picture with camera noise: 150 kbit/s at 640x480).
LEAST_BITS_A_PIXEL = 0.02
SHARES = (1.0, 0.75, 0.5)
SPARE = 1.5
PATIENCE = 2 * FPS  # pictures
REOPENED_ABOVE = 4  # times the rate of the moment
OPENED_ABOVE = 2  # times the rate of the moment: the first keyframe is as large as it allows
FRAME_TICKS = 90_000 // FPS


class Rate:
    """What an encoder aims at, within bounds: the full rate it was opened for, and LEAST_KBPS."""

    def __init__(self, kbps: int) -> None:
        self.full = self.bps = 1000 * kbps
        self._share, self._low, self._of = 1.0, 0, (0, 0)

    def set(self, bps: int) -> None:
        self.bps = max(min(bps, self.full), min(1000 * LEAST_KBPS, self.full))

    def share(self, width: int, height: int) -> float:
        """Of a picture's sides, what this rate is enough for. To be asked once a picture. A change
        costs a keyframe: pictures get smaller only where the rate stays low, and larger again only
        where there is rate to spare.
        """
        if self._of != (width, height):
            self._share, self._low, self._of = 1.0, 0, (width, height)
        least = LEAST_BITS_A_PIXEL * FPS * width * height
        self._low = self._low + 1 if self.bps < least * self._share**2 else 0
        if self.bps == self.full:
            self._share = 1.0
        elif self._low > PATIENCE:
            self._share = next((x for x in SHARES if self.bps >= least * x * x), SHARES[-1])
        else:
            wider = [x for x in SHARES if x > self._share and self.bps >= SPARE * least * x * x]
            self._share = wider[0] if wider else self._share
        return self._share


class SteadyVp8Encoder(Vp8Encoder):
    """VP8, rebuilt only when the picture's size changes.

    aiortc rebuilds its encoder whenever the receiver's estimate moves by 10 %, and every rebuild
    is a keyframe burst. libvpx takes no new rate through FFmpeg, but it gives each frame bits by
    its duration: at a fifth of the rate a frame is said to last a fifth as long. Noise reduction is
    off: it costs time and blurs skin.
    """

    def __init__(self, kbps: int) -> None:
        self.codec: VideoCodecContext | None = None
        self.picture_id = random.randrange(1 << 15)
        self._rate = Rate(kbps)
        self._opened_bps = self._rate.full
        self._clock = 0

    @property
    def target_bitrate(self) -> int:
        return self._rate.bps

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._rate.set(bitrate)

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        assert isinstance(frame, av.VideoFrame)
        assert frame.pts is not None and frame.time_base is not None
        timestamp = convert_timebase(frame.pts, frame.time_base, VIDEO_TIME_BASE)
        frame = _prepared(frame, self._rate)
        if force_keyframe and self._opened_bps > REOPENED_ABOVE * self._rate.bps:
            self.codec = None  # one that knows only the low rate makes a smaller keyframe
        if self.codec is None or (self.codec.width, self.codec.height) != (
            frame.width,
            frame.height,
        ):
            self.codec = self._open(frame.width, frame.height)
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        # Pictures that were left out do not count: one of five times the size would follow them.
        self._clock += max(1, FRAME_TICKS * self._rate.bps // self._opened_bps)
        frame.pts, frame.time_base = self._clock, VIDEO_TIME_BASE
        data = b"".join(bytes(packet) for packet in self.codec.encode(frame))
        payloads = self._packetize(data, self.picture_id)
        self.picture_id = (self.picture_id + 1) % (1 << 15)
        return payloads, timestamp

    def _open(self, width: int, height: int) -> VideoCodecContext:
        codec = av.CodecContext.create("libvpx", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        opened = self._opened_bps = min(self._rate.full, OPENED_ABOVE * self._rate.bps)
        codec.bit_rate = opened
        codec.framerate = fractions.Fraction(FPS, 1)
        codec.time_base = VIDEO_TIME_BASE
        codec.gop_size = KEYFRAME_DISTANCE
        codec.qmin, codec.qmax = 2, 56
        codec.thread_count = 1
        codec.options = {
            "bufsize": str(opened),
            "minrate": str(opened),
            "maxrate": str(opened),
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
        self._rate = Rate(kbps)

    @property
    def target_bitrate(self) -> int:
        return self._rate.bps

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._rate.set(bitrate)

    def _encode_frame(self, frame: av.VideoFrame, force_keyframe: bool) -> Iterator[bytes]:
        frame = _prepared(frame, self._rate)
        if self.codec is None or (self.codec.width, self.codec.height) != (
            frame.width,
            frame.height,
        ):
            self.codec = self._open(frame.width, frame.height)
        self.codec.bit_rate = self._rate.bps  # x264 looks at it before every frame
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        data = b"".join(bytes(packet) for packet in self.codec.encode(frame))
        yield from self._split_bitstream(data)

    def _open(self, width: int, height: int) -> VideoCodecContext:
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.bit_rate = self._rate.full
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
            "maxrate": str(self._rate.full),
            "bufsize": str(self._rate.full // 2),
        }
        return codec


def _prepared(frame: av.VideoFrame, rate: Rate) -> av.VideoFrame:
    """In I420 and no larger than the rate is enough for, with its time."""
    if frame.format.name != "yuv420p":
        frame = frame.reformat(format="yuv420p")
    return shrunk(frame, rate.share(frame.width, frame.height))
