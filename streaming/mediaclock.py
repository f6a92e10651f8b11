"""The media clock: cuts the call into slots of one camera frame and its 40 ms of sound.

Slot n holds samples [1920 n, 1920 (n+1)) of the output sound. Sound is the clock: 25 slots for each
second of it, whatever the camera does. Pure logic on the caller's time; no tasks, no sleeping.
"""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from .sound import RATE_HZ, Pcm, SoundTimeline

Picture = TypeVar("Picture")

FPS = 25
SLOT = RATE_HZ // FPS  # samples
MARGIN = RATE_HZ * 3 // 1000  # sound kept ready beyond a slot when a frame arrives: 3 ms
PATIENCE_S = 0.030  # how long ready sound waits for a camera in step
SHORT_PATIENCE_S = 0.008  # the same for a camera slower than 25 fps
STALLED_SLOTS = 3  # after so many re-used frames nobody waits for the camera
WINDOW = 50  # slots over which the phase between camera and sound is judged
TOLERANCE_S = 0.006
LATE_S = 0.002
LARGEST_STEP = RATE_HZ // FPS
TOO_FAR_S = 0.1  # sound this far behind is caught up with even while somebody speaks
LOST_AFTER_S = 0.06  # this long without a packet, the clock goes on with silence
SLOT_S = 1 / FPS
EARLY_S = 0.006  # how much before its time a silent slot may be taken by a camera frame
LAG_S = 0.02


@dataclass(frozen=True, slots=True)
class Slot(Generic[Picture]):
    """One tick's input. `stale` marks a camera frame that an earlier slot has used."""

    index: int
    sound: Pcm  # (1920,) int16 mono 48 kHz
    picture: Picture
    stale: bool
    cut_at: float


class MediaClock(Generic[Picture]):
    """Pairs the newest camera frame with the next 40 ms of sound.

    A slot is cut when its sound is there and an unused frame too. The phase between camera and
    sound is kept such that sound is ready just before the frame: it is moved by skipping or adding
    samples while nobody speaks, which also takes up the drift between the two clocks.
    """

    def __init__(self, sound: SoundTimeline) -> None:
        self._sound = sound
        self._picture: Picture | None = None
        self._arrived_at = 0.0
        self._fresh = False
        self._index = 0
        self._owed = 0  # samples of silence due before the timeline is read again
        self._ready_since: float | None = None
        self._due = 0.0  # where the last slot stood on the wall clock
        self._padded = False
        self._stale_run = 0
        self._phase: deque[float] = deque(maxlen=WINDOW)
        self._stale: deque[bool] = deque(maxlen=WINDOW)
        self._superseded_in_window = 0
        self.superseded = 0
        self.stale_slots = 0
        self.inserted_samples = 0
        self.dropped_samples = 0

    @property
    def stalled(self) -> bool:
        """True while the camera gives nothing new."""
        return self._stale_run >= STALLED_SLOTS

    def offer(self, picture: Picture, now: float) -> None:
        """Takes a camera frame; an unused older one gives way to it."""
        if self._fresh:
            self.superseded += 1
            self._superseded_in_window += 1
        self._picture, self._arrived_at, self._fresh = picture, now, True

    def cut(self, now: float, *, speaking: bool) -> Slot[Picture] | None:
        """The next slot if it is due at `now`, else None."""
        if self._picture is None:
            self._sound.keep(SLOT + MARGIN)
            return None
        if self._index == 0:
            self._anchor(now)
        if self._available < SLOT:
            if now < self._silence_at():
                return None
            self._sound.pad(SLOT - self._available)
            self._padded = True
        if self._ready_since is None:
            self._ready_since = now
        if not self._fresh and now < self._ready_since + self._patience:
            return None
        return self._take(now, self._picture, speaking=speaking)

    def next_check(self, now: float) -> float | None:
        """When `cut` may succeed without news from outside; None before the first frame."""
        if self._picture is None:
            return None
        if self._ready_since is not None:
            return self._ready_since + self._patience
        return self._silence_at()

    @property
    def _available(self) -> int:
        return self._sound.unread + self._owed

    @property
    def _patience(self) -> float:
        if self.stalled:
            return 0.0
        return PATIENCE_S if sum(self._stale) * 10 <= WINDOW else SHORT_PATIENCE_S

    def _silence_at(self) -> float:
        """When the next slot is filled up with silence if its sound has not come by then."""
        return max(self._sound.arrived_at + LOST_AFTER_S, self._due + SLOT_S - EARLY_S)

    def _anchor(self, now: float) -> None:
        self._due = now - SLOT_S
        self._sound.keep(SLOT + MARGIN)
        self._owed = SLOT + MARGIN - self._sound.unread

    def _take(self, now: float, picture: Picture, *, speaking: bool) -> Slot[Picture]:
        if self._fresh:
            waited = now - self._arrived_at
            self._phase.append(-waited if waited > LATE_S else (self._available - SLOT) / RATE_HZ)
        silence = min(self._owed, SLOT)
        self._owed -= silence
        sound = np.concatenate([np.zeros(silence, np.int16), self._sound.read(SLOT - silence)])
        stale = not self._fresh
        self._stale.append(stale)
        self._stale_run = self._stale_run + 1 if stale else 0
        self.stale_slots += stale
        slot = Slot(self._index, sound, picture, stale, now)
        self._index += 1
        self._due = max(self._due + SLOT_S, now - LAG_S) if self._padded else now
        self._fresh, self._ready_since, self._padded = False, None, False
        self._correct_phase(speaking)
        return slot

    def _correct_phase(self, speaking: bool) -> None:
        """Moves the sound so that it is ready 0 to 6 ms before nearly every frame.

        Only for a camera in step: one that is faster or slower passes through every phase.
        """
        if len(self._stale) < WINDOW:
            return
        early = float(np.quantile(self._phase, 0.1)) if self._phase else 0.0
        if speaking and early < TOO_FAR_S:
            return
        in_step = not any(self._stale) and not self._superseded_in_window
        self._superseded_in_window = 0
        if in_step or early > TOO_FAR_S:
            if early > TOLERANCE_S:
                count = min(round((early - LATE_S) * RATE_HZ), LARGEST_STEP)
                self._sound.drop(count)
                self.dropped_samples += count
            elif early < -LATE_S:
                count = min(round((LATE_S - early) * RATE_HZ), LARGEST_STEP)
                self._owed += count
                self.inserted_samples += count
        self._phase.clear()
        self._stale.clear()
