"""Colours come through as their sender meant them."""

import av
import numpy as np
import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpReceiveParameters
from aiortc.rtp import RtpPacket, pack_header_extensions
from av.video.reformatter import ColorRange, Colorspace

from streaming import colour
from streaming.colour import URI, Colour
from streaming.pictures import bounded, to_rgb

FULL_709 = bytes([1, 13, 1, 2 << 4])  # primaries, transfer, matrix, range
LIMITED_601 = bytes([6, 6, 6, 1 << 4])
SHADES = np.array([[114, 131, 148], [221, 178, 150], [188, 110, 111], [30, 30, 30]], float)


def full_709(rgb: np.ndarray) -> av.VideoFrame:
    """A plain 32x32 frame of one colour in full-range BT.709 (ITU-R BT.709-6, section 3)."""
    luma = float(rgb @ [0.2126, 0.7152, 0.0722])
    planes = [luma, (rgb[2] - luma) / 1.8556 + 128, (rgb[0] - luma) / 1.5748 + 128]
    sizes = (32, 16, 16)
    rows = [np.full(n * n, round(p), np.uint8) for n, p in zip(sizes, planes, strict=True)]
    return av.VideoFrame.from_ndarray(np.concatenate(rows).reshape(48, 32), format="yuv420p")


@pytest.mark.parametrize("rgb", SHADES[1:])
def test_full_range_bt709_is_understood_once_its_sender_said_so(rgb: np.ndarray) -> None:
    known, unknown = full_709(rgb), full_709(rgb)
    said = Colour()
    said.learn(FULL_709)
    said.mark(known)
    Colour().mark(unknown)
    shown = to_rgb(bounded(known))[16, 16].astype(float)
    assert np.abs(shown - rgb).max() <= 2
    assert np.abs(to_rgb(bounded(unknown))[16, 16] - rgb).max() > 6  # the fault that this cures


def test_the_usual_colours_are_not_converted() -> None:
    frame = full_709(SHADES[0])
    usual = Colour()
    usual.learn(FULL_709)
    usual.learn(LIMITED_601)
    usual.learn(b"\x01")  # too short: what was said before stands
    usual.mark(frame)
    assert (frame.colorspace, frame.color_range) == (Colorspace.ITU601, ColorRange.MPEG)
    assert bounded(frame) is frame


async def test_a_receiver_learns_from_the_packets_it_takes() -> None:
    colour.accept_colour()
    names = colour._rtp.HeaderExtensionsMap()
    names.configure(
        RTCRtpReceiveParameters(headerExtensions=[RTCRtpHeaderExtensionParameters(8, URI)])
    )
    plain = RtpPacket(payload_type=96, sequence_number=1, timestamp=2, ssrc=3, payload=b"x")
    profile, value = pack_header_extensions([(8, FULL_709)])
    header = bytearray(plain.serialize()[:12])
    header[0] |= 0x10  # RFC 3550 section 5.3.1: an extension follows
    words = len(value) // 4
    data = bytes(header) + profile.to_bytes(2) + words.to_bytes(2) + value + b"x"
    taken = []

    class Receiver:
        async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
            taken.append((packet.payload, arrival_time_ms))

    receiver, learnt = Receiver(), Colour()
    learnt.follow(receiver)  # type: ignore[arg-type]
    await receiver._handle_rtp_packet(RtpPacket.parse(data, names), arrival_time_ms=7)
    frame = full_709(SHADES[0])
    learnt.mark(frame)
    assert taken == [(b"x", 7)]
    assert (frame.colorspace, frame.color_range) == (Colorspace.ITU709, ColorRange.JPEG)
