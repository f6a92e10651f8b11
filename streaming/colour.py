"""What a sender's colours mean: WebRTC's color-space header extension, read from received video.

Chromium sends what a canvas shows as full-range BT.709 and says so on key frames only. Without this
the picture comes back with more contrast than it went out with.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import aiortc.codecs
import aiortc.rtp
import av
from aiortc import RTCRtpReceiver
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters
from av.video.reformatter import ColorRange, Colorspace

URI = "http://www.webrtc.org/experiments/rtp-hdrext/color-space"
OFFERED_ID = 4
MATRIX, RANGE = 2, 3  # bytes of the extension, after primaries and transfer
MATRICES = {1: Colorspace.ITU709, 5: Colorspace.ITU601, 6: Colorspace.ITU601}  # ITU-T H.273
FULL = 2

_rtp: Any = aiortc.rtp


class _ReadingMap(aiortc.rtp.HeaderExtensionsMap):
    """aiortc's map, which drops the extensions that it does not know."""

    def __init__(self) -> None:
        super().__init__()
        self._colour_id: int | None = None

    def configure(self, parameters: Any) -> None:
        super().configure(parameters)
        for extension in parameters.headerExtensions:
            if extension.uri == URI:
                self._colour_id = extension.id

    def get(self, extension_profile: int, extension_value: bytes) -> Any:
        values: Any = super().get(extension_profile, extension_value)
        for number, value in _rtp.unpack_header_extensions(extension_profile, extension_value):
            if number == self._colour_id:
                values.colour = value
        return values


def accept_colour() -> None:
    """Lets aiortc negotiate and read the extension. Remove when it does so itself."""
    known = aiortc.codecs.HEADER_EXTENSIONS["video"]
    if all(extension.uri != URI for extension in known):
        known.append(RTCRtpHeaderExtensionParameters(id=OFFERED_ID, uri=URI))
    _rtp.HeaderExtensionsMap = _ReadingMap


class Colour:
    """The colours of one received video track, as its sender said last."""

    def __init__(self) -> None:
        self._said: tuple[Colorspace, ColorRange] | None = None

    def learn(self, extension: bytes) -> None:
        """Takes the extension's value; one that is too short to hold a range is left aside."""
        if len(extension) > RANGE:
            full = extension[RANGE] >> 4 == FULL
            matrix = MATRICES.get(extension[MATRIX], Colorspace.ITU601)
            self._said = matrix, ColorRange.JPEG if full else ColorRange.MPEG

    def follow(self, rtp_receiver: RTCRtpReceiver) -> None:
        """Learns from every packet that this receiver takes."""
        receiver: Any = rtp_receiver
        handle: Callable[..., Awaitable[None]] = receiver._handle_rtp_packet

        async def look(packet: Any, arrival_time_ms: int) -> None:
            extension = getattr(packet.extensions, "colour", None)
            if extension is not None:
                self.learn(extension)
            await handle(packet, arrival_time_ms=arrival_time_ms)

        receiver._handle_rtp_packet = look

    def mark(self, frame: av.VideoFrame) -> None:
        """Says on the frame what its numbers mean, if the sender did, for `pictures.bounded`."""
        if self._said is not None:
            frame.colorspace, frame.color_range = self._said
