"""Each cure works, and the fault that it cures is still there: what fails here is due to go."""

import asyncio
import fractions
import inspect
import threading

import aioice.ice
import aiortc.codecs.h264
import aiortc.codecs.vpx
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import aiortc.rtcsctptransport
import aiortc.rtp
import av
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.codecs.opus import OpusEncoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcicetransport import RTCIceGatherer
from aiortc.rtp import RtcpSrPacket

from streaming import rtc_compat
from streaming.encoders import FastH264Encoder, SteadyVp8Encoder
from streaming.jitter import make_buffer
from streaming.looplag import LoopLag

from .test_jitter import rtp


@pytest.fixture(autouse=True)
def cured() -> None:
    rtc_compat.apply(
        video_kbps=1000, loopback=True, observe=lambda stage, seconds: None, lag=LoopLag()
    )


def picture(index: int, size: tuple[int, int] = (320, 240), noise: int = 60) -> av.VideoFrame:
    rng = np.random.default_rng(index)
    pixels = rng.integers(0, noise, (size[1], size[0], 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    frame.pts, frame.time_base = index * 3600, fractions.Fraction(1, 90_000)
    return frame


def is_vp8_keyframe(payloads: list[bytes]) -> bool:
    return not payloads[0][4] & 1  # behind a descriptor of four bytes


def test_upstream_still_ignores_the_marker_bit() -> None:
    assert JitterBuffer(capacity=512, is_video=True).add(rtp(0, 0, b"x", marker=1))[1] is None
    assert make_buffer(512, is_video=True).add(rtp(0, 0, b"x", marker=1))[1] is not None


def test_upstream_still_stalls_after_one_lost_audio_packet() -> None:
    buffer = JitterBuffer(capacity=16, prefetch=4)
    sent = [n for n in range(40) if n != 8]
    emitted = [n for n in sent if buffer.add(rtp(n, n * 960, b"x"))[1] is not None]
    assert emitted[0] == 4
    assert not set(emitted) & set(range(14, 20))


def test_upstream_mapper_still_takes_reordering_for_a_wrap() -> None:
    source = inspect.getsource(inspect.getmodule(RTCRtpReceiver))
    assert "elif timestamp < self._last" in source


def test_receiver_uses_our_buffers() -> None:
    assert aiortc.rtcrtpreceiver.JitterBuffer is make_buffer
    assert "JitterBuffer(capacity=16" in inspect.getsource(RTCRtpReceiver.__init__)


def test_decoder_threads_no_longer_keep_the_process() -> None:
    source = inspect.getsource(RTCRtpReceiver.receive)
    assert "threading.Thread(" in source and "daemon" not in source
    assert aiortc.rtcrtpreceiver.threading.Thread(target=print).daemon
    assert not threading.Thread(target=print).daemon


def test_sctp_chunks_fit_a_1280_byte_link() -> None:
    source = inspect.getsource(aiortc.rtcsctptransport)
    assert "USERDATA_MAX_LENGTH = (" in source or "USERDATA_MAX_LENGTH = 1200" in source
    assert aiortc.rtcsctptransport.USERDATA_MAX_LENGTH <= 1280 - 40 - 8 - 37 - 28


@pytest.mark.parametrize(("amplitude", "level"), [(0, -127), (32767, 0), (3277, -20)])
def test_audio_level(amplitude: int, level: int) -> None:
    square = np.where(np.arange(960) % 2, amplitude, -amplitude).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(square[None], format="s16", layout="mono")
    assert aiortc.rtp.compute_audio_level_dbov(frame) == level


def test_upstream_still_leaves_out_loopback() -> None:
    assert "127.0.0.1" not in rtc_compat._host_addresses(True, True)
    assert "127.0.0.1" in aioice.ice.get_host_addresses(True, False)


def test_loopback_is_offered_where_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtc_compat, "_host_addresses", lambda v4, v6: [])
    rtc_compat.cure_host_addresses(loopback=False)
    assert aioice.ice.get_host_addresses(True, True) == ["127.0.0.1"]
    monkeypatch.setattr(rtc_compat, "_host_addresses", lambda v4, v6: ["192.0.2.1"])
    assert aioice.ice.get_host_addresses(True, True) == ["192.0.2.1"]


def test_upstream_still_asks_a_public_server_by_default() -> None:
    assert RTCIceGatherer.getDefaultIceServers()
    assert rtc_compat.configuration([]).iceServers == []


def test_vp8_keeps_its_encoder_when_the_estimate_moves() -> None:
    encoder, upstream = SteadyVp8Encoder(1000), aiortc.codecs.vpx.Vp8Encoder()
    keys = {"ours": 0, "upstream": 0}
    for index in range(10):
        estimate = 300_000 + 100_000 * index
        encoder.target_bitrate = upstream.target_bitrate = estimate
        keys["ours"] += is_vp8_keyframe(encoder.encode(picture(index))[0])
        keys["upstream"] += is_vp8_keyframe(upstream.encode(picture(index))[0])
    assert keys["ours"] == 1
    assert keys["upstream"] > 5


def test_keyframe_on_request() -> None:
    encoder = SteadyVp8Encoder(1000)
    keys = [is_vp8_keyframe(encoder.encode(picture(n), n == 5)[0]) for n in range(8)]
    assert keys == [n in (0, 5) for n in range(8)]


@pytest.mark.parametrize("encoder", [SteadyVp8Encoder(800), FastH264Encoder(800)])
def test_rate_is_kept(encoder: SteadyVp8Encoder | FastH264Encoder) -> None:
    sizes = [sum(map(len, encoder.encode(picture(n))[0])) for n in range(75)]
    assert 8 * sum(sizes[25:]) / 2 == pytest.approx(800_000, rel=0.3)


@pytest.mark.parametrize("make", [SteadyVp8Encoder, FastH264Encoder])
def test_rate_follows_without_a_keyframe(make: type[SteadyVp8Encoder | FastH264Encoder]) -> None:
    encoder = make(1000)
    for n in range(25):
        encoder.encode(picture(n))
    encoder.target_bitrate = 250_000
    later = [encoder.encode(picture(n)) for n in range(25, 125)]
    if make is SteadyVp8Encoder:
        assert not any(is_vp8_keyframe(payloads) for payloads, _ in later)
    assert [timestamp for _, timestamp in later] == [3600 * n for n in range(25, 125)]
    sizes = [sum(map(len, payloads)) for payloads, _ in later[25:]]
    assert 8 * sum(sizes) / 3 == pytest.approx(250_000, rel=0.3)
    encoder.target_bitrate = 5_000_000
    assert encoder.target_bitrate == 1_000_000
    encoder.target_bitrate = 0
    assert encoder.target_bitrate == 100_000


def test_pause_is_not_made_up_for_by_a_large_picture() -> None:
    sizes = []
    for pause in (0, 75):
        encoder = SteadyVp8Encoder(400)
        for n in range(50):
            encoder.encode(picture(n))
        sizes.append(sum(map(len, encoder.encode(picture(50 + pause))[0])))
    assert sizes[1] < 1.5 * sizes[0]


def test_picture_gets_smaller_only_where_the_rate_is_not_enough() -> None:
    encoder, large = SteadyVp8Encoder(1000), (640, 480)
    decoder = av.CodecContext.create("vp8", "r")

    def width(kbps: int, pictures: int) -> int:
        encoder.target_bitrate = 1000 * kbps
        for _ in range(pictures):
            payloads, _ = encoder.encode(picture(0, large))
            # A descriptor of four bytes stands before each payload.
            frames = decoder.decode(av.Packet(b"".join(p[4:] for p in payloads)))
        return frames[0].width

    assert [width(1000, 1), width(160, 60), width(130, 30)] == [640, 640, 640]
    assert [width(130, 30), width(160, 60), width(100, 60)] == [480, 480, 480]
    assert [width(300, 1), width(1000, 1)] == [640, 640]


def test_encoders_follow_a_change_of_size() -> None:
    for encoder in (SteadyVp8Encoder(800), FastH264Encoder(800)):
        encoder.encode(picture(0))
        payloads, timestamp = encoder.encode(picture(1, (640, 480)))
        assert payloads and timestamp == 3600


def test_upstream_x264_still_runs_at_its_default_preset() -> None:
    assert "preset" not in inspect.getsource(aiortc.codecs.h264.H264Encoder)
    assert aiortc.rtcrtpsender.get_encoder is not rtc_compat._make_encoder


def test_upstream_opus_still_shares_a_timestamp_beyond_20_ms() -> None:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, fractions.Fraction(1, 48_000)
    assert len(OpusEncoder().encode(frame)[0]) == 2


async def _answer(before: bool) -> str:
    ours, theirs = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    theirs.addTransceiver("video")
    await theirs.setLocalDescription(await theirs.createOffer())
    if before:
        rtc_compat.prefer_codec(ours, "h264")
    await ours.setRemoteDescription(RTCSessionDescription(theirs.localDescription.sdp, "offer"))
    if not before:
        capabilities = RTCRtpReceiver.getCapabilities("video").codecs
        wanted = [c for c in capabilities if c.mimeType == "video/H264"]
        ours.getTransceivers()[0].setCodecPreferences(wanted)
    await ours.setLocalDescription(await ours.createAnswer())
    sdp = ours.localDescription.sdp
    await asyncio.gather(ours.close(), theirs.close())
    return sdp


def first_codec(sdp: str) -> str:
    return next(line for line in sdp.splitlines() if line.startswith("a=rtpmap:")).split(" ")[1]


async def test_codec_order_counts_only_before_the_remote_description() -> None:
    assert first_codec(await _answer(before=True)).startswith("H264")
    assert first_codec(await _answer(before=False)).startswith("VP8")


class Sender:
    """The part of RTCRtpSender that a report is made of."""

    def __init__(self, origin: int) -> None:
        self.origin = origin
        self.frames = iter(range(0, 10_000_000, 3600))
        self.sent: list[RtcpSrPacket] = []
        self._RTCRtpSender__rtp_timestamp = 0
        self._RTCRtpSender__lsr = None

    async def _next_encoded_frame(self, codec: object) -> object:
        return aiortc.rtcrtpsender.RTCEncodedFrame([b""], next(self.frames), 0)

    async def _send_rtcp(self, packets: list[RtcpSrPacket]) -> None:
        self.sent += packets

    async def step(self) -> None:
        frame = await self._next_encoded_frame(None)
        self._RTCRtpSender__rtp_timestamp = (self.origin + frame.timestamp) & 0xFFFFFFFF

    async def report(self) -> int:
        info = aiortc.rtp.RtcpSenderInfo(
            ntp_timestamp=1,
            rtp_timestamp=self._RTCRtpSender__rtp_timestamp,
            packet_count=0,
            octet_count=0,
        )
        await self._send_rtcp([RtcpSrPacket(ssrc=1, sender_info=info)])
        return self.sent[-1].sender_info.ntp_timestamp


@pytest.mark.parametrize("origin", [0, 12345, 0xFFFFFFFF - 5000])
async def test_reports_carry_the_release_time_of_the_media_clock(origin: int) -> None:
    sender = Sender(origin)
    rtc_compat.stamp_reports(sender, 90_000, lambda media_s: 1_000_000 + media_s)
    await sender.step()
    assert await sender.report() == 1, "before the origin is known the report is left alone"
    for _ in range(4):
        await sender.step()
    assert await sender.report() == rtc_compat.ntp_time(1_000_000 + 4 * 0.04)
    await sender._next_encoded_frame(None)  # encoded, not sent yet
    assert await sender.report() == rtc_compat.ntp_time(1_000_000 + 4 * 0.04)


def test_upstream_reports_still_use_the_time_of_sending() -> None:
    source = inspect.getsource(aiortc.rtcrtpsender.RTCRtpSender._run_rtp)
    assert "self.__ntp_timestamp = clock.current_ntp_time()" in source
    assert "timestamp_origin = random32()" in source
