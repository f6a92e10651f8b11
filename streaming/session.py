"""One call: its connection, its control channel, its life and its end."""

import asyncio
import logging

from aiortc import (
    MediaStreamTrack,
    RTCDataChannel,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError, InvalidStateError, OperationError

from engine.personal import Person

from . import control, rtc_compat
from .colour import Colour
from .control import BadControl, Controls
from .in_place import decode_in_place, encode_in_place
from .line import Line, follow_line
from .logs import session_id
from .pipeline import Pipeline, Shared
from .problems import BadOffer, UnservableOffer
from .sdp import strip_mdns, tune_answer
from .sendrate import SendRate
from .settings import Codec
from .sound import RATE_HZ
from .tracks import VIDEO_CLOCK_HZ

logger = logging.getLogger(__name__)

CAMERA_STALLED_S = 1.0
CLOSE_LIMIT_S = 2.0
FAREWELL_S = 0.05  # for the closing message to leave before the transport goes
STATS_EVERY_S = 1.0
CLOSED_BY_PEER = "closed by peer"


class _Over(Exception):
    """Ends the call's task group."""


class Session:
    """Made for one offer: `accept` answers it, then `run` lives until the call's end."""

    def __init__(
        self,
        pc_id: str,
        shared: Shared,
        controls: Controls,
        codec: Codec,
        person: Person | None = None,
    ) -> None:
        self.pc_id = pc_id
        self._settings = shared.settings
        self._metrics = shared.metrics
        self._codec = codec
        self._now = asyncio.get_running_loop().time
        self._made_at = self._now()
        self._pc = RTCPeerConnection(rtc_compat.configuration(shared.settings.ice_servers))
        self._colour = Colour()
        self._lag = shared.lag
        self._line: Line | None = None
        self._media = Pipeline(shared, controls, self._on_face, person)
        self._remote: dict[str, MediaStreamTrack] = {}
        self._channel: RTCDataChannel | None = None
        self._connected = asyncio.Event()
        self._over = asyncio.Event()
        self._reason = ""
        self._camera_stalled = False
        self._lost = 0

    async def accept(self, sdp: str) -> str:
        """The answer to an offer that `check_offer` has passed.

        Raises BadOffer or UnservableOffer; the session must then be closed by `discard`.
        """
        pc = self._pc
        pc.on("track", self._on_track)
        pc.on("datachannel", self._on_channel)
        pc.on("connectionstatechange", self._on_state)
        rtc_compat.prefer_codec(pc, self._codec)
        try:
            await pc.setRemoteDescription(RTCSessionDescription(strip_mdns(sdp), "offer"))
        except (OperationError, InternalError, InvalidStateError) as error:
            raise UnservableOffer(str(error) or "no common codec") from error
        except (ValueError, AssertionError, LookupError, TypeError, AttributeError) as error:
            raise BadOffer("sdp cannot be parsed") from error
        sound, picture = self._media.tracks()
        sender = pc.addTrack(sound)
        encode_in_place(sender)
        rtc_compat.stamp_reports(sender, RATE_HZ, self._media.unix_at)
        sender = pc.addTrack(picture)
        rate = SendRate(1000 * self._settings.video_kbps, lambda: 1000 * self._lag.worst_s())
        rtc_compat.stamp_reports(sender, VIDEO_CLOCK_HZ, self._media.unix_at)
        follow_line(sender, rate)
        for transceiver in pc.getTransceivers():
            if transceiver.kind == "audio":
                decode_in_place(transceiver.receiver)
            else:
                self._colour.follow(transceiver.receiver)
                self._line = Line(transceiver.receiver, rate, self._metrics)
        await pc.setLocalDescription(await pc.createAnswer())
        return tune_answer(pc.localDescription.sdp, self._settings.video_kbps)

    async def add_candidate(self, candidate: RTCIceCandidate | None) -> None:
        await self._pc.addIceCandidate(candidate)

    def end(self, reason: str) -> None:
        """Asks the call to end; `run` returns soon after. The first reason counts."""
        self._reason = self._reason or reason
        self._over.set()

    async def run(self) -> str:
        """Runs the call and closes it. Returns why it ended."""
        session_id.set(self.pc_id[:8])
        logger.info("call accepted")
        try:
            async with asyncio.TaskGroup() as jobs:
                jobs.create_task(self._media.take_sound(self._remote["audio"]))
                jobs.create_task(self._media.take_camera(self._remote["video"], self._colour))
                jobs.create_task(self._media.cut_slots())
                jobs.create_task(self._media.run_engine())
                jobs.create_task(self._watch())
                await self._over.wait()
                raise _Over
        except* _Over:
            pass
        except* Exception:
            # The top of the call: whatever broke it must not take the server along.
            logger.exception("call failed")
            self._reason = "internal error"
        finally:
            await asyncio.shield(self.discard())
        self._metrics.session_duration.observe(self._now() - self._made_at)
        logger.info("call ended: %s", self._reason)
        return self._reason

    async def discard(self) -> None:
        """Closes everything, in a bounded time; says goodbye first if the peer is there."""
        if self._reason != CLOSED_BY_PEER and self._tell(
            control.event("closing", reason=self._reason)
        ):
            await asyncio.sleep(FAREWELL_S)
        self._media.close()
        if self._line is not None:
            self._line.close()
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self._pc.close()
        except TimeoutError:
            logger.warning("connection did not close in %.0f s", CLOSE_LIMIT_S)

    async def _watch(self) -> None:
        """Ends a call that does not connect or goes silent; reports once a second."""
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await self._connected.wait()
        except TimeoutError:
            self.end("connect timeout")
            return
        self._metrics.connect.observe(self._now() - self._made_at)
        logger.info("connected after %.0f ms", 1000 * (self._now() - self._made_at))
        connected_at = self._now()
        while True:
            await asyncio.sleep(STATS_EVERY_S)
            heard = max(self._media.heard_at, self._media.seen_at, connected_at)
            if self._now() - heard > self._settings.stall_timeout_s:
                self.end("stalled")
            self._watch_camera()
            await self._count_losses()
            self._tell(self._media.stats(self._line.tell() if self._line else {}))

    async def _count_losses(self) -> None:
        lost = 0
        for receiver in self._pc.getReceivers():
            for entry in (await receiver.getStats()).values():
                lost += getattr(entry, "packetsLost", 0) if entry.type == "inbound-rtp" else 0
        self._metrics.packets_lost.inc(max(0, lost - self._lost))
        self._lost = max(self._lost, lost)

    def _watch_camera(self) -> None:
        stalled = self._now() - self._media.seen_at > CAMERA_STALLED_S
        if stalled != self._camera_stalled:
            self._camera_stalled = stalled
            self._tell(control.event("camera_stalled" if stalled else "camera_resumed"))

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._remote[track.kind] = track

    def _on_state(self) -> None:
        state = self._pc.connectionState
        if state == "connected":
            self._connected.set()
        elif state == "failed":
            self.end("connection failed")
        elif state == "closed":
            self.end(CLOSED_BY_PEER)

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label == control.LABEL:
            self._channel = channel
            channel.on("message", self._on_message)

    def _on_message(self, text: object) -> None:
        try:
            if not isinstance(text, str):
                raise BadControl("message is not text")
            message = control.parse_message(text)
            if message["type"] == "ping":
                self._tell(control.pong(message.get("t")))
            elif message["type"] == "set":
                self._media.controls = control.change(self._media.controls, message)
            else:
                raise BadControl("unknown type of message")
        except BadControl as error:
            self._tell(control.event("error", detail=str(error)))

    def _on_face(self, found: bool) -> None:
        self._tell(control.event("face_found" if found else "face_lost"))

    def _tell(self, text: str) -> bool:
        if self._channel is None or self._channel.readyState != "open":
            return False
        try:
            self._channel.send(text)
        except (InvalidStateError, ConnectionError):
            return False
        return True
