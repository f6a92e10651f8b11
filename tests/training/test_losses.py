"""Where an estimate's error counts."""

import pytest

torch = pytest.importorskip("torch")

from engine.face.align import MOUTH_CENTRE  # noqa: E402
from training.losses import latent_weight, x0_loss  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("side", [16, 32])
def test_the_mouth_counts_ten_times_what_is_far_away(side: int) -> None:
    weight = latent_weight(side)
    row, column = divmod(int(weight.argmax()), side)
    assert abs((column + 0.5) / side - MOUTH_CENTRE[0]) <= 0.5 / side + 1e-6
    assert abs((row + 0.5) / side - MOUTH_CENTRE[1] - 0.06) <= 0.5 / side + 1e-6
    assert weight.max().item() == pytest.approx(2.0, abs=0.01)
    assert weight[0].max().item() == pytest.approx(0.2, abs=0.01)
    assert weight.min().item() >= 0.2


def test_an_error_at_the_mouth_costs_more_than_the_same_above_it() -> None:
    weight, truth = latent_weight(16), torch.zeros(1, 1, 4, 16, 16)
    at_mouth, above = truth.clone(), truth.clone()
    at_mouth[..., 9, 8] = above[..., 1, 8] = 1.0
    least = float(x0_loss(truth, truth, weight))
    cost = [float(x0_loss(wrong, truth, weight)) - least for wrong in (at_mouth, above)]
    assert cost[0] == pytest.approx(10 * cost[1], rel=0.05)
