"""Reading the product's own metrics."""

import pytest

from benchmarks.calls import server_figures
from benchmarks.scrape import Scrape, bucket_quantile, gained
from streaming.ladder import Step
from streaming.metrics import Metrics


def read(metrics: Metrics, at_s: float = 0.0) -> Scrape:
    return Scrape.parse(metrics.render().decode(), at_s)


def test_counters_and_gauges_by_label() -> None:
    metrics = Metrics()
    metrics.frames.labels("out").inc(75)
    metrics.queue_depth.labels("slots").set(2)
    found = read(metrics)
    assert found.value("frames_total", stage="out") == 75
    assert found.value("frames_total", stage="repeated") == 0
    assert found.label_values("queue_depth", "queue") == ["slots"]
    assert found.value("queue_depth", queue="slots") == 2


def test_quantiles_are_those_of_the_period_alone() -> None:
    metrics = Metrics()
    for _ in range(1000):
        metrics.observe_stage("tick", 0.2)  # before the period
    before = read(metrics)
    for ms in range(20, 30):
        for _ in range(10):
            metrics.observe_stage("tick", ms / 1000)
    after = read(metrics)
    buckets = gained(
        before.buckets("stage_seconds", stage="tick"), after.buckets("stage_seconds", stage="tick")
    )
    assert bucket_quantile(buckets, 0.5) == pytest.approx(0.0245, abs=0.001)
    assert bucket_quantile(buckets, 0.95) == pytest.approx(0.0295, abs=0.001)


def test_quantile_above_the_last_edge_and_of_nothing() -> None:
    assert bucket_quantile({0.1: 0.0, 1.0: 1.0, float("inf"): 10.0}, 0.95) == 1.0
    assert bucket_quantile({0.1: 0.0, float("inf"): 0.0}, 0.5) is None


def test_shares_count_repeats_and_passed_pictures_apart() -> None:
    metrics = Metrics()
    before = read(metrics, at_s=100.0)
    metrics.frames.labels("out").inc(970)
    metrics.frames.labels("repeated").inc(20)
    metrics.frames.labels("passed_through").inc(10)
    figures = server_figures(before, read(metrics, at_s=140.0))
    assert figures.rates["out"] == pytest.approx(24.25)
    assert figures.not_new_share == pytest.approx(0.03)


def test_the_ladder_s_lowest_step_is_seen_between_two_readings() -> None:
    metrics = Metrics()
    metrics.ladder_changes.labels("hold").inc()  # before the period
    before = read(metrics)
    assert server_figures(before, read(metrics, at_s=1.0)).ladder == 0
    for step in ("short", "every_second", "short", "full"):
        metrics.ladder_changes.labels(step).inc()
    assert server_figures(before, read(metrics, at_s=2.0)).ladder == Step.EVERY_SECOND
    metrics.ladder(None, Step.PASS_THROUGH)
    assert server_figures(read(metrics), read(metrics, at_s=3.0)).ladder == Step.PASS_THROUGH
