"""The decoder's colour term: blind to light and dark, not to green teeth."""

import pytest

torch = pytest.importorskip("torch")

from training.appearance import hue_loss  # noqa: E402
from training.autoencoder import mouth_weight  # noqa: E402

pytestmark = pytest.mark.torch
SIDE = 96


def picture(*rgb: float) -> "torch.Tensor":
    return torch.tensor(rgb)[None, :, None, None].expand(1, 3, SIDE, SIDE).clone()


def test_only_colours_count_and_only_in_the_mouth() -> None:
    weight, teeth = mouth_weight(SIDE), picture(0.5, 0.4, 0.3)
    dimmer, green = picture(0.3, 0.2, 0.1), picture(0.4, 0.5, 0.3)
    assert hue_loss(dimmer, teeth, weight).item() == pytest.approx(0, abs=1e-6)
    assert hue_loss(green, teeth, weight).item() > 0.1
    green[:, :, SIDE // 4 :] = teeth[:, :, SIDE // 4 :]
    assert hue_loss(green, teeth, weight).item() == 0
