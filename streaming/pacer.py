"""What leaves and when: frame n and its 40 ms of sound leave by the same release time, the sound a
little before: a receiver holds sound longer than pictures, and would hold the pictures for it.

Sound never waits for a picture: a picture that is not ready is replaced by the last one. Time is
injected; nothing here sleeps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from .mediaclock import FPS, NEWER, SLOT
from .playout import PlayoutClock
from .sound import RATE_HZ, Pcm

Content = TypeVar("Content")
Picture = TypeVar("Picture")

CHUNK = RATE_HZ // 50  # samples: 20 ms, one Opus frame; more would share one RTP timestamp
CHUNKS = SLOT // CHUNK
LEFT_OUT = NEWER // CHUNK  # the first chunks: sound that is older than the first frame's
# Chromium plays sound 40 to 60 ms after its arrival, a picture 35; where they differ by more than
# 30 it holds the earlier one. Sent together, pictures waited up to 16 ms for their sound.
SOUND_LEAD_S = 0.020
GRACE_S = 0.025  # a picture may leave this much after its release before the last one repeats
MAX_SOUND_SLOTS = 50
MAX_SOUND_LAG_S = 0.5  # a sender that is further behind leaves sound out, not to lag for ever
MAX_PICTURES = 32
MAX_PICTURE_LAG_S = 0.1  # a sender that is further behind goes on with the newest picture due


class Kind(Enum):
    """What a released picture is."""

    SYNCED = "synced"
    PASSED = "passed_through"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Out(Generic[Content]):
    """Something released: its media time in seconds, and what to send. held_s: how long it was
    ready before, where it had to be made.
    """

    media_s: float
    content: Content
    kind: Kind = Kind.SYNCED
    held_s: float | None = None


class Pacer(Generic[Picture]):
    """Holds what is ready and gives out what is due. One event loop owns it."""

    def __init__(self, clock: PlayoutClock, changed: Callable[[], None] = lambda: None) -> None:
        self.clock = clock
        self._changed = changed
        self._sound: dict[int, Pcm] = {}
        self._pictures: dict[int, tuple[Picture, Kind, float] | None] = {}
        self._next_chunk = LEFT_OUT
        self._next_slot = 0
        self._last: Picture | None = None
        self.counts = dict.fromkeys(Kind, 0)
        self.too_late = 0
        self.sound_skipped = 0

    @property
    def waiting_sound_s(self) -> float:
        return len(self._sound) / FPS

    @property
    def waiting_pictures(self) -> int:
        return len(self._pictures)

    def put_sound(self, slot: int, sound: Pcm) -> None:
        """(1920,) int16 of a slot; beyond 2 s of it the oldest goes."""
        self._sound[slot] = sound
        while len(self._sound) > MAX_SOUND_SLOTS:
            del self._sound[min(self._sound)]
            self.sound_skipped += CHUNKS
            self._next_chunk = max(self._next_chunk, min(self._sound) * CHUNKS)
        self._changed()

    def put_picture(
        self, slot: int, picture: Picture, kind: Kind, now: float, early_s: float = 0.0
    ) -> None:
        """early_s: how much sooner it is ready than pictures will be again: the delay stays."""
        self.clock.ready(slot / FPS, now + early_s)
        if slot < self._next_slot:
            self.too_late += 1
            self._last = picture  # newer than what is being repeated
            return
        self._pictures[slot] = (picture, kind, now)
        while len(self._pictures) > MAX_PICTURES:
            oldest = min(self._pictures)
            del self._pictures[oldest]
            self._next_slot = max(self._next_slot, oldest + 1)
            self.too_late += 1
        self._changed()

    def give_up(self, slot: int) -> None:
        """No picture will come for this slot; the last one repeats without waiting."""
        if slot >= self._next_slot:
            self._pictures[slot] = None
            self._changed()

    def sound_due(self) -> float | None:
        """When the next 20 ms of sound leave; None while they are not there."""
        if not self.clock.started or self._next_chunk // CHUNKS not in self._sound:
            return None
        return self.clock.release(self._sound_media_s) - SOUND_LEAD_S

    @property
    def _sound_media_s(self) -> float:
        return (self._next_chunk - LEFT_OUT) * CHUNK / RATE_HZ

    def take_sound(self, now: float) -> Out[Pcm] | None:
        """The next 20 ms, (960,) int16, if due."""
        if self.clock.started:
            self.clock.advance(now)
        due = self.sound_due()
        if due is None or now < due:
            return None
        if now - due > MAX_SOUND_LAG_S:
            self._skip_sound(now)
        media_s = self._sound_media_s
        slot, part = divmod(self._next_chunk, CHUNKS)
        chunk = self._sound[slot][part * CHUNK : (part + 1) * CHUNK]
        if part == CHUNKS - 1:
            del self._sound[slot]
        self._next_chunk += 1
        if (self._next_chunk - LEFT_OUT) % CHUNKS == 0:
            self._changed()
        return Out(media_s, chunk)

    def _skip_sound(self, now: float) -> None:
        """Goes on with the newest slot that is due."""
        newest = max(s for s in self._sound if self.clock.release(s / FPS) - SOUND_LEAD_S <= now)
        for slot in [s for s in self._sound if s < newest]:
            del self._sound[slot]
            self.sound_skipped += CHUNKS
        self._next_chunk = max(self._next_chunk, newest * CHUNKS)  # half of it may have left

    def picture_due(self) -> float | None:
        """When the next picture or its replacement leaves; None before the first is ready."""
        if not self.clock.started or (self._last is None and not self._pictures):
            return None
        if self._next_chunk < self._next_slot * CHUNKS + LEFT_OUT:
            return None  # its sound has not come up yet: the sender is behind
        due = self.clock.release(self._next_slot / FPS)
        return due if self._next_slot in self._pictures else due + GRACE_S

    def take_picture(self, now: float) -> Out[Picture] | None:
        """The next picture if due: the slot's own, or the last one again."""
        due = self.picture_due()
        if due is not None and now - due > MAX_PICTURE_LAG_S:
            self._skip_pictures(now)
        while due is not None and now >= due:
            media_s = self._next_slot / FPS
            own = self._pictures.pop(self._next_slot, None)
            self._next_slot += 1
            if own is not None:
                self._last, kind, ready_at = own
                self.counts[kind] += 1
                return Out(media_s, self._last, kind, now - ready_at)
            if self._last is not None:
                self.counts[Kind.REPEATED] += 1
                return Out(media_s, self._last, Kind.REPEATED)
            due = self.picture_due()
        return None

    def _skip_pictures(self, now: float) -> None:
        """Goes on with the newest picture that is due and whose sound has come up."""
        come_up = [
            slot
            for slot, picture in self._pictures.items()
            if picture is not None
            and self.clock.release(slot / FPS) <= now
            and self._next_chunk >= slot * CHUNKS + LEFT_OUT
        ]
        newest = max(come_up, default=self._next_slot)
        for slot in [s for s in self._pictures if s < newest]:
            del self._pictures[slot]
            self.too_late += 1
        self._next_slot = max(self._next_slot, newest)
