"""Verdicts over a long call, on invented courses."""

import pytest

from benchmarks.outcome import Target
from benchmarks.soak import Sample, _outcome


def course(memory_per_s: float, sound_ms_per_s: float, seconds: int = 600) -> list[Sample]:
    """The first two minutes fill caches, whatever comes after."""
    return [
        Sample(
            at_s=float(second),
            resident_mb=200.0 + min(second, 120) + memory_per_s * max(0, second - 120),
            threads=20,
            queues={"slots": second % 2, "sound_ms": 120.0 + sound_ms_per_s * second},
            synced=25.0 * second,
            not_new=0.0,
        )
        for second in range(seconds)
    ]


def targets(samples: list[Sample]) -> dict[str, Target]:
    found = _outcome(samples, 120.0, ("face", "voice")).targets
    return {target.name: target for target in found}


def test_flat_call_meets_both_targets() -> None:
    memory, queue = targets(course(0.0, 0.0)).values()
    assert memory.value == pytest.approx(0, abs=1e-6) and memory.met
    assert queue.value == pytest.approx(0, abs=0.05) and queue.met


def test_leak_after_the_warm_up_is_missed() -> None:
    found = targets(course(0.005, 0.0))["memory gained after warm-up"]
    assert found.value == pytest.approx(2.4, abs=0.05) and not found.met


def test_growing_queue_of_sound_is_missed_in_slots() -> None:
    found = targets(course(0.0, 0.4))["largest growth of a queue"]
    assert found.value == pytest.approx(4.8, abs=0.05) and not found.met
