import random

import pytest
from aiortc.rtp import RtpPacket

from streaming.jitter import HOLE_PATIENCE, AudioBuffer, FrameBurst, TimestampMapper, VideoBuffer

STEP = 3600


def rtp(sequence: int, timestamp: int, data: bytes, marker: int = 0) -> RtpPacket:
    packet = RtpPacket(
        sequence_number=sequence & 0xFFFF, timestamp=timestamp & 0xFFFFFFFF, marker=marker
    )
    packet._data = data
    return packet


def stream(frames: int, start: int = 65_530, key: bytes = b"\x00") -> list[RtpPacket]:
    """Three packets a frame; the first byte is even in the first frame only (a keyframe)."""
    packets = []
    for n in range(frames):
        head = key if n == 0 else b"\x01"
        for part in range(3):
            data = (head if part == 0 else b"") + bytes([n, part])
            packets.append(rtp(start + 3 * n + part, n * STEP, data, marker=part == 2))
    return packets


def frames_of(buffer: VideoBuffer, packets: list[RtpPacket]) -> tuple[list[bytes], int]:
    out, asked = [], 0
    for packet in packets:
        ask, frame = buffer.add(packet)
        asked += ask
        if frame is not None:
            assert isinstance(frame, FrameBurst)
            out += [frame.data, *frame.rest]
    return out, asked


def test_frame_leaves_with_its_marker_packet() -> None:
    buffer = VideoBuffer()
    for packet in stream(20):
        _, frame = buffer.add(packet)
        assert (frame is not None) == bool(packet.marker)


def test_reordered_packets_give_the_same_frames() -> None:
    packets = stream(60)
    expected, _ = frames_of(VideoBuffer(), packets)
    shuffled = packets[:3]
    rest = packets[3:]
    rng = random.Random(5)
    shuffled += sorted(rest, key=lambda p: rest.index(p) + rng.uniform(0, 6))
    got, _ = frames_of(VideoBuffer(), shuffled)
    assert got == expected


def test_mended_hole_leaves_no_backlog() -> None:
    packets = stream(6)
    late = packets.pop(4)
    buffer = VideoBuffer()
    before, _ = frames_of(buffer, packets)
    assert len(before) == 1
    after, _ = frames_of(buffer, [late])
    assert len(after) == 5


def test_unmended_hole_is_given_up_and_a_keyframe_asked_for() -> None:
    packets = stream(40)
    del packets[31]
    out, asked = frames_of(VideoBuffer(), packets)
    assert len(out) == 10
    assert asked >= 1


def test_picture_after_a_pause_is_no_hole() -> None:
    packets = stream(10)
    for packet in packets[15:]:
        packet.timestamp += 2 * HOLE_PATIENCE
    out, asked = frames_of(VideoBuffer(), packets)
    assert len(out) == 10 and not asked


def test_hole_behind_a_pause_has_time_to_be_mended() -> None:
    packets = stream(10)
    for packet in packets[15:]:
        packet.timestamp += 2 * HOLE_PATIENCE
    late = packets.pop(16)
    out, asked = frames_of(VideoBuffer(), [*packets[:20], late, *packets[20:]])
    assert len(out) == 10 and not asked


def test_after_a_hole_nothing_leaves_before_the_keyframe() -> None:
    packets = stream(40)
    del packets[31]
    keyframe = [rtp(p.sequence_number, p.timestamp, p._data, p.marker) for p in packets[-30:]]
    keyframe[0]._data = b"\x00" + keyframe[0]._data[1:]
    out, _ = frames_of(VideoBuffer(), packets[:-30] + keyframe)
    assert len(out) == 20
    assert out[10][0] == 0


def test_many_holes_do_not_hold_a_keyframe_up() -> None:
    packets = stream(40)
    keyframe = packets[60]
    keyframe._data = b"\x00" + keyframe._data[1:]
    keyframe.payload = b"\x90"
    for lost in (58, 55, 52, 49, 46, 31):
        del packets[lost]
    out, _ = frames_of(VideoBuffer(), packets)
    assert len(out) == 10 + 20
    assert out[10][0] == 0


def test_keyframe_that_came_before_is_nothing_new() -> None:
    packets = stream(40)
    packets[0].payload = b"\x90"
    del packets[31]
    out, _ = frames_of(VideoBuffer(), [*packets[:35], packets[0], *packets[35:]])
    assert len(out) == 10


def test_keyframe_is_asked_for_again_when_the_request_was_lost() -> None:
    packets = stream(100)
    del packets[31]
    _, asked = frames_of(VideoBuffer(), packets)
    assert asked >= 3


def test_padding_makes_no_frame() -> None:
    buffer = VideoBuffer()
    packets = stream(2)
    padding = rtp(packets[2].sequence_number + 1, 0, b"")
    for packet in packets[3:]:
        packet.sequence_number = (packet.sequence_number + 1) & 0xFFFF
    out, _ = frames_of(buffer, [*packets[:3], padding, *packets[3:]])
    assert len(out) == 2 and all(out)


def test_sender_without_markers_falls_back_to_timestamps() -> None:
    packets = stream(5)
    for packet in packets:
        packet.marker = 0
    out, _ = frames_of(VideoBuffer(), packets)
    assert len(out) == 4


def test_a_retransmission_that_takes_200_ms_is_still_taken() -> None:
    packets = stream(20)
    late = packets.pop(16)  # of the sixth frame, and sent again five frames later
    out, asked = frames_of(VideoBuffer(), [*packets[:32], late, *packets[32:]])
    assert len(out) == 20 and not asked


def test_audio_passes_at_once_whatever_is_missing() -> None:
    buffer = AudioBuffer()
    for sequence in (0, 1, 3, 2, 7):
        _, frame = buffer.add(rtp(sequence, sequence * 960, b"x"))
        assert frame is not None and frame.timestamp == sequence * 960


def test_audio_duplicates_and_padding_are_dropped() -> None:
    buffer = AudioBuffer()
    assert buffer.add(rtp(1, 960, b"x"))[1] is not None
    assert buffer.add(rtp(1, 960, b"x"))[1] is None
    assert buffer.add(rtp(2, 1920, b""))[1] is None


@pytest.mark.parametrize("origin", [0, 0xFFFFFFFF - 960])
def test_timestamps_map_in_any_order_across_the_wrap(origin: int) -> None:
    mapper = TimestampMapper()
    order = [0, 960, 2880, 1920, 3840]
    assert [mapper.map((origin + t) & 0xFFFFFFFF) for t in order] == order
