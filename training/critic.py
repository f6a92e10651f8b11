"""The sharpness term: a small critic tells targets from estimates (hinge loss); its features serve
as a perceptual distance.

A squared error alone is least for the mean of all mouths that fit, and that mean has no teeth.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from engine.model.dit import DenoiserConfig
from training.parallel import average_gradients, share_weights

WIDTHS, STRIDES = (64, 96, 128), (1, 2, 1)
SCORE = 0.25  # weight of the critic's verdict beside the distance of its features


class Critic(nn.Module):
    """(N, C, h, w) -> a score for each place, and the features of every layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (channels, *WIDTHS)
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 3, stride, padding=1))
            for a, b, stride in zip(widths, WIDTHS, STRIDES, strict=False)
        )
        self.score = spectral_norm(nn.Conv2d(WIDTHS[-1], 1, 3, padding=1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.score(x), features


class SharpnessTerm:
    """Trains a critic and gives the gradient that makes estimates look like targets to it.

    share: size of that gradient beside the reconstruction's, which fixes the balance whatever the
        critic's scale is.
    """

    def __init__(self, channels: int, share: float, rate: float = 3e-4) -> None:
        self.critic, self.share = Critic(channels), share
        share_weights(self.critic)
        self._optimiser = torch.optim.AdamW(
            self.critic.parameters(), rate, betas=(0.5, 0.95), weight_decay=0.01
        )

    def push(self, fake: Tensor, real: Tensor, leaf: Tensor, beside: Tensor) -> Tensor:
        """d term / d `leaf`, which `fake` was made from, scaled to `share` of `beside`."""
        with torch.autocast(real.device.type, torch.bfloat16):
            score, features = self.critic(fake)
            with torch.no_grad():
                _, wanted = self.critic(real)
            distances = [(a - b).abs().mean() for a, b in zip(features, wanted, strict=True)]
            term = torch.stack(distances).mean() - SCORE * score.mean()
        (push,) = torch.autograd.grad(term.float(), leaf)
        scale: Tensor = self.share * beside.norm() / (push.norm() + 1e-12)
        return push * scale

    def learn(self, fake: Tensor, real: Tensor, other: Tensor | None = None) -> float:
        """One step of the critic; `other` is real too but does not fit what it was asked for."""
        with torch.autocast(real.device.type, torch.bfloat16):
            of_real, of_fake = self.critic(real)[0], self.critic(fake.detach())[0]
            of_other = of_fake if other is None else self.critic(other)[0]
        wrong = 0.7 * F.relu(1 + of_fake.float()).mean() + 0.3 * F.relu(1 + of_other.float()).mean()
        loss = F.relu(1 - of_real.float()).mean() + wrong
        self._optimiser.zero_grad()
        loss.backward()
        average_gradients(self.critic)
        self._optimiser.step()
        return loss.item()


class LatentSharpness:
    """The term on what the denoiser edits; the critic also sees the source and the lip pose, so
    that lips have to fit them.
    """

    def __init__(self, config: DenoiserConfig, share: float, rate: float = 3e-4) -> None:
        channels = 2 * config.latent_channels + config.pose_components
        self._term = SharpnessTerm(channels, share, rate)
        self._edited = config.edited

    def _seen(self, latent: Tensor, source: Tensor, pose: Tensor) -> Tensor:
        top, bottom, left, right = self._edited
        both = torch.cat([latent, source], 2)[..., top:bottom, left:right].flatten(0, 1)
        where = pose[:, :, None, None].expand(-1, -1, bottom - top, right - left)
        return torch.cat([both, where], 1)

    def gradient(
        self, estimate: Tensor, target: Tensor, source: Tensor, pose: Tensor, beside: Tensor
    ) -> tuple[Tensor, float]:
        """d term / d estimate (B, L, C, h, w), and the critic's loss. pose (B L, P)."""
        leaf = estimate.detach().requires_grad_(True)
        fake, real = self._seen(leaf, source, pose), self._seen(target, source, pose)
        push = self._term.push(fake, real, leaf, beside)
        other = self._seen(target, source, pose.roll(len(pose) // 2, 0))  # another clip's pose
        return push, self._term.learn(fake, real, other)
