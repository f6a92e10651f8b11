"""How many calls there is room for."""

import pytest

from engine.batch import MOST
from engine.costs import CallCosts
from streaming import capacity
from streaming.capacity import CallCost, Capacity, measure_capacity, measure_cost, seats

from .double import DoubleEngine

EPYC = CallCost(engine_ms=13.0, codec_ms=2.9)  # measured
SLOW_CALLS = CallCosts((10.0, 10.0, 10.0, 10.0), (10.0, 20.0, 30.0, 40.0))


@pytest.mark.parametrize(
    ("cost", "cores", "expected"),
    [
        (EPYC, 2, 2),
        (EPYC, 1, 1),
        (EPYC, 4, 5),
        (CallCost(60.0, 9.0), 2, 1),
        (EPYC, 64, 6),  # one event loop sends for all
    ],
)
def test_seats_follow_what_a_call_costs(cost: CallCost, cores: int, expected: int) -> None:
    assert seats(cost, cores) == expected


def test_calls_that_share_a_device_have_to_fit_into_its_time() -> None:
    light = CallCost(engine_ms=2.0, codec_ms=0.5)
    assert seats(light, 64) > 30
    assert seats(light, 64, SLOW_CALLS) == 13  # four windows each 10 ms


async def test_a_call_is_measured_on_the_demo_clip_with_its_time_in_the_right_place() -> None:
    engine = DoubleEngine()
    cost = await measure_cost(engine)
    (stream,) = engine.streams
    assert stream.pushed == 21
    assert cost.engine_ms > 0 and cost.codec_ms > 0


async def test_the_operator_decides_over_what_is_measured() -> None:
    assert await measure_capacity(DoubleEngine(), asked=7) == Capacity(5.0, 7, 1)
    assert (await measure_capacity(DoubleEngine(), 7, "on")).sharing == MOST
    assert (await measure_capacity(DoubleEngine(), 7, "off")).sharing == 1


async def test_seats_are_what_is_measured_where_the_operator_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def measured(engine: DoubleEngine) -> CallCost:
        return EPYC

    monkeypatch.setattr(capacity, "measure_cost", measured)
    monkeypatch.setattr(capacity, "usable_cores", lambda: 4)
    engine = DoubleEngine()
    assert await measure_capacity(engine) == Capacity(5.0, 5, 1)
    engine.measure_calls = lambda: SLOW_CALLS  # type: ignore[method-assign]
    assert await measure_capacity(engine) == Capacity(5.0, 5, MOST)


async def test_calls_are_shared_where_it_pays() -> None:
    engine = DoubleEngine()
    engine.measure_calls = lambda: SLOW_CALLS  # type: ignore[method-assign]
    assert (await measure_capacity(engine, 4)).sharing == MOST
    assert (await measure_capacity(engine, 1)).sharing == 1, "nobody to share with"
