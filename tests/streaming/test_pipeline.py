"""A whole call's media in virtual time: delay, skew and losses as they are by design."""

import asyncio
import fractions
import json
from collections import deque
from collections.abc import Callable
from itertools import pairwise

import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack

from streaming.colour import Colour
from streaming.control import Controls
from streaming.ladder import Effort, Step
from streaming.looplag import LoopLag
from streaming.mediaclock import Slot
from streaming.metrics import Metrics
from streaming.pacer import Kind
from streaming.pipeline import Pipeline, Shared
from streaming.settings import Settings
from streaming.worker import Finished

from .double import DoubleEngine
from .virtual import VirtualLoop, run_virtually

UP_CAMERA_S = 0.015  # capture to arrival
UP_SOUND_S = 0.005
PACKET_S = 0.010
HOPS = 6  # turns of the loop that a packet takes from its socket to its track
LOOK_AHEAD_S = 0.080


class Remote(MediaStreamTrack):
    """Frames at given times after the start."""

    def __init__(self, kind: str, times: list[float], make: Callable[[int], object]) -> None:
        super().__init__()
        self.kind = kind
        self._times = enumerate(times)
        self._make = make
        self._start = asyncio.get_running_loop().time()

    async def recv(self) -> object:
        index, at = next(self._times, (0, 1e9))
        await asyncio.sleep(self._start + at - asyncio.get_running_loop().time())
        for _ in range(HOPS):
            await asyncio.sleep(0)
        return self._make(index)


class TimedWorker:
    """Takes `tick_s` of the loop's time for a step, less with less effort, and gives each slot as
    many steps later as the engine does.
    """

    def __init__(self, tick_s: Callable[[int], float]) -> None:
        self.stage_ms: dict[str, float] = {}
        self._tick_s = tick_s
        self._window: deque[Slot[av.VideoFrame]] = deque()

    async def step(
        self, slot: Slot[av.VideoFrame], voice: object, want: object, effort: Effort
    ) -> list[Finished]:
        share = 0.74 if effort.every_second else 0.9 if effort.slots < 3 else 1.0
        await asyncio.sleep(share * self._tick_s(slot.index))
        self._window.append(slot)
        delay = (effort.slots - 1) * (1 + effort.every_second)
        done = [self._window.popleft() for _ in range(len(self._window) - delay)]
        return [Finished(slot.index, slot.picture, Kind.SYNCED, True) for slot in done]

    async def pass_through(self, slot: Slot[av.VideoFrame]) -> av.VideoFrame:
        return slot.picture

    def close(self) -> None:
        pass


def stall() -> None:
    """The loop gets no core for a while; what came meanwhile is all there at once."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop._virtual_s += 0.1


class Film:
    """What a call gave back: release time and origin of every picture and sound frame."""

    def __init__(self) -> None:
        self.pictures: list[tuple[float, float]] = []  # (released, captured)
        self.sound: list[tuple[float, float]] = []
        self.heard: list[np.ndarray] = []
        self.steps: list[Step] = [Step.FULL]
        self.changed_at: list[float] = [0.0]

    async def shoot(
        self,
        seconds: float,
        fps: float = 25.0,
        tick_s: Callable[[int], float] = lambda n: 0.022,
        phase_s: float = 0.0,
        jitter_s: float = 0.0,
        stalls: tuple[float, ...] = (),
    ) -> Pipeline:
        rng = np.random.default_rng(7)
        now = asyncio.get_running_loop().time
        shared = Shared(Settings(), DoubleEngine(), Metrics(), 0.022, LoopLag())
        media = Pipeline(shared, Controls(), lambda found: None)
        media._worker.close()
        media._worker = TimedWorker(tick_s)
        frames = np.arange(int(seconds * fps)) / fps + phase_s
        arrivals = np.sort(frames + UP_CAMERA_S + rng.uniform(0, jitter_s or 1e-9, len(frames)))
        packets = np.arange(int(seconds / PACKET_S)) * PACKET_S
        start = now()

        def picture(index: int) -> av.VideoFrame:
            frame = av.VideoFrame(16, 16, "yuv420p")
            frame.opaque = float(frames[index])
            return frame

        def sound(index: int) -> av.AudioFrame:
            ramp = np.arange(index * 480, (index + 1) * 480) // 48 % 32_000 + 1
            frame = av.AudioFrame.from_ndarray(
                ramp.astype(np.int16)[None], format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts = 48_000, index * 480
            frame.time_base = fractions.Fraction(1, 48_000)
            return frame

        ear, eye = media.tracks()

        async def look() -> None:
            while True:
                frame = await eye.recv()
                self.pictures.append((now() - start, frame.opaque))
                if media._step is not self.steps[-1]:
                    self.steps.append(media._step)
                    self.changed_at.append(now() - start)

        async def listen() -> None:
            while True:
                samples = (await ear.recv()).to_ndarray()[0]
                self.heard.append(samples)
                if samples[0] > 0:
                    self.sound.append((now() - start, (int(samples[0]) - 1) / 1000))

        for at in stalls:
            asyncio.get_running_loop().call_later(at, stall)

        jobs = [
            media.take_camera(Remote("video", arrivals.tolist(), picture), Colour()),
            media.take_sound(Remote("audio", (packets + PACKET_S + UP_SOUND_S).tolist(), sound)),
            media.cut_slots(),
            media.run_engine(),
            look(),
            listen(),
        ]
        tasks = [asyncio.create_task(job) for job in jobs]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            assert task.cancelled(), task
        return media

    def picture_delay_s(self, since: float = 1.0) -> float:
        return float(np.median([out - shot for out, shot in self.pictures if out > since]))

    def sound_delay_s(self, since: float = 1.0) -> float:
        return float(np.median([out - said for out, said in self.sound if out > since]))


@pytest.mark.parametrize("phase_s", [0.0, 0.004, 0.009, 0.013, 0.021, 0.037])
def test_delay_is_look_ahead_and_compute_and_little_more(phase_s: float) -> None:
    run_virtually(_delay(phase_s))


async def _delay(phase_s: float) -> None:
    film = Film()
    media = await film.shoot(12, phase_s=phase_s)
    added_s = film.picture_delay_s(8) - UP_CAMERA_S
    assert LOOK_AHEAD_S + 0.022 < added_s < LOOK_AHEAD_S + 0.022 + 0.008
    assert media._pacer.counts[Kind.REPEATED] == 0
    assert len(film.pictures) > 12 * 25 - 6


@pytest.mark.parametrize("phase_s", [0.0, 0.004, 0.009, 0.013, 0.021, 0.037])
def test_gesture_and_word_of_one_instant_leave_together(phase_s: float) -> None:
    run_virtually(_skew(phase_s))


async def _skew(phase_s: float) -> None:
    film = Film()
    await film.shoot(12, phase_s=phase_s)
    skew_s = film.sound_delay_s(8) - film.picture_delay_s(8)
    assert abs(skew_s) < 0.045


def test_jitter_of_camera_and_engine_costs_no_repeats() -> None:
    run_virtually(_jitter())


async def _jitter() -> None:
    rng = np.random.default_rng(2)
    ticks = rng.gamma(4, 0.002, 5000) + 0.014  # mean 22 ms, p99 34 ms
    film = Film()
    media = await film.shoot(60, tick_s=lambda n: float(ticks[n]), jitter_s=0.006)
    counts = media._pacer.counts
    assert counts[Kind.REPEATED] < 0.01 * counts[Kind.SYNCED]
    assert film.picture_delay_s(20) - UP_CAMERA_S < 0.120
    out = np.array([released for released, _ in film.sound])
    assert np.diff(out[50:]).max() < 0.0225


def test_every_sample_comes_back_once_and_in_order() -> None:
    run_virtually(_whole())


async def _whole() -> None:
    film = Film()
    await film.shoot(10)
    heard = np.concatenate(film.heard).astype(np.int32)
    spoken = heard[np.flatnonzero(heard)[0] :]
    assert set(np.diff(spoken)) <= {0, 1}
    assert len(spoken) > 9.7 * 48_000


def test_one_long_tick_repeats_a_few_and_recovers() -> None:
    run_virtually(_long_tick())


async def _long_tick() -> None:
    film = Film()
    media = await film.shoot(30, tick_s=lambda n: 0.3 if n == 250 else 0.022)
    assert 3 <= media._pacer.counts[Kind.REPEATED] <= 12
    assert film.picture_delay_s(25) - UP_CAMERA_S < 0.115
    out = np.array([released for released, _ in film.sound])
    assert np.diff(out[50:]).max() < 0.0225, "sound never waits for a picture"


@pytest.mark.parametrize(
    ("tick_s", "worst"), [(0.041, Step.SHORT), (0.049, Step.EVERY_SECOND), (0.2, Step.PASS_THROUGH)]
)
def test_overload_costs_quality_step_by_step_and_never_the_sound(
    tick_s: float, worst: Step
) -> None:
    run_virtually(_overload(tick_s, worst))


async def _overload(tick_s: float, worst: Step) -> None:
    film = Film()
    media = await film.shoot(30, tick_s=lambda n: tick_s if 200 < n < 450 else 0.022)
    assert film.steps == [Step.FULL, *range(1, worst + 1), *range(min(worst, 3) - 1, -1, -1)]
    recovered_s = film.changed_at[-1] - 450 / 25
    assert recovered_s < 3
    shown = [shot for _, shot in film.pictures]
    assert (np.diff(shown) >= 0).all(), "no picture older than the one before"
    new = [b != a for a, b in pairwise(shown)]
    assert np.mean(new[25 * 10 : 25 * 18]) > 0.75, "pictures move all the time"
    assert np.mean(new[25 * 22 :]) > 0.98
    assert media._report.total("skipped") < 60
    out = np.array([released for released, _ in film.sound])
    assert np.diff(out[50:]).max() < 0.0225
    heard = np.concatenate(film.heard).astype(np.int32)
    spoken = heard[np.flatnonzero(heard)[0] :]
    assert set(np.diff(spoken)) <= {0, 1}


def test_a_loop_without_a_core_takes_no_packet_for_lost() -> None:
    run_virtually(_stalled())


async def _stalled() -> None:
    media = await Film().shoot(20, stalls=tuple(3 + 1.003 * k for k in range(15)))
    assert media._sound.padded_samples == 0


async def test_what_is_told_of_the_face_stands_while_it_is_bypassed() -> None:
    told: list[bool] = []
    shared = Shared(Settings(), DoubleEngine(), Metrics(), 0.022, LoopLag())
    media = Pipeline(shared, Controls(), told.append)
    media._playout.start(0.0, 0.1)
    picture = av.VideoFrame(16, 16, "yuv420p")

    def show(found: bool | None) -> bool:
        """What `stats` says after ten such pictures."""
        for slot in range(10):
            media._put(Finished(slot, picture, Kind.PASSED, found))
        return bool(json.loads(media.stats({}))["face_found"])

    assert show(True) and told == [True]
    assert show(None) and told == [True]
    assert not show(False) and told == [True, False]
    media.close()


@pytest.mark.parametrize("fps", [15.0, 30.0])
def test_other_camera_rates_come_back_at_25(fps: float) -> None:
    run_virtually(_rates(fps))


async def _rates(fps: float) -> None:
    film = Film()
    media = await film.shoot(20, fps=fps)
    counts = media._pacer.counts
    late = [at for at, _ in film.pictures if at > 10]
    assert len(late) == pytest.approx(250, abs=3)
    assert counts[Kind.REPEATED] < 5
    assert film.picture_delay_s(10) - UP_CAMERA_S < 0.16
