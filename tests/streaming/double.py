"""A stand-in for the engine: the same interface and delay, a marked picture, no model."""

import time
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine import Person
from engine.costs import CallCosts
from streaming.mediaclock import NEWER, SLOT

MARK = 16  # px; the white square that a synced picture carries in its corner


@dataclass(frozen=True)
class Facts:
    model: str = "double"
    runtime: str = "none"
    crop_px: int = 128
    slots: int = 3
    look_ahead_ms: int = 80
    fps: int = 25


@dataclass(frozen=True)
class Frame:
    index: int
    rgb: NDArray[np.uint8]
    mask: NDArray[np.float32] | None
    face_found: bool


class DoubleStream:
    def __init__(self, strength: float, face_box: object, tick_s: float, slots: int) -> None:
        self.strength = strength
        self.face_box = face_box
        self.bypass = False
        self.stage_ms = {"face": 1.0, "denoise": 2.0}
        self.heard = 0
        self.pushed = 0
        self.closed = False
        self.tick_s = tick_s
        self.slots = slots
        self.every_second = False
        self._window: deque[tuple[int, NDArray[np.uint8], bool]] = deque()

    def push_audio(self, pcm: NDArray[np.int16]) -> None:
        assert pcm.dtype == np.int16 and pcm.ndim == 1
        self.heard += len(pcm)

    def push_frame(self, rgb: NDArray[np.uint8]) -> list[Frame]:
        assert rgb.dtype == np.uint8 and rgb.shape[2] == 3
        heard = self.heard + 640 * NEWER // SLOT
        assert heard == 640 * (self.pushed + 1), "25 frames for each second of sound"
        if self.tick_s:
            time.sleep(self.tick_s)
        self._window.append((self.pushed, rgb, not self.bypass))
        self.pushed += 1
        delay = (self.slots - 1) * (1 + self.every_second)
        return [self._emit() for _ in range(len(self._window) - delay)]

    def _emit(self) -> Frame:
        index, rgb, looked_at = self._window.popleft()
        if self.bypass or not looked_at:
            return Frame(index, rgb, None, looked_at)
        marked = rgb.copy()
        marked[:MARK, :MARK] = 255
        return Frame(index, marked, np.ones(rgb.shape[:2], np.float32), True)

    def close(self) -> None:
        self.closed = True


class DoubleEngine:
    def __init__(self, tick_s: float = 0.0, slots: int = 3) -> None:
        self.facts = Facts(slots=slots, look_ahead_ms=40 * (slots - 1))
        self.streams: list[DoubleStream] = []
        self.persons: list[Person | None] = []
        self.sharing = 1
        self._tick_s = tick_s

    def measure_tick_ms(self, n: int = 20) -> float:
        return 1000 * self._tick_s + 5

    def measure_calls(self) -> CallCosts:
        return CallCosts((1, 2, 3, 4), (1, 1, 2, 2))

    def share_calls(self, most: int, observe: object = None) -> None:
        self.sharing = most

    def fits(self, person: Person) -> bool:
        return person.base == "double"

    def open_stream(
        self, strength: float = 1.0, face_box: object = None, *, person: Person | None = None
    ) -> DoubleStream:
        self.persons.append(person)
        self.streams.append(DoubleStream(strength, face_box, self._tick_s, self.facts.slots))
        return self.streams[-1]
