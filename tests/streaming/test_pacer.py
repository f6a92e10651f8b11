import numpy as np
import pytest

from streaming.mediaclock import NEWER
from streaming.pacer import CHUNK, GRACE_S, SOUND_LEAD_S, Kind, Pacer
from streaming.playout import MAX_DELAY_S, SLACK_S, PlayoutClock

SLOT_S = 0.04


def sound_of(slot: int) -> np.ndarray:
    return np.arange(1920 * slot, 1920 * (slot + 1)).astype(np.int16)


class Run:
    """Feeds a pacer in virtual time and notes what leaves when."""

    def __init__(self, first_delay_s: float = 0.11) -> None:
        self.pacer: Pacer[int] = Pacer(PlayoutClock())
        self.first_delay_s = first_delay_s
        self.sound: list[tuple[float, float, np.ndarray]] = []
        self.pictures: list[tuple[float, float, int, Kind]] = []

    def go(self, taken: dict[int, float], ready: dict[int, float], until: float) -> None:
        """taken: slot -> when its sound is cut; ready: slot -> when its picture is finished."""
        events = [(t, 0, slot) for slot, t in taken.items()]
        events += [(t, 1, slot) for slot, t in ready.items()]
        for at, kind, slot in [*sorted(events), (until, 2, 0)]:
            self.release(at)
            if kind == 0:
                if not self.pacer.clock.started:
                    self.pacer.clock.start(at, self.first_delay_s)
                self.pacer.clock.taken(slot * SLOT_S, at)
                self.pacer.put_sound(slot, sound_of(slot))
            elif kind == 1:
                self.pacer.put_picture(slot, slot, Kind.SYNCED, at)

    def release(self, until: float) -> None:
        while True:
            dues = [t for t in (self.pacer.sound_due(), self.pacer.picture_due()) if t is not None]
            if not dues or min(dues) > until:
                return
            now = min(dues)
            out = self.pacer.take_sound(now)
            if out is not None:
                self.sound.append((now, out.media_s, out.content))
            picture = self.pacer.take_picture(now)
            if picture is not None:
                self.pictures.append((now, picture.media_s, picture.content, picture.kind))


def steady(count: int, delay_s: float = 0.1, jitter_s: float = 0.0, rate: float = 1.0) -> Run:
    run = Run()
    rng = np.random.default_rng(1)
    taken = {n: n * SLOT_S * rate for n in range(count)}
    ready = {n: t + delay_s + rng.uniform(0, jitter_s) for n, t in taken.items()}
    run.go(taken, ready, count * SLOT_S * rate)
    return run


def test_picture_leaves_a_fixed_time_after_its_sound() -> None:
    run = steady(100)
    at = {round(media * 25): now for now, media, _, _ in run.pictures}
    for now, media, _ in run.sound:
        if round(media * 50) % 2 == 0 and round(media * 25) in at:
            assert now + SOUND_LEAD_S == pytest.approx(at[round(media * 25)], abs=1e-3)


def test_sound_leaves_whole_in_20_ms_frames() -> None:
    run = steady(100)
    joined = np.concatenate([chunk for _, _, chunk in run.sound])
    assert all(len(chunk) == CHUNK for _, _, chunk in run.sound)
    np.testing.assert_array_equal(joined, NEWER + np.arange(len(joined)).astype(np.int16))


def test_delay_settles_just_above_what_the_engine_needs() -> None:
    run = steady(1000, delay_s=0.1, jitter_s=0.01)
    now, media, _, _ = run.pictures[-1]
    assert 0.1 + SLACK_S < now - media < 0.1 + 0.01 + 2 * SLACK_S
    assert run.pacer.counts[Kind.REPEATED] == 0


def test_delay_rises_for_a_slower_engine_without_a_gap_in_the_sound() -> None:
    run = Run()
    taken = {n: n * SLOT_S for n in range(1000)}
    ready = {n: t + (0.1 if n < 300 else 0.18) for n, t in taken.items()}
    run.go(taken, ready, 40.0)
    times = np.array([now for now, _, _ in run.sound])
    assert np.diff(times).max() < 0.0225
    late = [kind for _, media, _, kind in run.pictures if media > 25]
    assert Kind.REPEATED not in late


def test_late_picture_repeats_the_last_and_sound_does_not_wait() -> None:
    run = Run()
    taken = {n: n * SLOT_S for n in range(50)}
    ready = {n: t + 0.1 for n, t in taken.items()}
    ready[20] += 0.1
    run.go(taken, ready, 2.2)
    shown = {round(media * 25): (content, kind) for _, media, content, kind in run.pictures}
    assert shown[20] == (19, Kind.REPEATED)
    assert shown[21] == (21, Kind.SYNCED)
    assert run.pacer.too_late == 1
    assert np.diff([now for now, _, _ in run.sound]).max() < 0.0205


def test_picture_within_the_grace_is_shown_not_repeated() -> None:
    run = Run()
    taken = {n: n * SLOT_S for n in range(50)}
    ready = {n: t + 0.1 for n, t in taken.items()}
    ready[20] = 20 * SLOT_S + run.first_delay_s + GRACE_S / 2
    run.go(taken, ready, 2.06)
    assert run.pacer.counts[Kind.REPEATED] == 0
    assert [content for _, _, content, _ in run.pictures] == sorted(ready)[: len(run.pictures)]


def test_slot_given_up_repeats_without_waiting_for_the_grace() -> None:
    run = Run()
    run.go({0: 0.0, 1: 0.04}, {0: 0.1}, 0.105)
    run.pacer.give_up(1)
    run.release(0.2)
    (_, _, _, _), (now, _, content, kind) = run.pictures
    assert (content, kind) == (0, Kind.REPEATED)
    assert now == pytest.approx(0.04 + run.first_delay_s, abs=1e-3)


@pytest.mark.parametrize("rate", [1.0005, 0.9995])
def test_sender_clock_drift_neither_piles_up_nor_starves(rate: float) -> None:
    run = steady(5000, delay_s=0.1, jitter_s=0.004, rate=rate)
    delay = [now - media * rate for now, media, _, _ in run.pictures[500:]]
    assert max(delay) - min(delay) < 0.03  # 100 ms of drift in these 200 s
    assert run.pacer.waiting_sound_s < 0.25
    assert run.pacer.counts[Kind.REPEATED] == 0


def test_overload_caps_the_delay() -> None:
    run = Run()
    taken = {n: n * SLOT_S for n in range(1500)}
    run.go(taken, {n: t + 0.9 for n, t in taken.items()}, 60.0)
    now, media, _ = run.sound[-1]
    assert now - media < MAX_DELAY_S + 0.01


def test_pictures_that_are_early_for_a_while_do_not_lower_the_delay() -> None:
    pacer: Pacer[int] = Pacer(PlayoutClock())
    pacer.clock.start(0.0, 0.1)
    for slot in range(500):
        early_s = 0.04 if 100 <= slot < 400 else 0.0
        ready_at = slot * SLOT_S + 0.098 - early_s
        pacer.put_sound(slot, sound_of(slot))
        pacer.put_picture(slot, slot, Kind.SYNCED, ready_at, early_s)
        while pacer.take_sound(ready_at) or pacer.take_picture(ready_at):
            pass
    assert pacer.clock.release(0.0) == pytest.approx(0.1, abs=1e-3)
    assert pacer.counts[Kind.REPEATED] == 0


def test_stall_is_caught_up_with_and_leaves_no_delay() -> None:
    run = Run()
    taken = {n: n * SLOT_S for n in range(500)}
    for n in range(100, 110):
        taken[n] = 110 * SLOT_S
    run.go(taken, {n: t + 0.1 for n, t in taken.items()}, 20.0)
    now, media, _ = run.sound[-1]
    assert now - media < 0.14
    assert run.pacer.clock.rebased == 0


def test_lost_media_time_moves_the_clock_on() -> None:
    run = Run()
    taken = {n: n * SLOT_S + (2.0 if n >= 20 else 0.0) for n in range(200)}
    run.go(taken, {n: t + 0.1 for n, t in taken.items()}, 10.0)
    assert run.pacer.clock.rebased == 1
    now, media, _ = run.sound[-1]
    assert now - media == pytest.approx(2.0 + 0.1, abs=0.02)
    assert [kind for *_, kind in run.pictures[-50:]] == [Kind.SYNCED] * 50


def test_what_nobody_takes_stays_bounded() -> None:
    pacer: Pacer[int] = Pacer(PlayoutClock())
    pacer.clock.start(0.0, 0.1)
    for slot in range(500):
        pacer.put_sound(slot, sound_of(slot))
        pacer.put_picture(slot, slot, Kind.SYNCED, slot * SLOT_S)
    assert pacer.waiting_sound_s <= 2.0
    assert pacer.waiting_pictures <= 32
    assert pacer.sound_skipped == 2 * 450
    out = pacer.take_sound(18.2)
    assert out is not None and out.media_s == pytest.approx(450 * SLOT_S, abs=SLOT_S)


def test_picture_never_runs_ahead_of_sound_that_a_busy_sender_holds_up() -> None:
    pacer: Pacer[int] = Pacer(PlayoutClock())
    pacer.clock.start(0.0, 0.1)
    for slot in range(10):
        pacer.put_sound(slot, sound_of(slot))
        pacer.put_picture(slot, slot, Kind.SYNCED, slot * SLOT_S)
    shown = [out.content for _ in range(10) if (out := pacer.take_picture(0.5)) is not None]
    assert shown == [0]
    for _ in range(4):
        pacer.take_sound(0.5)
    shown = [out.content for _ in range(10) if (out := pacer.take_picture(0.5)) is not None]
    assert shown == [2]


def test_sender_that_stays_behind_leaves_sound_out() -> None:
    pacer: Pacer[int] = Pacer(PlayoutClock())
    pacer.clock.start(0.0, 0.1)
    for slot in range(40):
        pacer.put_sound(slot, sound_of(slot))
    out = pacer.take_sound(1.3)
    assert out is not None and out.media_s == pytest.approx(1.2, abs=SLOT_S)
    assert pacer.sound_skipped == 2 * round((out.media_s + NEWER / 48_000) / SLOT_S)


def test_the_last_sound_of_a_sender_that_is_far_behind_leaves_once() -> None:
    """It left for ever: the slot's second half sent the sender back to its first."""
    pacer: Pacer[int] = Pacer(PlayoutClock())
    pacer.clock.start(0.0, 0.1)
    pacer.put_sound(0, sound_of(0))
    pacer.put_sound(1, sound_of(1))
    given = []
    while len(given) < 10 and (out := pacer.take_sound(2.0)) is not None:
        given.append(out.media_s)
    assert len(given) == 2 and given == sorted(set(given))


def test_a_sender_that_falls_behind_shows_new_pictures_not_old_ones() -> None:
    pacer: Pacer[int] = Pacer(PlayoutClock())
    pacer.clock.start(0.0, 0.1)
    shown = []
    for slot in range(400):
        now = slot * SLOT_S
        pacer.put_sound(slot, sound_of(slot))
        pacer.put_picture(slot, slot, Kind.SYNCED, now + 0.09)
        while pacer.take_sound(now) is not None:
            pass
        if slot % 3 == 2:  # the video sender comes only every third frame
            picture = pacer.take_picture(now)
            if picture is not None:
                shown.append((slot - picture.content, picture.kind))
    late = [behind for behind, _ in shown[10:]]
    assert max(late) <= 6
    assert all(kind is Kind.SYNCED for _, kind in shown[10:])
    assert pacer.too_late > 200
    assert pacer.waiting_pictures < 8
