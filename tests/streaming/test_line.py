import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTP_HISTORY_SIZE,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    pack_remb_fci,
)

from streaming import rtc_compat
from streaming.line import Line, follow_line
from streaming.looplag import LoopLag
from streaming.metrics import Metrics
from streaming.sendrate import SendRate

from .virtual import run_virtually

FULL_BPS = 1_000_000
SSRC = 5


class Transport:
    """Notes when each packet leaves."""

    _stats_id = "transport"

    def __init__(self) -> None:
        self.left: list[float] = []

    async def _send_rtp(self, data: bytes) -> None:
        self.left.append(asyncio.get_running_loop().time())


class Sender:
    """The part of RTCRtpSender that a line is joined to."""

    def __init__(self) -> None:
        self._ssrc = SSRC
        self._RTCRtpSender__encoder = SimpleNamespace(target_bitrate=FULL_BPS)
        self._RTCRtpSender__rtp_task: asyncio.Task[None] | None = None
        self._RTCRtpSender__rtt: float | None = None
        self._RTCRtpSender__lsr = None
        self._RTCRtpSender__rtp_history: dict[int, Any] = {}
        self.handled: list[Any] = []
        self.again: list[int] = []
        self.keyframes = 0
        self.setTransport(Transport())

    def setTransport(self, transport: Any) -> None:
        self.transport = transport

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        self.handled.append(packet)

    def _send_keyframe(self) -> None:
        self.keyframes += 1

    async def _retransmit(self, sequence_number: int) -> None:
        self.again.append(sequence_number)


def estimate(bps: int) -> RtcpPsfbPacket:
    fci = pack_remb_fci(bps, [SSRC])
    return RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci)


def report(fraction_lost: float) -> RtcpRrPacket:
    info = RtcpReceiverInfo(
        ssrc=SSRC, fraction_lost=round(256 * fraction_lost), packets_lost=0, highest_sequence=0,
        jitter=0, lsr=0, dlsr=0,
    )  # fmt: skip
    return RtcpRrPacket(ssrc=1, reports=[info])


def joined(limited: bool) -> tuple[Any, SendRate]:
    sender, rate = Sender(), SendRate(FULL_BPS)
    follow_line(sender, rate)
    if limited:
        rate.lost(0.6, asyncio.get_running_loop().time())
    return sender, rate


def test_encoder_aims_at_the_rate_and_not_at_every_estimate() -> None:
    async def job() -> None:
        sender, rate = joined(limited=False)
        await sender._handle_rtcp_packet(estimate(300_000))
        assert sender._RTCRtpSender__encoder.target_bitrate == FULL_BPS
        assert not sender.handled, "aiortc would set the estimate itself"
        await sender._handle_rtcp_packet(report(0.5))
        assert sender._RTCRtpSender__encoder.target_bitrate == rate.bps == 750_000
        assert len(sender.handled) == 1
        await sender._handle_rtcp_packet(RtcpPsfbPacket(RTCP_PSFB_APP, 1, 0, b"else"))

    run_virtually(job())


@pytest.mark.parametrize("limited", [False, True])
def test_packets_of_a_picture_are_spaced_on_a_narrow_line(limited: bool) -> None:
    async def job() -> None:
        sender, rate = joined(limited)
        inner = sender.transport._transport

        async def picture() -> None:
            for _ in range(5):
                await sender.transport._send_rtp(b"x" * 1024)

        sender._RTCRtpSender__rtp_task = asyncio.create_task(picture())
        await asyncio.sleep(0)
        await sender.transport._send_rtp(b"report")  # does not wait
        assert len(inner.left) in ((2,) if limited else (2, 6))
        await sender._RTCRtpSender__rtp_task
        took = inner.left[-1] - inner.left[0]
        assert took == pytest.approx(4 * 8000 / 1.5 / rate.bps if limited else 0.0)
        assert sender.transport._stats_id == "transport"

    run_virtually(job())


def test_lost_packet_goes_again_once_a_round_trip() -> None:
    async def job() -> None:
        sender, _ = joined(limited=False)
        history = sender._RTCRtpSender__rtp_history
        history.update({n % RTP_HISTORY_SIZE: SimpleNamespace(payload=b"x" * 1000) for n in (1, 2)})
        for number in (1, 2, 1, 1):
            await sender._retransmit(number)
        assert sender.again == [1, 2]
        await asyncio.sleep(0.1)
        await sender._retransmit(1)
        assert sender.again == [1, 2, 1]

    run_virtually(job())


def test_keyframe_goes_where_a_lost_packet_would_come_too_late() -> None:
    async def job() -> None:
        sender, rate = joined(limited=True)
        sender._RTCRtpSender__rtp_history[1] = SimpleNamespace(payload=b"x" * 1000)
        rate.sent(50_000, asyncio.get_running_loop().time())
        for number in (1, 2, 3):
            await sender._retransmit(number)
        assert not sender.again and sender.keyframes == 1

    run_virtually(job())


async def test_the_limit_in_the_metrics_is_that_of_the_narrowest_line() -> None:
    rtc_compat.apply(video_kbps=1000, loopback=True, observe=lambda *_: None, lag=LoopLag())
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = pc.addTransceiver("video").receiver
    metrics, rates = Metrics(), [SendRate(FULL_BPS) for _ in range(3)]
    lines = [Line(receiver, rate, metrics) for rate in rates]
    rates[0].lost(0.5, 0.0)
    rates[1].lost(0.2, 0.0)

    def limit() -> str:
        for line in lines:
            line.tell()
        text = metrics.render().decode()
        return text.split('bits_per_second{direction="out"} ')[1].split("\n")[0]

    assert rates[0].bps < rates[1].bps < FULL_BPS and limit() == f"{rates[0].bps}.0"
    lines.pop(0).close()
    assert limit() == f"{rates[1].bps}.0"
    lines.pop(0).close()
    assert limit() == "0.0"
    await pc.close()


async def test_line_tells_what_it_bears() -> None:
    rtc_compat.apply(video_kbps=1000, loopback=True, observe=lambda *_: None, lag=LoopLag())
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = pc.addTransceiver("video").receiver
    metrics, rate = Metrics(), SendRate(FULL_BPS)
    line = Line(receiver, rate, metrics)
    assert line.tell() == {"line_in_kbps": None, "line_out_kbps": None}
    rate.sent(1200, 0.0)
    rate.lost(0.5, 0.0)
    assert line.tell() == {"line_in_kbps": None, "line_out_kbps": 750}
    text = metrics.render().decode()
    assert 'omnisync_video_bytes_total{direction="out"} 1200.0' in text
    assert 'omnisync_video_limit_bits_per_second{direction="out"} 750000.0' in text
    line.close()
    assert 'bits_per_second{direction="out"} 0.0' in metrics.render().decode()
    await pc.close()
