"""The media of one call: camera and voice -> slots -> engine -> paced picture and sound.

Knows nothing of signalling. All of it runs on one event loop, except the engine's steps.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import time

import av
from aiortc import MediaStreamTrack

from engine.personal import Person

from .colour import Colour
from .control import Controls
from .inlets import pump_camera, pump_sound
from .ladder import Ladder, Step
from .looplag import LoopLag
from .mediaclock import FPS, MediaClock, Slot
from .metrics import Metrics
from .pacer import Kind, Pacer
from .playout import PlayoutClock
from .report import Report
from .settings import Settings
from .sound import Decimator, Pcm, SoundTimeline
from .speech import SpeechGate
from .tracks import PictureTrack, Signal, SoundTrack
from .worker import Engine, EngineWorker, Finished

logger = logging.getLogger(__name__)

PENDING_SLOTS = 2  # slots that wait for a busy engine; older ones are skipped
FIRST_SLACK_S = 0.012  # before the playout delay knows this call
LAG_S = 0.010  # of a timer, above which the loop had no core
DRAIN_S = 0.005
FACE_VERDICTS = 5  # pictures in a row that must agree before a change is told


@dataclass(frozen=True, slots=True)
class Shared:
    """What every call shares. tick_s: measured duration of a warm tick; lag: the event loop's."""

    settings: Settings
    engine: Engine
    metrics: Metrics
    tick_s: float
    lag: LoopLag


class Pipeline:
    """One call's media. `take_sound`, `take_camera`, `cut_slots` and `run_engine` must run for it
    to move.
    """

    def __init__(
        self,
        shared: Shared,
        controls: Controls,
        on_face: Callable[[bool], None],
        person: Person | None = None,
    ) -> None:
        self.controls = controls
        self._person = person
        self._metrics = shared.metrics
        facts = shared.engine.facts
        self._full_look_ahead_ms = facts.look_ahead_ms
        self._first_delay_s = facts.look_ahead_ms / 1000 + shared.tick_s + FIRST_SLACK_S
        self._now = asyncio.get_running_loop().time
        self._arrived, self._released, self._cut = Signal(), Signal(), Signal()
        self._sound = SoundTimeline()
        self._clock: MediaClock[av.VideoFrame] = MediaClock(self._sound)
        self._playout = PlayoutClock()
        self._pacer: Pacer[av.VideoFrame] = Pacer(self._playout, self._released.notify)
        self._worker = EngineWorker(shared.engine, controls, person)
        self._ladder = Ladder(facts.slots)
        self._step = Step.FULL
        self._left_out = -1  # newest slot that the engine's pictures are too old for
        self._metrics.ladder(None, self._step)
        self._decimate = Decimator()
        self._gate = SpeechGate(enabled=shared.settings.speech_gate)
        self._pending: deque[tuple[Slot[av.VideoFrame], Pcm]] = deque()
        self._on_face = on_face
        self._face_verdicts: deque[bool] = deque(maxlen=FACE_VERDICTS)
        self._face_found = False
        self._face_told: bool | None = None
        self._delay_s = self._first_delay_s
        self._stage_ms: dict[str, float] = {}
        self._report = Report(shared.metrics, facts, self._now())
        self.heard_at = self.seen_at = self._now()

    def tracks(self) -> tuple[SoundTrack, PictureTrack]:
        """The returned sound and picture; to be made once."""
        told = self._report.released, self._report.sent
        return (
            SoundTrack(self._pacer, self._released, *told),
            PictureTrack(self._pacer, self._released, *told),
        )

    def unix_at(self, media_s: float) -> float:
        """Unix time at which this media time leaves; for the sender reports."""
        return time() - self._now() + self._playout.release(media_s)

    async def take_sound(self, track: MediaStreamTrack) -> None:
        """Drains the remote voice until it ends."""

        def heard() -> None:
            self.heard_at = self._now()
            self._arrived.notify()

        await pump_sound(track, self._sound, self._now, heard)

    async def take_camera(self, track: MediaStreamTrack, colour: Colour) -> None:
        """Drains the remote picture until it ends."""

        def seen(superseded: int) -> None:
            self.seen_at = self._now()
            self._report.count("in")
            self._report.count("dropped", superseded)
            self._arrived.notify()

        await pump_camera(track, colour, self._clock, self._now, seen)

    async def cut_slots(self) -> None:
        """Hands each slot's sound to the pacer and the slot to the engine, when it is due."""
        while True:
            slot = self._clock.cut(self._now(), speaking=self._gate.speaking)
            if slot is None:
                await self._wait_for_slot()
                continue
            if not self._playout.started:
                self._playout.start(slot.cut_at, self._first_delay_s)
            self._playout.taken(slot.index / FPS, slot.cut_at)
            delay_s = self._playout.release(slot.index / FPS) - slot.cut_at
            self._delay_s += 0.1 * (delay_s - self._delay_s)
            self._pacer.put_sound(slot.index, slot.sound)
            self._pending.append((slot, self._gate(self._decimate(slot.sound))))
            self._report.count("stale", int(slot.stale))
            if not slot.stale:
                self._metrics.observe_stage("wait", slot.cut_at - slot.arrived_at)
            while len(self._pending) > PENDING_SLOTS:
                skipped, _ = self._pending.popleft()
                self._pacer.give_up(skipped.index)
                self._report.count("skipped")
                self._ladder.skipped()
            self._cut.notify()

    async def _wait_for_slot(self) -> None:
        check = self._clock.next_check()
        await self._arrived.wait(check)
        if check is not None and self._now() - check > LAG_S:
            # The loop itself was late: packets lie unread, and silence would take their place.
            await asyncio.sleep(DRAIN_S)

    async def run_engine(self) -> None:
        """Steps the engine through the slots, one at a time."""
        async with asyncio.TaskGroup() as trials:
            trial: asyncio.Task[None] | None = None
            while True:
                while not self._pending:
                    await self._cut.wait()
                slot, voice = self._pending.popleft()
                due = self._ladder.due()
                self._follow_ladder()
                if not self._ladder.resting:
                    await self._tick(slot, voice)
                    continue
                # What is shown does not wait for a tick that only tries how long it takes.
                await self._leave_out(slot)
                if due and (trial is None or trial.done()):
                    trial = trials.create_task(self._tick(slot, voice))

    async def _tick(self, slot: Slot[av.VideoFrame], voice: Pcm) -> None:
        start = self._now()
        self._metrics.observe_stage("queue", start - slot.cut_at)
        effort, before = self._ladder.effort, self._worker.stage_ms
        finished = await self._worker.step(slot, voice, self.controls, effort)
        spent = self._now() - start
        self._metrics.observe_stage("tick", spent)
        stage_ms = self._worker.stage_ms
        for stage, ms in stage_ms.items():
            self._metrics.observe_stage(stage, ms / 1000)
        # Every other tick has not all the stages.
        self._stage_ms = {**before, **stage_ms} if effort.every_second else stage_ms
        for picture in finished:
            if picture.slot > self._left_out:
                self._put(picture)
        self._ladder.ticked(spent)

    async def _leave_out(self, slot: Slot[av.VideoFrame]) -> None:
        """Shows what needs no engine."""
        self._left_out = slot.index
        if self._ladder.step is Step.HOLD:
            self._pacer.give_up(slot.index)
            self._report.count("held")
        else:
            picture = await self._worker.pass_through(slot)
            self._pacer.put_picture(slot.index, picture, Kind.PASSED, self._now(), self._early_s())

    def _follow_ladder(self) -> None:
        step = self._ladder.step
        if step is self._step:
            return
        self._metrics.ladder(self._step, step)
        self._metrics.ladder_changes.labels(step.name.lower()).inc()
        logger.info("quality: %s", step.name.lower())
        self._step = step

    def _put(self, finished: Finished) -> None:
        now, early_s = self._now(), self._early_s()
        self._pacer.put_picture(finished.slot, finished.picture, finished.kind, now, early_s)
        if finished.face_found is None:
            return
        self._face_found = finished.face_found
        self._face_verdicts.append(finished.face_found)
        agreed = set(self._face_verdicts)
        if len(self._face_verdicts) == FACE_VERDICTS and len(agreed) == 1:
            (found,) = agreed
            if found != self._face_told:
                self._face_told = found
                self._on_face(found)

    def stats(self, line: dict[str, int | None]) -> str:
        """The `stats` message; counts the time since the last call. Once a second. line: what the
        network tells, as it is to stand in the message.
        """
        depth = {
            "sound_ms": round(1000 * self._pacer.waiting_sound_s),
            "pictures": self._pacer.waiting_pictures,
            "slots": len(self._pending),
        }
        for queue, value in depth.items():
            self._metrics.queue_depth.labels(queue).set(value)
        self._report.rates(self._now())
        self._report.sound(self._sound, self._clock)
        return self._report.stats(
            self._pacer,
            self._delay_s,
            ladder=int(self._step),
            look_ahead_ms=self._look_ahead_ms(),
            stage_ms={k: round(v, 2) for k, v in self._stage_ms.items()},
            queue_depth=depth,
            face_found=self._face_found,
            person=self._person.name if self._person else None,
            speaking=self._gate.speaking,
            stale=self._report.total("stale"),
            dropped=self._report.total("dropped"),
            rebased=self._playout.rebased,
            **line,
        )

    def _look_ahead_ms(self) -> int:
        effort = self._ladder.effort
        return (effort.slots - 1) * (1 + effort.every_second) * 1000 // FPS

    def _early_s(self) -> float:
        """How much sooner pictures are ready at this step of the ladder than at the first."""
        if self._ladder.resting:
            return self._first_delay_s - FIRST_SLACK_S
        return (self._full_look_ahead_ms - self._look_ahead_ms()) / 1000

    def close(self) -> None:
        """Ends the engine's stream; the tracks end with their connection."""
        self._metrics.ladder(self._step, None)
        self._worker.close()
