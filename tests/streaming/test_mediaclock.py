from dataclasses import dataclass, field

import numpy as np
import pytest

from streaming.mediaclock import SLOT, MediaClock, Slot
from streaming.sound import SoundTimeline

PACKET_S = 0.02


@dataclass
class World:
    """A camera and a voice in virtual time; packet k holds samples that count up from 960 k."""

    camera: list[float]
    packets: list[float]
    speaking: bool = False
    slots: list[Slot[int]] = field(default_factory=list)

    def run(self, until: float) -> MediaClock[int]:
        sound = SoundTimeline()
        clock: MediaClock[int] = MediaClock(sound)
        events = [(t, 0, n) for n, t in enumerate(self.camera)]
        events += [(t, 1, n) for n, t in enumerate(self.packets)]
        for at, kind, n in [*sorted(e for e in events if e[0] < until), (until, 2, 0)]:
            self.cut_until(clock, at)
            if kind == 0:
                clock.offer(n, at)
            elif kind == 1:
                sound.write(n * 960, np.arange(n * 960, (n + 1) * 960).astype(np.int16), at)
            self.cut_until(clock, at)
        return clock

    def cut_until(self, clock: MediaClock[int], now: float) -> None:
        while True:
            check = clock.next_check()
            at = now if check is None else min(check, now)
            slot = clock.cut(
                max(at, self.slots[-1].cut_at if self.slots else 0.0), speaking=self.speaking
            )
            if slot is not None:
                self.slots.append(slot)
            elif at >= now:
                return
            elif (again := clock.next_check()) is None or again <= at:
                if clock.cut(now, speaking=self.speaking) is None:
                    return
                raise AssertionError("next_check promised too early a time")

    @property
    def stale(self) -> int:
        return sum(slot.stale for slot in self.slots)

    def rate(self, start: float, stop: float) -> float:
        return sum(start <= slot.cut_at < stop for slot in self.slots) / (stop - start)


def times(rate: float, seconds: float, offset: float = 0.0, jitter: float = 0.0) -> list[float]:
    rng = np.random.default_rng(3)
    count = int(seconds * rate)
    return sorted(offset + np.arange(count) / rate + rng.uniform(0, jitter or 1e-9, count))


def test_camera_in_step_gets_every_frame_at_once() -> None:
    world = World(times(25, 10, 0.137, jitter=0.002), times(50, 10, 0.02))
    world.run(9.5)
    assert [slot.index for slot in world.slots] == list(range(len(world.slots)))
    assert [slot.picture for slot in world.slots] == list(range(len(world.slots)))
    late = world.slots[120:]
    waits = [slot.cut_at - world.camera[slot.picture] for slot in late]
    assert np.quantile(waits, 0.95) < 0.003
    assert world.stale == 0


def test_sound_of_the_slots_is_unbroken() -> None:
    world = World(times(25, 4, 0.1), times(50, 4, 0.02), speaking=True)
    world.run(4)
    joined = np.concatenate([slot.sound for slot in world.slots])
    heard = joined[np.flatnonzero(joined)[0] :]
    assert all(len(slot.sound) == SLOT for slot in world.slots)
    assert set(np.diff(heard.astype(np.int32)) & 0xFFFF) == {1}


def test_30_fps_camera_is_thinned_evenly() -> None:
    world = World(times(30, 10, 0.1), times(50, 10, 0.02))
    world.run(10)
    assert world.rate(2, 9) == pytest.approx(25, abs=0.3)
    steps = np.diff([slot.picture for slot in world.slots[50:]])
    assert set(steps) <= {1, 2}
    assert world.stale == 0
    doubles = np.flatnonzero(steps == 2)
    assert set(np.diff(doubles)) <= {4, 5, 6}


@pytest.mark.parametrize("fps", [10, 15, 20])
def test_slow_camera_repeats_frames_at_full_rate(fps: int) -> None:
    world = World(times(fps, 10, 0.1), times(50, 10, 0.02))
    clock = world.run(10)
    assert world.rate(2, 9) == pytest.approx(25, abs=0.3)
    assert clock.superseded == 0
    assert set(np.diff([slot.picture for slot in world.slots[50:]])) == {0, 1}


def test_unplugged_camera_keeps_the_clock_going_and_comes_back() -> None:
    camera = [t for t in times(25, 10, 0.1) if not 3 < t < 6]
    world = World(camera, times(50, 10, 0.02))
    clock = world.run(5.9)
    assert clock.stalled
    assert world.rate(3.2, 5.8) == pytest.approx(25, abs=0.5)
    world = World(camera, times(50, 10, 0.02))
    clock = world.run(10)
    assert not clock.stalled
    assert world.slots[-1].picture >= len(camera) - 5


def test_lost_sound_becomes_silence_and_returns() -> None:
    packets = times(50, 12, 0.02)
    world = World(times(25, 12, 0.1), [*packets[:150], *(t for t in packets[150:] if t > 6)])
    world.run(12)
    assert world.rate(4, 6) == pytest.approx(25, abs=1)
    silent = [slot for slot in world.slots if 3.5 < slot.cut_at < 5.9]
    assert not any(slot.sound.any() for slot in silent)
    assert all(slot.sound.any() for slot in world.slots if slot.cut_at > 6.5)
    assert world.rate(7, 11) == pytest.approx(25, abs=0.5)


def test_no_sound_at_all_still_gives_25_slots_a_second() -> None:
    world = World(times(25, 5, 0.1), [])
    world.run(5)
    assert world.rate(1, 5) == pytest.approx(25, abs=0.5)


def test_without_a_camera_nothing_starts_and_sound_does_not_pile_up() -> None:
    world = World([], times(50, 5, 0.02))
    clock = world.run(5)
    assert not world.slots
    assert clock.next_check() is None
    world = World([4.0, 4.04], times(50, 5, 0.02))
    world.run(4.02)
    newest = 960 * 199
    assert int(np.uint16(world.slots[0].sound[-1])) > (newest & 0xFFFF) - 2 * SLOT


@pytest.mark.parametrize("ppm", [400, -400])
def test_clock_drift_is_taken_up_in_silence(ppm: int) -> None:
    world = World(times(25 * (1 + ppm * 1e-6), 150, 0.1), times(50, 150, 0.02))
    clock = world.run(149)
    assert world.stale + clock.superseded == 0  # 60 ms of drift, more than one slot
    waits = [slot.cut_at - world.camera[slot.picture] for slot in world.slots[100:]]
    assert np.quantile(waits, 0.95) < 0.006
    assert clock.dropped_samples > 0 if ppm < 0 else clock.inserted_samples > 0


def test_speech_is_never_shifted() -> None:
    world = World(times(25.02, 60, 0.1), times(50, 60, 0.02), speaking=True)
    clock = world.run(60)
    assert clock.inserted_samples == clock.dropped_samples == 0


def test_after_a_hiccup_of_the_camera_frames_are_prompt_again() -> None:
    """Frames 100 to 102 come late and at once: their slots have gone on without them."""
    camera = times(25, 10, 0.137)
    camera[100] = camera[101] = camera[102] = camera[103] - 0.001
    world = World(camera, times(50, 10, 0.02), speaking=True)
    clock = world.run(9.5)
    assert clock.inserted_samples == clock.dropped_samples == 0
    prompt = [slot.cut_at - world.camera[slot.picture] for slot in world.slots[-125:]]
    assert np.quantile(prompt, 0.95) < 0.003
    assert clock.superseded == world.stale > 0


@pytest.mark.parametrize("offset", np.arange(0.1, 0.14, 0.004).tolist())
def test_frames_that_begin_out_of_step_are_not_held_up_for_long(offset: float) -> None:
    camera = times(25, 10, offset)
    camera[1] = camera[0] + 0.057  # the first tells nothing of the rest
    for index in range(2, len(camera)):
        camera[index] += 0.017
    world = World(camera, times(50, 10, 0.02), speaking=True)
    world.run(9.5)
    waits = [slot.cut_at - world.camera[slot.picture] for slot in world.slots[50:]]
    assert np.median(waits) < 0.015
