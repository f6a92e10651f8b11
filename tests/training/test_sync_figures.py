"""The figures that sync is judged by, on tracks whose answer is known."""

import numpy as np
import pytest

pytest.importorskip("scipy")  # of the train extra

from training.evaluation.targets import Target
from training.sync_figures import Judged, pooled


def tracks(seed: int, n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    smooth = np.convolve(rng.normal(size=n + 8), np.ones(5) / 5, "valid")[:n]
    other = np.convolve(rng.normal(size=n + 8), np.ones(5) / 5, "valid")[:n]
    return smooth, other


def test_a_perfect_copy_scores_one_and_no_leak() -> None:
    judged = [Judged(t.copy(), t, s) for t, s in (tracks(k) for k in range(4))]
    figures = pooled(judged)
    assert figures.r == pytest.approx(1.0)
    assert figures.leak == pytest.approx(0.0, abs=1e-9)
    assert figures.amplitude == pytest.approx(1.0)
    assert figures.offset == 0


@pytest.mark.parametrize("lag", [1, 3])
def test_a_late_mouth_is_found_late(lag: int) -> None:
    judged = [Judged(np.roll(t, lag), t, s) for t, s in (tracks(k) for k in range(4))]
    assert pooled(judged).offset == lag


def test_a_still_mouth_is_not_said_to_be_in_time() -> None:
    judged = [Judged(np.zeros_like(t), t, s) for t, s in (tracks(k) for k in range(4))]
    figures = pooled(judged)
    assert np.isnan([figures.r, figures.offset, figures.confidence]).all()
    assert not Target("offset", 0, 1).met({"offset": figures.offset})


def test_too_few_frames_tell_no_offset() -> None:
    truth, source = tracks(0, 10)
    assert np.isnan(pooled([Judged(truth, truth, source)]).offset)


def test_the_sources_mouth_shows_as_leak() -> None:
    judged = [Judged(0.5 * t + 0.5 * s, t, s) for t, s in (tracks(k) for k in range(4))]
    figures = pooled(judged)
    assert figures.leak > 0.5
    assert 0.5 < figures.r < 0.9


def test_gaps_and_lost_faces_do_not_count() -> None:
    truth, source = tracks(0)
    output = truth * 2.0
    truth = truth.copy()
    truth[100:150] = np.nan
    output[100:120] = 50.0
    output[300:306] = np.nan
    figures = pooled([Judged(output, truth, source)])
    assert figures.r == pytest.approx(1.0)
    assert figures.amplitude == pytest.approx(2.0, rel=0.05)
    assert figures.lost == pytest.approx(6 / 600)
