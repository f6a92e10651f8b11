"""Added latency by window, and a frame's way in stages."""

import pytest

from benchmarks.browser import Period
from benchmarks.calls import CallFigures, ServerFigures
from benchmarks.latency import _outcome
from benchmarks.stages import TICK_PARTS, pooled_stages, stage_ms

RATES = {
    "in": 25.0, "out": 25.0, "passed_through": 0.0, "repeated": 0.0, "dropped": 0.0,
    "skipped": 0.0, "stale": 0.0,
}  # fmt: skip
STAGES = {
    "video_encode": {0.005: 10.0, float("inf"): 10.0},
    "tick": {0.010: 0.0, 0.020: 10.0, float("inf"): 10.0},
    "denoise": {0.005: 5.0, 0.010: 10.0, float("inf"): 10.0},
    "send_sound": {0.001: 10.0, float("inf"): 10.0},
    "hold": {0.005: 0.0, float("inf"): 0.0},
}


def call(side: str, age_ms: float, server: bool, ladder: int = 0) -> CallFigures:
    period = Period(10.0, 0.0, [], [], 250, [], [], [], {}, {"in_video": {"frameWidth": 640}})
    figures = ServerFigures(RATES, STAGES, ladder) if server else None
    ages = [age_ms + n / 10 for n in range(100)]
    return CallFigures(side, period, 50.0, 200.0, ages, 60.0, 40.0, 1.0, figures, server)


def test_each_window_is_judged_by_its_own_limit() -> None:
    calls = [
        call("echo", 40, False),
        call("server, 3 slots", 130, True),
        call("server, 2 slots", 120, True),
    ]
    slots = {"server, 3 slots": 3, "server, 2 slots": 2}
    outcome = _outcome("latency", calls, slots, ("face", "voice"))
    added = {t.name: t for t in outcome.targets if "added" in t.name}
    assert added["server, 3 slots: added latency, p50"].value == pytest.approx(90)
    assert added["server, 3 slots: added latency, p95"].met
    assert added["server, 2 slots: added latency, p50"].value == pytest.approx(80)
    assert not added["server, 2 slots: added latency, p50"].met


def test_without_an_echo_no_latency_is_claimed() -> None:
    outcome = _outcome("latency-fake-camera", [call("server, 3 slots", 9, True)], {}, ("f", "v"))
    assert not [t for t in outcome.targets if "added" in t.name]
    assert outcome.data["added_latency_ms"] == {}


def test_quality_that_was_given_up_is_told() -> None:
    for ladder in (0, 2):
        calls = [call("server, 3 slots", 9, True, ladder)]
        outcome = _outcome("latency", calls, {"server, 3 slots": 3}, ("f", "v"))
        assert any("gave up quality" in remark for remark in outcome.remarks) == bool(ladder)


def test_stages_stand_in_the_order_of_the_way() -> None:
    pooled = pooled_stages([ServerFigures(RATES, STAGES, 0)] * 2)
    assert list(pooled) == ["tick", "denoise", "hold", "video_encode", "send_sound"]
    assert pooled["tick"][0.020] == 20
    found = stage_ms(pooled)
    assert "hold" not in found and "denoise" in TICK_PARTS
    assert found["tick"]["p50"] == pytest.approx(15) and found["tick"]["p99"] < 20
