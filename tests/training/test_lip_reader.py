"""The lip reader: it learns poses off latents, and its gradient makes estimates read right."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from engine.model.dit import DenoiserConfig  # noqa: E402
from training.lip_reader import LipReading  # noqa: E402

pytestmark = pytest.mark.torch
SMALL = DenoiserConfig(grid=8, edited=(2, 8, 1, 7), latent_channels=4, pose_components=3)


def test_its_gradient_moves_estimates_to_the_pose_it_reads() -> None:
    torch.manual_seed(0)
    shown = torch.randn(3, 4, 8, 8)
    lips = LipReading(SMALL, share=0.5)

    def drawn() -> tuple[torch.Tensor, torch.Tensor]:
        pose = torch.randn(48, 3)
        latent = torch.einsum("np,pchw->nchw", pose, shown) + 0.1 * torch.randn(48, 4, 8, 8)
        return latent.unflatten(0, (16, 3)), pose

    beside = torch.ones(16, 3, 4, 8, 8)
    misread = [lips.gradient(*(drawn()[0],) * 2, torch.zeros(48, 3), beside)[1]]
    for _ in range(150):
        latent, pose = drawn()
        push, loss = lips.gradient(latent, latent, pose, beside)
        misread.append(loss)
    assert misread[-1] < 0.1 * misread[1]

    target, pose = drawn()
    estimate = drawn()[0]
    before = (lips.read(estimate) - pose).abs().mean()
    push, _ = lips.gradient(estimate, target, pose, beside)
    assert push.norm() == pytest.approx(0.5 * float(beside.norm()), rel=1e-3)
    assert not push[..., :2, :].any()  # what may not be edited
    after = (lips.read(estimate - 0.05 * push) - pose).abs().mean()
    assert after < before
