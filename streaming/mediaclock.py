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
# Sound is kept ready so long before its frame: a packet that is late by less holds no frame up.
# It costs the picture nothing, and the picture is the later one anyway: measured skew -11 ms with
# 3 ms kept, and a real camera takes 20 to 50 ms longer than the canvas that was measured with.
AHEAD_S = 0.010
LEAST_AHEAD_S = 0.005
MOST_AHEAD_S = 0.016
MARGIN = round(RATE_HZ * AHEAD_S)
# A slot's frame goes with sound this much newer than the slot's own, for who speaks is heard later
# than seen: sound comes in packets. The last of it is unheard when the frame enters the window, as
# it may be in training (training/windows.py: up to two columns of 10 ms).
NEWER = RATE_HZ // 50
PATIENCE_S = 0.020  # how late a frame of a camera in step may be; without it the slot goes on then
LONGEST_WAIT_S = 0.050  # for a frame, in all
SHORT_PATIENCE_S = 0.008  # how long ready sound waits for a camera slower than 25 fps
STALLED_SLOTS = 3  # after so many re-used frames nobody waits for the camera
WINDOW = 50  # slots over which the phase between camera and sound is judged
LATE_S = 0.002
HELD_UP = 6  # frames in a row that are judged together
HELD_UP_S = 0.014  # if they wait so long for their sound, the next frame goes with it as well
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
    arrived_at: float
    cut_at: float


class MediaClock(Generic[Picture]):
    """Pairs the newest camera frame with the next 40 ms of sound.

    A slot is cut when its sound is there and an unused frame too. The phase between camera and
    sound is kept such that sound is ready a little before the frame: it is moved by skipping or
    adding samples while nobody speaks, which also takes up the drift between the two clocks.
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
        self._waits: deque[float] = deque(maxlen=HELD_UP)
        self._leaving_out = False  # the frame at hand, for the next one
        self._stale: deque[bool] = deque(maxlen=WINDOW)
        self._superseded_in_window = 0
        self.superseded = 0
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
            self._superseded_in_window += not self._leaving_out
            self._leaving_out = False
            self._waits.clear()
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
        if (not self._fresh or self._leaving_out) and now < self._patient_until(self._ready_since):
            return None
        return self._take(now, self._picture, speaking=speaking)

    def next_check(self) -> float | None:
        """When `cut` may succeed without news from outside; None before the first frame."""
        if self._picture is None:
            return None
        if self._ready_since is not None:
            return self._patient_until(self._ready_since)
        return self._silence_at()

    @property
    def _available(self) -> int:
        return self._sound.unread + self._owed

    def _patient_until(self, ready_since: float) -> float:
        """How long sound that is ready waits for its frame."""
        if self.stalled:
            return ready_since
        if sum(self._stale) * 10 > WINDOW:
            return ready_since + SHORT_PATIENCE_S
        expected = self._arrived_at + SLOT_S * (1 + self._stale_run)
        return min(max(ready_since, expected + PATIENCE_S), ready_since + LONGEST_WAIT_S)

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
            self._waits.append(waited)
            self._phase.append(-waited if waited > LATE_S else (self._available - SLOT) / RATE_HZ)
        else:
            self._waits.clear()
        silence = min(self._owed, SLOT)
        self._owed -= silence
        sound = np.concatenate([np.zeros(silence, np.int16), self._sound.read(SLOT - silence)])
        stale = not self._fresh
        self._stale.append(stale)
        self._stale_run = self._stale_run + 1 if stale else 0
        slot = Slot(self._index, sound, picture, stale, self._arrived_at, now)
        self._index += 1
        self._due = max(self._due + SLOT_S, now - LAG_S) if self._padded else now
        self._fresh, self._ready_since, self._padded = False, None, False
        self._leaving_out = self._frames_are_held_up()
        self._correct_phase(speaking)
        return slot

    def _frames_are_held_up(self) -> bool:
        """After a hiccup of the camera each frame may be one slot early, and wait for most of it.

        One frame is left out then: sound is ready before the next one.
        """
        if len(self._waits) < HELD_UP or sorted(self._waits)[HELD_UP // 2] < HELD_UP_S:
            return False
        self._waits.clear()
        self._phase.clear()
        return True

    def _correct_phase(self, speaking: bool) -> None:
        """Moves the sound so that it is ready before nearly every frame, but not long before.

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
            if early > MOST_AHEAD_S:
                count = min(round((early - AHEAD_S) * RATE_HZ), LARGEST_STEP)
                self._sound.drop(count)
                self.dropped_samples += count
            elif early < LEAST_AHEAD_S:
                count = min(round((AHEAD_S - early) * RATE_HZ), LARGEST_STEP)
                self._owed += count
                self.inserted_samples += count
        self._phase.clear()
        self._stale.clear()
