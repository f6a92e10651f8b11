"""The sharpness term: a small critic on latents tells targets from estimates (hinge loss), given
the source and the lip pose; its features serve as a perceptual distance.

A squared error alone is least for the mean of all mouths that fit, and that mean has no teeth.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from engine.model.dit import DenoiserConfig
from training.parallel import average_gradients

WIDTH = 96


class Critic(nn.Module):
    """latent, source (N, C, h, w), pose (N, P) -> a score for each place, and the features of every
    layer.
    """

    def __init__(self, channels: int, components: int) -> None:
        super().__init__()
        inputs = 2 * channels + components
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 3, stride, padding=1))
            for a, b, stride in [(inputs, WIDTH, 1), (WIDTH, WIDTH, 1), (WIDTH, 2 * WIDTH, 2)]
        )
        self.score = spectral_norm(nn.Conv2d(2 * WIDTH, 1, 3, padding=1))

    def forward(self, latent: Tensor, source: Tensor, pose: Tensor) -> tuple[Tensor, list[Tensor]]:
        where = pose[:, :, None, None].expand(-1, -1, *latent.shape[2:])
        hidden, features = torch.cat([latent, source, where], 1), []
        for layer in self.layers:
            hidden = F.leaky_relu(layer(hidden), 0.2)
            features.append(hidden)
        return self.score(hidden), features


class SharpnessTerm:
    """Trains the critic and gives the gradient that makes estimates look like targets to it.

    share: size of that gradient beside the reconstruction's, which fixes the balance whatever the
        critic's scale is.
    """

    def __init__(self, config: DenoiserConfig, share: float, rate: float = 3e-4) -> None:
        self.critic = Critic(config.latent_channels, config.pose_components)
        self.share = share
        self._edited = config.edited
        self._optimiser = torch.optim.AdamW(
            self.critic.parameters(), rate, betas=(0.5, 0.95), weight_decay=0.01
        )

    def _cut(self, latent: Tensor) -> Tensor:
        """(B, L, C, h, w) -> what is edited, (B L, C, rows, columns)."""
        top, bottom, left, right = self._edited
        return latent[..., top:bottom, left:right].flatten(0, 1)

    def gradient(
        self, estimate: Tensor, target: Tensor, source: Tensor, pose: Tensor, beside: Tensor
    ) -> tuple[Tensor, float]:
        """d term / d estimate (B, L, C, h, w), scaled to `share` of `beside`, and the critic's
        loss.
        """
        leaf = estimate.detach().requires_grad_(True)
        real, near = self._cut(target), self._cut(source)
        with torch.autocast("cpu", torch.bfloat16):
            score, features = self.critic(self._cut(leaf), near, pose)
            with torch.no_grad():
                _, wanted = self.critic(real, near, pose)
            distance = sum(
                (a - b).abs().mean() for a, b in zip(features, wanted, strict=True)
            ) / len(features)
            term = distance - 0.25 * score.mean()
        (push,) = torch.autograd.grad(term.float(), leaf)
        push *= self.share * beside.norm() / (push.norm() + 1e-12)
        return push, self._learn(self._cut(leaf.detach()), real, near, pose)

    def _learn(self, fake: Tensor, real: Tensor, near: Tensor, pose: Tensor) -> float:
        with torch.autocast("cpu", torch.bfloat16):
            of_real, _ = self.critic(real, near, pose)
            of_fake, _ = self.critic(fake, near, pose)
            # A target with another clip's pose is as wrong as an estimate: lips must fit.
            of_other, _ = self.critic(real, near, pose.roll(len(pose) // 2, 0))
        loss = F.relu(1 - of_real.float()).mean()
        loss = loss + 0.7 * F.relu(1 + of_fake.float()).mean()
        loss = loss + 0.3 * F.relu(1 + of_other.float()).mean()
        self._optimiser.zero_grad()
        loss.backward()
        average_gradients(self.critic)
        self._optimiser.step()
        return loss.item()
