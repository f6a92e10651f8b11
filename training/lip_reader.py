"""Sync supervision by an expert: a small network learns to read the lip pose off true latents, and
its gradient moves estimates to where it reads the pose of their target.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.model.dit import DenoiserConfig
from training.parallel import average_gradients, share_weights

WIDTH = 64


class LipReading:
    """Trains the reader on targets and gives the gradient of what it misreads in estimates.

    share: size of that gradient beside the reconstruction's.
    """

    def __init__(self, config: DenoiserConfig, share: float, rate: float = 1e-3) -> None:
        top, bottom, left, right = config.edited
        self._edited, self.share = config.edited, share
        places = ((bottom - top + 1) // 2) * ((right - left + 1) // 2)
        self.reader = nn.Sequential(
            nn.Conv2d(config.latent_channels, WIDTH, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(WIDTH * places, config.pose_components),
        )
        share_weights(self.reader)
        self._optimiser = torch.optim.AdamW(self.reader.parameters(), rate, weight_decay=0.05)

    def read(self, latent: Tensor) -> Tensor:
        """(B, L, C, h, w) -> lip poses (B L, P)."""
        top, bottom, left, right = self._edited
        pose: Tensor = self.reader(latent[..., top:bottom, left:right].flatten(0, 1))
        return pose

    def gradient(
        self, estimate: Tensor, target: Tensor, pose: Tensor, beside: Tensor
    ) -> tuple[Tensor, float]:
        """d misreading / d estimate (B, L, C, h, w), and the reader's own loss. pose (B L, P)."""
        leaf = estimate.detach().requires_grad_(True)
        (push,) = torch.autograd.grad(F.smooth_l1_loss(self.read(leaf), pose), leaf)
        scale = self.share * beside.norm() / (push.norm() + 1e-12)
        return push * scale, self._learn(target, pose)

    def _learn(self, target: Tensor, pose: Tensor) -> float:
        loss = F.smooth_l1_loss(self.read(target), pose)
        self._optimiser.zero_grad()
        loss.backward()
        average_gradients(self.reader)
        self._optimiser.step()
        return loss.item()
