"""The sharpness term on latents of toy size."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from engine.model.dit import DenoiserConfig  # noqa: E402
from training.critic import LatentSharpness  # noqa: E402
from training.losses import backward, latent_weight  # noqa: E402

CONFIG = DenoiserConfig(latent_channels=4, pose_components=3)


def _batch(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Targets of +-1 whose signs nothing tells, their source, their pose."""
    g = torch.Generator().manual_seed(seed)
    target = torch.randn(8, 1, 4, 16, 16, generator=g).sign()
    return target, torch.zeros_like(target), torch.randn(8, 3, generator=g)


def test_gradient_has_its_share_beside_the_error() -> None:
    torch.manual_seed(0)
    sharp = LatentSharpness(CONFIG, share=0.3)
    target, source, pose = _batch(0)
    beside = torch.randn_like(target)
    push, _ = sharp.gradient(0.5 * target, target, source, pose, beside)
    assert float(push.norm()) == pytest.approx(0.3 * float(beside.norm()), rel=1e-3)
    assert push[..., :4, :].abs().max() == 0  # above what is edited nothing is judged


def test_critic_pushes_estimates_away_from_the_mean_of_what_fits() -> None:
    """Squared error settles at 0 where targets are +-1 by chance; the term finds that unlike a
    target.
    """

    def settled(share: float) -> float:
        torch.manual_seed(0)
        sharp = LatentSharpness(CONFIG, share, rate=3e-3) if share else None
        table = torch.nn.Parameter(0.01 * torch.randn(8, 1, 4, 16, 16))
        optimiser = torch.optim.Adam([table], 0.03)
        for step in range(60):
            target, source, pose = _batch(step)
            optimiser.zero_grad()
            backward(table * 1.0, target, latent_weight(16), sharp, source, pose)
            optimiser.step()
        return float(table.detach()[..., 4:, 2:14].abs().mean())

    assert settled(1.0) > 1.5 * settled(0.0)
