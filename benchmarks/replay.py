"""A caller without browser that sends a recording: encoding and decoding only where asked.

What comes back is noted as it arrives, at the RTP packet and, decoded, at the picture.
"""

import asyncio
import fractions
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aioice.ice
import av
import numpy as np
from aiohttp import ClientError, ClientSession, ClientTimeout
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtcpSrPacket, RtpPacket
from numpy.typing import NDArray

from engine.media import FPS
from streaming import rtc_compat
from streaming.line import count_losses, follow_line
from streaming.looplag import LoopLag
from streaming.sendrate import SendRate

from .errors import BenchError
from .material import RATE_HZ, read_stamp
from .recording import PACKET, PACKET_S, Recording

PICTURE_HZ = 90_000
CONNECT_LIMIT_S = 20.0
CLOSE_LIMIT_S = 5.0
MOST_BEHIND_S = 0.3
KEPT = 200_000  # notes of each kind: twenty minutes of packets
NTP_FRACTION = 1 << 32


class Refused(BenchError):
    """The server took no call. clean: as its contract says, with a time to come back."""

    def __init__(self, status: int, retry_after: str | None, detail: str) -> None:
        super().__init__(f"the server refused a call, {status}: {detail}")
        self.status = status
        self.clean = status == 503 and retry_after is not None and bool(detail)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One RTP packet. at_s: of this process's clock; timestamp: unwrapped by nobody, 32 bits."""

    at_s: float
    number: int
    timestamp: int
    last: bool  # of its picture


@dataclass(frozen=True, slots=True)
class SeenPicture:
    """One decoded picture. stamp: None where it cannot be read; sent_s: when the picture with this
    stamp had gone last; media: ticks since the first.
    """

    at_s: float
    stamp: int | None
    sent_s: float | None
    media: int
    width: int


@dataclass(frozen=True, slots=True)
class HeardSound:
    """media: samples since the track's first packet; samples: int16 (S,) mono."""

    at_s: float
    media: int
    samples: NDArray[np.int16]


@dataclass(slots=True)
class Returned:
    """What one track brought. first: timestamp of its first packet; report: the latest pair of
    (Unix seconds, RTP timestamp) that the sender stated.
    """

    arrivals: deque[Arrival] = field(default_factory=lambda: deque(maxlen=KEPT))
    first: int | None = None
    report: tuple[float, int] | None = None


def now_s() -> float:
    """The clock of all notes."""
    return time.monotonic()


class _Sender(MediaStreamTrack):
    """Gives a recording's packets at their time; aiortc packs and sends them as they are.

    entries: places where a receiver can begin. Held up for longer than MOST_BEHIND_S it leaves
    packets out, as a camera would, and goes on at the next entry.
    """

    def __init__(
        self, kind: str, packets: Sequence[Any], period_s: float, hz: int, entries: Sequence[int]
    ) -> None:
        super().__init__()
        self.kind = kind
        self._packets, self._period_s, self._hz = packets, period_s, hz
        self._entries = entries
        self._place = self._count = 0
        self.start_s: float | None = None
        self.sent_at: dict[int, float] = {}  # place in the recording -> when it went last

    async def recv(self) -> av.Packet | av.VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if self.start_s is None:
            self.start_s = now_s()
        late_s = now_s() - self.start_s - self._period_s * self._count
        if late_s > MOST_BEHIND_S:
            left_out = int(late_s / self._period_s)
            self._count += left_out
            self._place = (self._place + left_out) % len(self._packets)
            self.jump()
        await asyncio.sleep(self.start_s + self._period_s * self._count - now_s())
        content = self._at(self._place)
        content.pts = round(self._count * self._period_s * self._hz)
        content.time_base = fractions.Fraction(1, self._hz)
        self.sent_at[self._place] = now_s()
        self._place = (self._place + 1) % len(self._packets)
        self._count += 1
        return content

    def _at(self, place: int) -> av.Packet | av.VideoFrame:
        return av.Packet(self._packets[place])

    def jump(self) -> None:
        """Goes on at the next entry."""
        entries = self._entries
        self._place = next((place for place in entries if place >= self._place), entries[0])


class _Camera(_Sender):
    """Gives the uncoded pictures of a recording, to be encoded at the rate that the line bears."""

    def __init__(self, raw: list[NDArray[np.uint8]]) -> None:
        super().__init__("video", [], 1 / FPS, PICTURE_HZ, range(len(raw)))
        self._raw = self._packets = raw

    def _at(self, place: int) -> av.VideoFrame:
        return av.VideoFrame.from_ndarray(self._raw[place], format="yuv420p")


class RecordedCall:
    """One call to `url`. decode: pictures and sound are decoded, stamps read. encode: pictures are
    encoded for this call, at the recording's rate where the line bears it.
    """

    def __init__(
        self, url: str, recording: Recording, *, decode: bool = False, encode: bool = False
    ) -> None:
        self._url, self._decode, self._encode = url, decode, encode
        self._kbps, self._width = recording.kbps, recording.width
        self.video, self.audio = Returned(), Returned()
        self.pictures: deque[SeenPicture] = deque(maxlen=KEPT)
        self.sound: deque[HeardSound] = deque(maxlen=KEPT)
        self.messages: list[dict[str, Any]] = []
        self.connected_s = 0.0
        self.connect_ms = 0.0
        self._pc_id = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._connected = asyncio.Event()
        self._camera = (
            _Camera(recording.raw)
            if encode
            else _Sender("video", recording.pictures, 1 / FPS, PICTURE_HZ, recording.keyframes)
        )
        self._microphone = _Sender(
            "audio", recording.sound, PACKET_S, RATE_HZ, range(len(recording.sound))
        )
        lag = LoopLag()
        rtc_compat.apply(video_kbps=recording.kbps, loopback=True, observe=lambda *_: None, lag=lag)
        self._tasks.append(asyncio.create_task(lag.watch()))
        self._pc = RTCPeerConnection(rtc_compat.configuration([]))
        self._pc.on("track", self._receive)
        self._pc.on("connectionstatechange", self._on_state)

    async def connect(self, reroute: Callable[[str], str] | None = None) -> None:
        """reroute: changes the answer's candidates; the offer then names none, and only loopback is
        used here.

        Raises:
            Refused: the server took no call.
            BenchError: no answer, or no connection.
        """
        begin = now_s()
        if reroute is not None:
            aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
        channel = self._pc.createDataChannel("control")
        channel.on("message", self._hear)
        rtc_compat.prefer_codec(self._pc, "vp8")
        self._pc.addTrack(self._microphone)
        sender: Any = self._pc.addTrack(self._camera)
        if self._encode:
            follow_line(sender, SendRate(1000 * self._kbps))
        else:
            sender._send_keyframe = self._camera.jump
        await self._pc.setLocalDescription(await self._pc.createOffer())
        sdp = self._pc.localDescription.sdp
        if reroute is not None:
            sdp = without_candidates(sdp)
        answer = await self._post(sdp)
        self._pc_id = answer["pc_id"]
        sdp = answer["sdp"] if reroute is None else reroute(answer["sdp"])
        self._watch()
        await self._pc.setRemoteDescription(RTCSessionDescription(sdp, answer["type"]))
        try:
            await asyncio.wait_for(self._connected.wait(), CONNECT_LIMIT_S)
        except TimeoutError:
            raise BenchError(f"a call did not connect within {CONNECT_LIMIT_S:.0f} s") from None
        self.connected_s = now_s()
        self.connect_ms = 1000 * (self.connected_s - begin)

    async def close(self) -> None:
        """Ends the call at the server, then here."""
        if self._pc_id:
            # Without an answer the server is gone, and the call with it.
            with suppress(ClientError, TimeoutError):
                async with (
                    ClientSession(timeout=ClientTimeout(total=CLOSE_LIMIT_S)) as http,
                    http.delete(f"{self._url}/api/sessions/{self._pc_id}"),
                ):
                    pass
        with suppress(TimeoutError):
            await asyncio.wait_for(self._pc.close(), CLOSE_LIMIT_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Messages of the control channel, each with `at_s`."""
        return [message for message in self.messages if message["type"] == kind]

    @property
    def sound_start_s(self) -> float | None:
        """When the recording's first sample was taken; it goes with its packet, 10 ms later."""
        start = self._microphone.start_s
        return None if start is None else start - PACKET / RATE_HZ

    async def _post(self, sdp: str) -> dict[str, Any]:
        body = {"sdp": sdp, "type": "offer"}
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=CONNECT_LIMIT_S)) as http,
                http.post(f"{self._url}/api/offer", json=body) as response,
            ):
                answer: dict[str, Any] = await response.json(content_type=None)
        except (ClientError, TimeoutError, ValueError) as error:
            raise BenchError(f"the server does not answer an offer: {error}") from error
        if response.status != 200:
            retry = response.headers.get("Retry-After")
            raise Refused(response.status, retry, str(answer.get("detail", "")))
        return answer

    def _watch(self) -> None:
        for transceiver in self._pc.getTransceivers():
            returned = self.video if transceiver.kind == "video" else self.audio
            if transceiver.kind == "video":
                count_losses(transceiver.receiver)
            _note_packets(transceiver.receiver, returned, keep_on=self._decode)

    def _on_state(self) -> None:
        if self._pc.connectionState == "connected":
            self._connected.set()

    def _receive(self, track: MediaStreamTrack) -> None:
        if self._decode:
            self._tasks.append(asyncio.create_task(self._drain(track)))

    async def _drain(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            at_s = now_s()
            assert frame.pts is not None
            if isinstance(frame, av.VideoFrame):
                stamp = read_stamp(_luma(frame), frame.width / self._width)
                sent_s = None if stamp is None else self._camera.sent_at.get(stamp)
                self.pictures.append(SeenPicture(at_s, stamp, sent_s, frame.pts, frame.width))
            elif isinstance(frame, av.AudioFrame):
                samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                self.sound.append(HeardSound(at_s, frame.pts, samples.astype(np.int16)))

    def _hear(self, text: str) -> None:
        self.messages.append({"at_s": now_s(), **json.loads(text)})


def without_candidates(sdp: str) -> str:
    """As an offer before its candidates are known; the server then learns them from packets."""
    told = ("a=candidate:", "a=end-of-candidates")
    lines = [x for x in sdp.splitlines() if not x.startswith(told)]
    return "\r\n".join(lines) + "\r\n"


def _note_packets(rtp_receiver: Any, returned: Returned, *, keep_on: bool) -> None:
    """keep_on: the packet then goes its usual way, with retransmission and decoding."""
    handle, handle_rtcp = rtp_receiver._handle_rtp_packet, rtp_receiver._handle_rtcp_packet

    async def on_rtp(packet: RtpPacket, arrival_time_ms: int) -> None:
        if packet.payload and not _is_retransmission(rtp_receiver, packet):
            if returned.first is None:
                returned.first = packet.timestamp
            number, stamp, last = packet.sequence_number, packet.timestamp, bool(packet.marker)
            returned.arrivals.append(Arrival(now_s(), number, stamp, last))
        if keep_on:
            await handle(packet, arrival_time_ms)

    async def on_rtcp(packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            info = packet.sender_info
            unix_s = info.ntp_timestamp / NTP_FRACTION - rtc_compat.NTP_TO_UNIX_S
            returned.report = (unix_s, info.rtp_timestamp)
        await handle_rtcp(packet)

    rtp_receiver._handle_rtp_packet, rtp_receiver._handle_rtcp_packet = on_rtp, on_rtcp


def _is_retransmission(rtp_receiver: Any, packet: RtpPacket) -> bool:
    return packet.ssrc in rtp_receiver._RTCRtpReceiver__rtx_ssrc


def _luma(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """(H, W); 0..255."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width]
