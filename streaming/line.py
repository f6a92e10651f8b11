"""The two ways of a call's pictures, and what their lines bear.

Joins aiortc's sender to a `SendRate`. By itself it knows the receiver's estimate only, sends a
picture's packets all at once, and a lost packet again as often as a report names it.
"""

import asyncio
import math
import time
from typing import Any

from aiortc import RTCRtpReceiver, RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTP_HISTORY_SIZE,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

from .arrivals import LineEstimator
from .metrics import Metrics
from .sendrate import SendRate

HEADER_BYTES = 24  # RTP's and its extensions', which an estimate does not count
SHORTEST_WAIT_S = 0.004  # a timer's own error is not worth less
LEAST_ROUND_TRIP_S = 0.02
MOST_BACKLOG_S = 0.2  # behind more than this a packet sent again comes too late
DLSR_HZ = 65536  # RFC 3550 section 6.4.1
KEYFRAME_EVERY_S = 1.0
REMEMBERED = 256  # retransmissions


class Line:
    """One call's: the way in by its receiver of pictures, the way out by its sender's rate."""

    def __init__(self, receiver: RTCRtpReceiver, rate: SendRate, metrics: Metrics) -> None:
        self._way_in = count_losses(receiver)
        self._way_out = rate
        self._metrics = metrics
        self._counted = {"in": 0, "out": 0}

    def tell(self) -> dict[str, int | None]:
        """Counts for the metrics. Returns what each way bears in kbit/s, None where it has room."""
        counts = {"in": self._way_in.total_bytes, "out": self._way_out.total_bytes}
        limits = {
            "in": self._way_in.limit_bps(self._way_out.full_bps),
            "out": self._way_out.bps if self._way_out.limited else None,
        }
        for way, limit in limits.items():
            self._metrics.video_bytes.labels(way).inc(counts[way] - self._counted[way])
            self._metrics.limit(way, self, limit)
        self._counted = counts
        return {f"line_{way}_kbps": limit and limit // 1000 for way, limit in limits.items()}

    def close(self) -> None:
        """The call is over: its lines limit nothing any more."""
        for way in self._counted:
            self._metrics.limit(way, self, None)


def count_losses(rtp_receiver: RTCRtpReceiver) -> LineEstimator:
    """Lets a receiver's estimator know which packets it misses. Returns the estimator."""
    receiver: Any = rtp_receiver
    estimator: LineEstimator = receiver._RTCRtpReceiver__remote_bitrate_estimator
    estimator.missing = lambda: len(receiver._RTCRtpReceiver__nack_generator.missing)
    return estimator


def follow_line(rtp_sender: RTCRtpSender, rate: SendRate) -> None:
    """To be called before media flow. Remove when aiortc has a congestion control of its own."""
    sender: Any = rtp_sender
    handle, set_transport = sender._handle_rtcp_packet, sender.setTransport
    now = asyncio.get_running_loop().time

    async def handle_rtcp(packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            _take_estimate(packet, rate, now())
        else:
            _take_report(packet, sender, rate, now())
            await handle(packet)
        encoder = sender._RTCRtpSender__encoder
        if encoder is not None:
            encoder.target_bitrate = rate.bps

    sender._handle_rtcp_packet = handle_rtcp
    sender._retransmit = _Retransmission(sender, rate).send
    sender.setTransport = lambda transport: set_transport(_Spaced(transport, sender, rate))
    sender.setTransport(sender.transport)


def _take_estimate(packet: RtcpPsfbPacket, rate: SendRate, now: float) -> None:
    try:
        bps, _ = unpack_remb_fci(packet.fci)
    except ValueError:
        return  # another application's message
    rate.estimated(bps, now)


def _take_report(packet: AnyRtcpPacket, sender: Any, rate: SendRate, now: float) -> None:
    if not isinstance(packet, RtcpRrPacket | RtcpSrPacket):
        return
    for report in packet.reports:
        if report.ssrc != sender._ssrc:
            continue
        if report.dlsr and report.lsr == sender._RTCRtpSender__lsr:
            passed_s = time.time() - sender._RTCRtpSender__lsr_time
            rate.took(passed_s - report.dlsr / DLSR_HZ, now)
        rate.lost(report.fraction_lost / 256, now)


class _Spaced:
    """Stands for the sender's transport: on a narrow line a picture's packets go one by one, so
    that sound finds room between them.
    """

    def __init__(self, transport: Any, sender: Any, rate: SendRate) -> None:
        self._transport = transport
        self._sender = sender
        self._rate = rate
        self._now = asyncio.get_running_loop().time

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    async def _send_rtp(self, data: bytes) -> None:
        await self._transport._send_rtp(data)
        # Reports and retransmissions come from other tasks, which must not wait.
        if asyncio.current_task() is self._sender._RTCRtpSender__rtp_task:
            self._rate.sent(len(data) - HEADER_BYTES, self._now())
            # After, not before: the next packet gets its time of sending when this returns.
            wait_s = self._rate.wait_s(self._now())
            if wait_s > SHORTEST_WAIT_S:
                await asyncio.sleep(wait_s)


class _Retransmission:
    """Sends a lost packet again once a round trip, and only where it will not come too late: a
    keyframe is sooner there than the receiver asks for one (Chrome: after 3 s).
    """

    def __init__(self, sender: Any, rate: SendRate) -> None:
        self._sender = sender
        self._rate = rate
        self._again = sender._retransmit
        self._sent_at: dict[int, float] = {}
        self._keyframe_at = -math.inf
        self._now = asyncio.get_running_loop().time

    async def send(self, sequence_number: int) -> None:
        now = self._now()
        round_trip_s = max(self._sender._RTCRtpSender__rtt or 0.0, LEAST_ROUND_TRIP_S)
        before = self._sent_at.pop(sequence_number, None)
        if before is not None and now - before < round_trip_s:
            self._sent_at[sequence_number] = before
            return
        if before is None:
            self._rate.missed(now)
        self._sent_at[sequence_number] = now
        if len(self._sent_at) > REMEMBERED:
            del self._sent_at[next(iter(self._sent_at))]
        if self._rate.wait_s(now) > MOST_BACKLOG_S:
            if now - self._keyframe_at > KEYFRAME_EVERY_S:
                self._keyframe_at = now
                self._sender._send_keyframe()
            return
        packet = self._sender._RTCRtpSender__rtp_history.get(sequence_number % RTP_HISTORY_SIZE)
        if packet is not None:
            self._rate.sent(len(packet.payload), now)
            await self._again(sequence_number)
