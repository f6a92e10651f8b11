"""Which step a call stands on, from the times of its ticks alone."""

from collections.abc import Callable

import pytest

from streaming.ladder import Ladder, Step

# Ticks of each step over those of a full one, as the engine's are.
COST = {Step.FULL: 1.0, Step.SHORT: 0.9, Step.EVERY_SECOND: 0.74}


def live(ladder: Ladder, slots: int, full_tick_s: Callable[[int], float]) -> list[Step]:
    """The step at each slot; slots are skipped as they pile up behind long ticks."""
    steps, owed_s = [], 0.0
    for slot in range(slots):
        owed_s -= 0.04
        if ladder.resting and owed_s > 0:
            ladder.due()  # the tick that tries is still running
        elif owed_s > 0.08:
            ladder.skipped()
        elif ladder.due():
            tick_s = full_tick_s(slot) * COST.get(ladder.step, COST[Step.SHORT])
            owed_s = max(0.0, owed_s) + tick_s
            ladder.ticked(tick_s)
        steps.append(ladder.step)
    return steps


def path(steps: list[Step]) -> list[Step]:
    return [b for a, b in zip([None, *steps], steps, strict=False) if a != b]


def test_a_machine_that_keeps_up_gives_nothing_up() -> None:
    assert set(live(Ladder(3), 1000, lambda n: 0.032 if n % 3 else 0.045)) == {Step.FULL}


def test_one_hiccup_or_a_slow_start_is_no_overload() -> None:
    assert set(live(Ladder(3), 500, lambda n: 0.3 if n in (0, 100, 300) else 0.015)) == {Step.FULL}


@pytest.mark.parametrize(
    ("tick_s", "end"),
    [
        (0.042, Step.SHORT),
        (0.047, Step.EVERY_SECOND),
        (0.070, Step.EVERY_SECOND),
        (0.100, Step.PASS_THROUGH),
        (0.5, Step.PASS_THROUGH),
    ],
)
def test_it_goes_down_in_order_until_the_load_fits_and_stays(tick_s: float, end: Step) -> None:
    steps = live(Ladder(3), 1000, lambda n: tick_s)
    assert path(steps) == list(Step)[: end + 1]
    assert len(set(steps[250:])) == 1


def test_hold_is_short() -> None:
    steps = live(Ladder(3), 200, lambda n: 0.2)
    assert steps.count(Step.HOLD) <= 30


@pytest.mark.parametrize("load_s", [0.042, 0.047, 0.06, 0.2, 1.0])
@pytest.mark.parametrize("length", [10, 30, 60, 70, 80, 90, 100, 300, 333])
def test_it_is_back_within_three_seconds_of_the_load(load_s: float, length: int) -> None:
    steps = live(Ladder(3), 600, lambda n: load_s if 100 <= n < 100 + length else 0.015)
    end = 100 + length
    assert steps[end + 75 :] == [Step.FULL] * (600 - end - 75)
    up = [step for step in path(steps[end + 25 :]) if step < Step.HOLD]
    assert up == sorted(up, reverse=True), "step by step"


def test_a_load_that_comes_and_goes_does_not_stop_the_pictures() -> None:
    steps = live(Ladder(3), 1000, lambda n: 0.015 if n % 25 < 10 else 0.06)
    assert max(steps) is Step.EVERY_SECOND


def test_a_climb_that_was_too_early_makes_it_wary() -> None:
    ladder = Ladder(3)
    live(ladder, 200, lambda n: 0.2)
    trials = []
    for _ in range(2):
        assert ladder.resting
        trials.append(0)
        while ladder.resting:
            if ladder.due():
                ladder.ticked(0.044)
                trials[-1] += 1
        live(ladder, 20, lambda n: 0.2)
    assert trials == [3, 6]


def test_what_the_engine_does_at_each_step() -> None:
    ladder = Ladder(3)
    efforts = {}
    for slot in range(300):
        efforts[ladder.step] = (ladder.effort.slots, ladder.effort.every_second)
        if ladder.due():
            ladder.ticked(0.06 if slot else 0.0)
            ladder.skipped()
    assert efforts[Step.FULL] == (3, False)
    assert efforts[Step.SHORT] == (2, False)
    assert efforts[Step.EVERY_SECOND] == (2, True)
    assert ladder.resting


@pytest.mark.parametrize(
    ("slots", "steps"),
    [
        (1, [Step.FULL, Step.HOLD, Step.PASS_THROUGH]),
        (2, [Step.FULL, Step.EVERY_SECOND, Step.HOLD, Step.PASS_THROUGH]),
        (4, list(Step)),
    ],
)
def test_smaller_windows_have_fewer_steps(slots: int, steps: list[Step]) -> None:
    ladder = Ladder(slots)
    assert path(live(ladder, 200, lambda n: 0.2)) == steps
    assert ladder.effort.slots == min(2, slots)
