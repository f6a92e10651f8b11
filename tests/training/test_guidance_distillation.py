"""What distillation adds to the truth: DS-CFG's weight above 1, at each latent pixel and level."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.flow import guidance_weight  # noqa: E402
from training.distill import STRONGEST, drawn_strength, guidance_push  # noqa: E402

pytestmark = pytest.mark.torch
SIDE, SIGMA = 16, 0.22


def test_the_push_is_what_the_engines_weight_has_above_one() -> None:
    torch.manual_seed(0)
    level, mouth = 0.5 + 0.5 * torch.rand(2, 3), 0.3 + 0.4 * torch.rand(2, 2)
    push = guidance_push(level, mouth, SIDE, peak=2.5, floor=0.5, sigma=SIGMA)
    assert push.shape == (2, 3, 1, SIDE, SIDE)
    for b, slot, row, column in np.ndindex(2, 3, SIDE, SIDE):
        x, y = (column + 0.5) / SIDE, (row + 0.5) / SIDE
        distance2 = (x - float(mouth[b, 0])) ** 2 + (y - float(mouth[b, 1])) ** 2
        weight = guidance_weight(
            float(level[b, slot]), np.array([distance2], np.float32), 2.5, 0.5, SIGMA
        )
        expected = max(float(weight[0]) - 1, 0)
        assert float(push[b, slot, 0, row, column]) == pytest.approx(expected, abs=1e-5)
    assert (push == 0).any() and (push > 0.3).any()


def test_the_push_by_hand_at_the_mouth_beside_it_and_far_away() -> None:
    mouth = torch.tensor([[7.5 / SIDE, 9.5 / SIDE]])  # the middle of row 9, column 7
    push = guidance_push(torch.tensor([[1.0, 0.81]]), mouth, SIDE, 2.0, 0.5, SIGMA)[0, :, 0]
    assert push[0, 9, 7].item() == pytest.approx(1.0)
    assert push[1, 9, 7].item() == pytest.approx(2 * 0.9**3 - 1, abs=1e-6)  # .81 ** 1.5
    beside = 2 * (0.25 + 0.75 * math.exp(-((3 / SIDE) ** 2) / (2 * SIGMA**2))) - 1
    assert push[0, 9, 10].item() == pytest.approx(beside, abs=1e-6)
    assert push[0, 12, 7].item() == pytest.approx(beside, abs=1e-6)
    assert push[:, 0, 15].tolist() == [0, 0]  # a weight below 1 takes nothing away
    far = guidance_push(torch.ones(1, 1), mouth, SIDE, 3.0, 1.5, 0.02)[0, 0, 0]
    assert far[0, 15].item() == pytest.approx(0.5)


@pytest.mark.parametrize("unguided", [0.0, 0.25, 1.0])
def test_strengths_reach_from_none_to_the_strongest(unguided: float) -> None:
    torch.manual_seed(0)
    strength = drawn_strength(2000, unguided)
    assert strength.min() >= 0 and strength.max() <= STRONGEST
    assert (strength == 0).float().mean().item() == pytest.approx(unguided, abs=0.03)
    guided = strength[strength > 0]
    if len(guided):
        assert guided.mean().item() == pytest.approx(STRONGEST / 2, abs=0.06)
        assert guided.max() > 0.99 * STRONGEST
