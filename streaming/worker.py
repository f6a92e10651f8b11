"""One call's engine stream on its own thread: slots in, finished pictures out."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from engine.costs import CallCosts
from engine.personal import Person

from .control import Controls
from .ladder import Effort
from .mediaclock import NEWER, SLOT, Slot
from .pacer import Kind
from .pictures import MAX_PIXELS, Rgb, bounded, to_rgb, with_edit
from .sound import Pcm


class SyncedFrame(Protocol):
    """What the engine gives back; see engine.SyncedFrame."""

    @property
    def index(self) -> int: ...
    @property
    def rgb(self) -> Rgb: ...
    @property
    def mask(self) -> NDArray[np.float32] | None: ...
    @property
    def face_found(self) -> bool: ...


class Stream(Protocol):
    """The part of engine.LipSyncStream that a call uses. Calls come from one thread at a time."""

    strength: float
    bypass: bool
    slots: int
    every_second: bool
    stage_ms: dict[str, float]

    def push_audio(self, pcm: Pcm) -> None: ...
    def push_frame(self, rgb: Rgb) -> list[Any]: ...
    def close(self) -> None: ...


class Engine(Protocol):
    """The part of engine.LipSyncEngine that the server uses."""

    @property
    def facts(self) -> Any: ...
    def measure_tick_ms(self, n: int = 20) -> float: ...
    def measure_calls(self) -> CallCosts: ...
    def share_calls(self, most: int, observe: Callable[[int], None] = ...) -> None: ...
    def fits(self, person: Person) -> bool: ...
    def open_stream(
        self, strength: float = 1.0, face_box: Any = None, *, person: Person | None = None
    ) -> Any: ...


@dataclass(frozen=True, slots=True)
class Finished:
    """One picture of the engine, ready to be encoded. face_found: None where nobody looked, as the
    edit was switched off.
    """

    slot: int
    picture: av.VideoFrame
    kind: Kind
    face_found: bool | None


class EngineWorker:
    """Runs one stream in one thread; at most one step is in flight.

    A slot that was never stepped leaves no hole in the engine's own time: its picture and its
    sound are both left out, so frame and sound stay together for those that follow.
    """

    def __init__(self, engine: Engine, controls: Controls, person: Person | None = None) -> None:
        self._engine = engine
        self._applied: tuple[Controls, float] | None = None
        self._effort: Effort | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._opened: Future[Stream] = self._pool.submit(
            engine.open_stream, controls.strength, person=person
        )
        self._in_flight: dict[int, tuple[int, av.VideoFrame, bool]] = {}
        self._pushed = 0
        self.stage_ms: dict[str, float] = {}

    async def step(
        self, slot: Slot[av.VideoFrame], voice: Pcm, want: Controls, effort: Effort
    ) -> list[Finished]:
        """Pushes a slot's 640 samples of 16 kHz voice and its frame; gives what became ready."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._step, slot, voice, want, effort)

    async def pass_through(self, slot: Slot[av.VideoFrame]) -> av.VideoFrame:
        """The slot's own picture, as the engine would give it back without an edit."""
        if slot.picture.width * slot.picture.height > MAX_PIXELS:
            return await asyncio.to_thread(bounded, slot.picture)
        return bounded(slot.picture)  # at most a millisecond, less than a thread is waited for

    def _step(
        self, slot: Slot[av.VideoFrame], voice: Pcm, want: Controls, effort: Effort
    ) -> list[Finished]:
        stream = self._opened.result()
        if not self._pushed:
            voice = voice[len(voice) * NEWER // SLOT :]
        source = bounded(slot.picture)
        self._apply(stream, want, source.width / slot.picture.width)
        if effort != self._effort:
            stream.slots, stream.every_second = effort.slots, effort.every_second
            self._effort = effort
        self._in_flight[self._pushed] = (slot.index, source, want.bypass)
        self._pushed += 1
        begin = perf_counter()
        rgb = to_rgb(source)
        converted = perf_counter()
        stream.push_audio(voice)
        frames = stream.push_frame(rgb)
        pushed = perf_counter()
        finished = [self._finish(frame) for frame in frames]
        convert_ms = 1000 * (converted - begin + perf_counter() - pushed)
        self.stage_ms = {**stream.stage_ms, "convert": convert_ms}
        return finished

    def _finish(self, frame: SyncedFrame) -> Finished:
        slot, source, bypassed = self._in_flight.pop(frame.index)
        found = None if bypassed else frame.face_found
        if frame.mask is None:
            return Finished(slot, source, Kind.PASSED, found)
        picture = with_edit(source, frame.rgb, frame.mask)
        return Finished(slot, picture, Kind.SYNCED, found)

    def _apply(self, stream: Any, want: Controls, scale: float) -> None:
        if (want, scale) != self._applied:
            stream.strength, stream.bypass = want.strength, want.bypass
            stream.face_box = _scaled(want, scale)
            self._applied = want, scale

    def close(self) -> None:
        """Ends the stream after the step in flight, without waiting for it."""
        self._pool.submit(self._close)
        self._pool.shutdown(wait=False)

    def _close(self) -> None:
        if self._opened.exception() is None:
            self._opened.result().close()
        self._in_flight.clear()


def _scaled(controls: Controls, scale: float) -> tuple[int, int, int, int] | None:
    """The box in the pixels that the engine sees: those of a `bounded` frame."""
    if controls.face_box is None:
        return None
    x, y, width, height = (round(scale * value) for value in controls.face_box)
    return x, y, width, height
