"""The returned tracks: aiortc pulls, the pacer says when and what."""

import asyncio
import fractions
from collections.abc import Callable
from typing import Any, TypeVar

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import VIDEO_TIME_BASE, MediaStreamError

from .pacer import Out, Pacer
from .sound import RATE_HZ

VIDEO_CLOCK_HZ = 90_000
AUDIO_TIME_BASE = fractions.Fraction(1, RATE_HZ)

Content = TypeVar("Content")
Released = Callable[[str, Out[Any], float], None]
Sent = Callable[[str, float], None]


class Signal:
    """Wakes every waiter, or each at its own time. Must be used on its event loop."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        for waiter in self._waiters:
            _finish(waiter)
        self._waiters.clear()

    async def wait(self, until: float | None = None) -> None:
        """Returns at the next `notify`, or at loop time `until`."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.add(waiter)
        timer = None
        if until is not None:
            timer = loop.call_at(until, _finish, waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            if timer is not None:
                timer.cancel()


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class PacedTrack(MediaStreamTrack):
    """Base of both tracks: waits until the pacer gives something out.

    `released(kind, out, now)` is told about each, `sent(kind, seconds)` how long the sender took
    over it: aiortc asks for the next when the last packet has gone out. recv() raises nothing but
    MediaStreamError: aiortc ends the track at any other exception.
    """

    def __init__(
        self,
        pacer: Pacer[av.VideoFrame],
        changed: Signal,
        released: Released | None = None,
        sent: Sent | None = None,
    ) -> None:
        super().__init__()
        self._pacer = pacer
        self._signal = changed
        self._released = released
        self._sent = sent
        self._given_at: float | None = None

    async def _next(
        self, take: Callable[[float], Out[Content] | None], due: Callable[[], float | None]
    ) -> Out[Content]:
        clock = asyncio.get_running_loop().time
        if self._sent is not None and self._given_at is not None:
            self._sent(self.kind, clock() - self._given_at)
        while self.readyState == "live":
            out = take(clock())
            if out is not None:
                self._given_at = clock()
                if self._released is not None:
                    self._released(self.kind, out, self._given_at)
                return out
            await self._signal.wait(due())
        raise MediaStreamError

    def stop(self) -> None:
        super().stop()
        self._signal.notify()


class SoundTrack(PacedTrack):
    """48 kHz mono in 20 ms frames."""

    kind = "audio"

    async def recv(self) -> av.AudioFrame:
        out = await self._next(self._pacer.take_sound, self._pacer.sound_due)
        frame = av.AudioFrame.from_ndarray(out.content[None], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        frame.pts = round(out.media_s * RATE_HZ)
        frame.time_base = AUDIO_TIME_BASE
        return frame


class PictureTrack(PacedTrack):
    """25 pictures a second; a repeated one is the same frame under a new timestamp."""

    kind = "video"

    async def recv(self) -> av.VideoFrame:
        out = await self._next(self._pacer.take_picture, self._pacer.picture_due)
        frame = out.content
        frame.pts = round(out.media_s * VIDEO_CLOCK_HZ)
        frame.time_base = VIDEO_TIME_BASE
        return frame
