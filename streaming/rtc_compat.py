"""Every aiortc 1.16 behaviour that must be worked around, in one place.

`apply()` cures the library once a process; the other functions cure one connection. Each says what
is wrong, what it costs, and when the cure can go. tests/streaming/test_rtc_compat.py shows the
untreated fault as well: a test that fails there after an upgrade says which cure to remove.
"""

import math
import threading
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import aioice.ice
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import aiortc.rtcsctptransport
import aiortc.rtp
import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCRtpTransceiver,
)
from aiortc.codecs.base import Decoder, Encoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket
from av import AudioFrame
from av.frame import Frame

from .arrivals import INTERVAL_MS, LineEstimator
from .colour import accept_colour
from .encoders import FastH264Encoder, SteadyVp8Encoder
from .jitter import TimestampMapper, make_buffer, timestamp_delta
from .looplag import LoopLag
from .settings import Codec, IceServer

SCTP_CHUNK_BYTES = 1100
NTP_TO_UNIX_S = 2_208_988_800
FULL_SCALE = 32767.0

Observe = Callable[[str, float], None]

# Patched modules, untyped: their types promise what is being replaced.
_receiver: Any = aiortc.rtcrtpreceiver
_sender: Any = aiortc.rtcrtpsender
_make_encoder = _sender.get_encoder
_make_decoder = _receiver.get_decoder
_host_addresses = aioice.ice.get_host_addresses


def apply(*, video_kbps: int, loopback: bool, observe: Observe, lag: LoopLag) -> None:
    """Cures aiortc for this process. May be called again with other values.

    video_kbps: rate of returned video, where the line bears it. loopback: offer 127.0.0.1 as well.
    observe: called as observe("video_decode" | "video_encode", seconds), from any thread.
    lag: of the loop that connections run on.
    """
    cure_receive_buffers()
    cure_estimate(lag)
    cure_exit_hang()
    cure_sctp_chunks()
    cure_audio_level()
    accept_colour()
    cure_host_addresses(loopback=loopback)
    cure_encoders(video_kbps, observe)
    cure_decoders(observe)


def cure_receive_buffers() -> None:
    """Frames wait for their successor; one lost audio packet costs 280 ms for ever.

    aiortc emits a video frame when the next one's first packet arrives (+53 ms p50 at 30 fps) and
    prefetches four audio packets (+80 ms); github.com/aiortc/aiortc/issues/543. Our buffers hand
    packets on out of order, which its TimestampMapper takes for a wrapped clock.
    Remove when JitterBuffer honours the marker bit and audio skips a hole within 60 ms.
    """
    _receiver.JitterBuffer = make_buffer
    _receiver.TimestampMapper = TimestampMapper


def cure_estimate(lag: LoopLag) -> None:
    """The receiver's estimate begins at what first comes, and climbs by 8 % a second.

    Chrome then sent 480x360 for 25 s and more. Remove when RemoteBitrateEstimator begins at what
    its user asks for.
    """
    _receiver.RemoteBitrateEstimator = partial(
        LineEstimator, lambda: 1000 * lag.worst_s(INTERVAL_MS / 1000)
    )


def cure_exit_hang() -> None:
    """Decoder threads are not daemons: one unclosed connection and the process never exits.

    Remove when RTCRtpReceiver starts its decoder thread as a daemon.
    """
    _receiver.threading = SimpleNamespace(
        Thread=partial(threading.Thread, daemon=True), Event=threading.Event
    )


def cure_sctp_chunks() -> None:
    """1200-byte SCTP chunks exceed the 1280-byte MTU of VPN overlays and stall the data channel.

    Remove when aiortc discovers the path MTU (RFC 8899).
    """
    aiortc.rtcsctptransport.USERDATA_MAX_LENGTH = SCTP_CHUNK_BYTES


def cure_audio_level() -> None:
    """The RFC 6465 level is a Python loop over samples, on the event loop, for every packet.

    Remove when compute_audio_level_dbov no longer iterates.
    """
    aiortc.rtp.compute_audio_level_dbov = audio_level_dbov


def audio_level_dbov(frame: AudioFrame) -> int:
    """Level of an s16 frame in dBov, -127 (silence) to 0."""
    samples = frame.to_ndarray().reshape(-1).astype(np.float32)
    power = float(samples @ samples) / len(samples) / FULL_SCALE**2
    return round(min(0.0, max(-127.0, 10 * math.log10(power)))) if power > 0 else -127


def cure_host_addresses(*, loopback: bool) -> None:
    """127.0.0.1 is never gathered, so a machine without a network cannot call itself.

    Offered where it is the only address, or the server listens on loopback only.
    Remove when aioice gathers loopback on request (RFC 8445 section 5.1.1.1 excludes it).
    """

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        found: list[str] = _host_addresses(use_ipv4, use_ipv6)
        if use_ipv4 and (loopback or not found):
            found = [*found, "127.0.0.1"]
        return found

    aioice.ice.get_host_addresses = addresses


def cure_encoders(kbps: int, observe: Observe) -> None:
    """Bit rate clamps, rebuilds at every estimate, x264 at preset medium: see encoders.py.

    Untreated: 11 keyframes in 23 s; treated: 1. Remove when aiortc takes encoder options and
    changes a rate without a new encoder (issues/1159, /170).
    """

    def make(codec: RTCRtpCodecParameters) -> Encoder:
        if codec.mimeType.lower() == "video/vp8":
            return _TimedEncoder(SteadyVp8Encoder(kbps), observe)
        if codec.mimeType.lower() == "video/h264":
            return _TimedEncoder(FastH264Encoder(kbps), observe)
        other: Encoder = _make_encoder(codec)
        return other

    _sender.get_encoder = make


def cure_decoders(observe: Observe) -> None:
    """Decoders take one frame a call; ours also take the backlog behind a mended hole.

    Goes together with cure_receive_buffers.
    """

    def make(codec: RTCRtpCodecParameters) -> Decoder:
        decoder: Any = _make_decoder(codec)
        if codec.mimeType.lower() == "audio/opus":
            decoder.codec.layout = "mono"  # libopus mixes down in passing
        if not codec.mimeType.startswith("video"):
            return cast(Decoder, decoder)
        return _BurstDecoder(decoder, observe)

    _receiver.get_decoder = make


class _TimedEncoder(Encoder):
    def __init__(self, encoder: SteadyVp8Encoder | FastH264Encoder, observe: Observe) -> None:
        self._encoder = encoder
        self._observe = observe

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        start = time.perf_counter()
        result = self._encoder.encode(frame, force_keyframe)
        self._observe("video_encode", time.perf_counter() - start)
        return result

    def pack(self, packet: Any) -> tuple[list[bytes], int]:
        return self._encoder.pack(packet)

    @property
    def target_bitrate(self) -> int:
        return self._encoder.target_bitrate

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._encoder.target_bitrate = bitrate


class _BurstDecoder(Decoder):
    def __init__(self, decoder: Decoder, observe: Observe) -> None:
        self._decoder = decoder
        self._observe = observe

    def decode(self, encoded_frame: JitterFrame) -> list[Frame]:
        start = time.perf_counter()
        frames = list(self._decoder.decode(encoded_frame))
        for data in getattr(encoded_frame, "rest", ()):
            frames += self._decoder.decode(JitterFrame(data, encoded_frame.timestamp))
        self._observe("video_decode", time.perf_counter() - start)
        return frames


def configuration(servers: list[IceServer]) -> RTCConfiguration:
    """Always an explicit list: without one aiortc asks a public STUN server, for up to 5 s.

    Remove when aiortc has no default server.
    """
    return RTCConfiguration(
        iceServers=[RTCIceServer(s.urls, s.username, s.credential) for s in servers]
    )


def prefer_codec(pc: RTCPeerConnection, codec: Codec) -> RTCRtpTransceiver:
    """Adds the video transceiver with its codec order, before the remote description.

    Set afterwards, the order is ignored in the answer (issues/427).
    Remove when createAnswer honours setCodecPreferences.
    """
    capabilities = RTCRtpReceiver.getCapabilities("video")
    assert capabilities is not None
    offered = capabilities.codecs
    transceiver = pc.addTransceiver("video")
    wanted = f"video/{codec}"
    chosen = [c for c in offered if c.mimeType.lower() == wanted]
    others = [c for c in offered if c.mimeType.lower() != wanted]
    transceiver.setCodecPreferences(chosen + others)
    return transceiver


def ntp_time(unix_s: float) -> int:
    """Seconds since 1970 as a 64-bit NTP timestamp."""
    return int((unix_s + NTP_TO_UNIX_S) * (1 << 32))


def stamp_reports(
    rtp_sender: RTCRtpSender, clock_hz: int, unix_at: Callable[[float], float]
) -> None:
    """Sender reports carry the instant of sending, which differs between sound and picture.

    Encoding time, batching and a busy loop then show up as skew that the receiver "repairs"
    (measured: 200 ms of server-side delay gives -199 ms). Here both tracks state the release time
    that their common clock gives to the media time: unix_at(media seconds) -> Unix seconds.
    Remove when aiortc lets a track supply the NTP time of its frames.
    """
    sender: Any = rtp_sender
    next_frame, send_rtcp = sender._next_encoded_frame, sender._send_rtcp
    last: int | None = None
    origin: int | None = None

    async def next_encoded_frame(codec: RTCRtpCodecParameters) -> Any:
        nonlocal last, origin
        if last is not None:
            # Every packet of the last frame has gone out: its RTP time is the sender's own.
            origin = (sender._RTCRtpSender__rtp_timestamp - last) & 0xFFFFFFFF
        frame = await next_frame(codec)
        last = frame.timestamp if frame is not None else last
        return frame

    async def send_reports(packets: list[AnyRtcpPacket]) -> None:
        report = packets[0]
        if isinstance(report, RtcpSrPacket) and origin is not None:
            newest = last or 0  # unwrapped, so the hour after 2^32 ticks is no different
            behind = timestamp_delta(origin + newest, report.sender_info.rtp_timestamp)
            ntp = ntp_time(unix_at((newest - behind) / clock_hz))
            report.sender_info.ntp_timestamp = ntp
            sender._RTCRtpSender__lsr = (ntp >> 16) & 0xFFFFFFFF
        await send_rtcp(packets)

    sender._next_encoded_frame = next_encoded_frame
    sender._send_rtcp = send_reports
