"""What replaces aiortc's receive buffers: no waiting for a successor, no long stall at a loss."""

from collections import deque

from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

VIDEO_CLOCK_HZ = 90_000
HOLE_PATIENCE = VIDEO_CLOCK_HZ // 4  # 250 ms: more than a retransmission takes, less than a freeze
KEYFRAME_RETRY = VIDEO_CLOCK_HZ // 2
REMEMBERED_PACKETS = 64


def timestamp_delta(later: int, earlier: int) -> int:
    """Signed difference of two 32-bit RTP timestamps."""
    return ((later - earlier + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def _payload(packet: RtpPacket) -> bytes:
    """What aiortc's receiver has taken out of the RTP payload."""
    data: bytes = packet._data  # type: ignore[attr-defined]
    return data


def _leans(data: bytes) -> bool:
    """True for the beginning of a VP8 frame that needs others: the lowest bit is 0 in keyframes
    (RFC 6386 section 9.1). H.264 in Annex B begins with a zero byte and so never does: x264
    conceals well enough.
    """
    return bool(data) and bool(data[0] & 1)


def _begins_keyframe(packet: RtpPacket) -> bool:
    """Of VP8. Its payload descriptor (RFC 7741 section 4.2) has X and S set, and partition 0; in
    H.264 the first bit is always 0.
    """
    descriptor: bytes = packet.payload[:1]
    return bool(descriptor) and descriptor[0] & 0x97 == 0x90 and not _leans(_payload(packet))


class FrameBurst(JitterFrame):
    """One frame and the complete ones behind it, so that a mended hole leaves no backlog."""

    def __init__(self, data: bytes, timestamp: int) -> None:
        super().__init__(data, timestamp)
        self.rest: list[bytes] = []


class VideoBuffer(JitterBuffer):
    """Emits a frame at its marker bit (RFC 7741 section 4.1, RFC 6184 section 5.1).

    A hole that retransmission has not filled after HOLE_PATIENCE is given up: everything before
    the next frame's start goes, a keyframe is asked for, and nothing that leans on the lost
    picture is emitted until it comes. Where one comes, no hole before it matters.
    """

    def __init__(self, capacity: int = 512) -> None:
        super().__init__(capacity=capacity, is_video=True)
        self._emitted: int | None = None
        self._newest: int | None = None
        self._torn_since: int | None = None
        self._keyframe_asked: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        if self._newest is None or timestamp_delta(packet.timestamp, self._newest) > 0:
            self._newest = packet.timestamp
        ask, frame = super().add(packet)
        if frame is not None:
            self._torn_since = None
        elif _begins_keyframe(packet) and self._missing_before(packet):
            self.remove(self._ahead(packet))
            self._torn_since, frame = None, self._remove_frame(packet.sequence_number)
        elif self._torn_too_long(packet):
            self._give_up()
            self._torn_since, self._keyframe_asked = None, packet.timestamp
            ask, frame = True, self._remove_frame(packet.sequence_number)
        if ask:
            self._keyframe_asked = packet.timestamp
        elif self._keyframe_asked is not None:
            ask = timestamp_delta(packet.timestamp, self._keyframe_asked) > KEYFRAME_RETRY
            if ask:
                self._keyframe_asked = packet.timestamp
        return ask, frame

    def _torn_too_long(self, packet: RtpPacket) -> bool:
        """True while packets are missing, HOLE_PATIENCE of media after they were missed. A picture
        that is still arriving misses none, however long the one before was shown.
        """
        if self._emitted is None or self._newest is None:
            return False
        if not self._missing_before(packet):
            self._torn_since = None
            return False
        if self._torn_since is None:
            self._torn_since = self._newest
        return timestamp_delta(self._newest, self._torn_since) > HOLE_PATIENCE

    def _missing_before(self, packet: RtpPacket) -> bool:
        ahead = self._ahead(packet)
        return ahead < self._capacity and any(self._at(n) is None for n in range(ahead))

    def _ahead(self, packet: RtpPacket) -> int:
        """Places from the packet that is awaited; beyond the capacity for what is older."""
        return (packet.sequence_number - (self._origin or 0)) & 0xFFFF

    def _give_up(self) -> None:
        """Moves the origin behind the hole, to the first packet of another frame."""
        count = 0
        while count < self._capacity and self._at(count) is not None:
            count += 1
        while count < self._capacity and self._at(count) is None:
            count += 1
        torn = self._at(count) if count < self._capacity else None
        while count < self._capacity:
            packet = self._at(count)
            if packet is None or torn is None or packet.timestamp != torn.timestamp:
                break
            count += 1
        self.remove(count)
        self._emitted = torn.timestamp if torn is not None else None

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        burst: FrameBurst | None = None
        while (frame := self._next_complete()) is not None:
            if burst is None:
                burst = frame
            else:
                burst.rest.append(frame.data)
        return burst

    def _next_complete(self) -> FrameBurst | None:
        packets: list[RtpPacket] = []
        count = 0
        while count < self._capacity:
            packet = self._at(count)
            if packet is None:
                return None
            if packets and packet.timestamp != packets[0].timestamp:
                frame, packets, count = self._take(packets, count), [], 0
            else:
                packets.append(packet)
                count += 1
                if not packet.marker:
                    continue
                frame, packets, count = self._take(packets, count), [], 0
            if frame is not None:
                return frame
        return None

    def _take(self, packets: list[RtpPacket], count: int) -> FrameBurst | None:
        """Removes `count` packets; None for padding and for what a lost picture spoilt."""
        self.remove(count)
        data = b"".join(_payload(packet) for packet in packets)
        if not data:
            return None
        self._emitted = packets[0].timestamp
        if self._keyframe_asked is not None:
            if _leans(data):
                return None
            self._keyframe_asked = None
        return FrameBurst(data, packets[0].timestamp)

    def _at(self, offset: int) -> RtpPacket | None:
        if self._origin is None:
            return None
        return self._packets[(self._origin + offset) % self._capacity]


class AudioBuffer:
    """Hands every packet on at once; the timeline behind it sets it in its place by timestamp.

    Waiting here for a lost packet would only cost delay: sound is not retransmitted.
    """

    def __init__(self) -> None:
        self._recent: deque[int] = deque(maxlen=REMEMBERED_PACKETS)

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        if packet.sequence_number in self._recent or not _payload(packet):
            return False, None
        self._recent.append(packet.sequence_number)
        return False, JitterFrame(_payload(packet), packet.timestamp)


class TimestampMapper:
    """RTP timestamp -> ticks since the track's first packet, in any order of arrival."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._position = 0

    def map(self, timestamp: int) -> int:
        if self._last is not None:
            self._position += timestamp_delta(timestamp, self._last)
        self._last = timestamp
        return self._position


def make_buffer(capacity: int, prefetch: int = 0, is_video: bool = False) -> object:
    """Takes the place of aiortc's JitterBuffer constructor in the receiver."""
    return VideoBuffer(capacity) if is_video else AudioBuffer()
