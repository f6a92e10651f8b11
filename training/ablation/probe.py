"""Reads the mouth's opening off decoded crops: a small convolutional regression, fitted once to
true crops and judged on faces that it has not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.model.autoencoder import Decoder
from training.sync_figures import Judged, pooled

MOUTH = (0.28, 0.84, 0.22, 0.78)  # top, bottom, left, right in crop units
SIDE = 36
BATCH, RATE = 128, 2e-3
Track = NDArray[np.float64]


@dataclass(frozen=True)
class Mouths:
    """Mouths decoded: small (N, 3, 36, 36) for the probe; and their fine detail (N,), the mean
    high-pass of grey levels.
    """

    small: Tensor
    detail: Tensor


def mouth_of(pictures: Tensor) -> Tensor:
    """The mouth's part of crops (N, 3, S, S)."""
    size = pictures.shape[-1]
    top, bottom, left, right = (round(edge * size) for edge in MOUTH)
    return pictures[..., top:bottom, left:right]


@torch.no_grad()
def decoded(decoder: Decoder, z: Tensor, batch: int = 64) -> Iterator[Tensor]:
    """Latents (N, 16, h, w) -> mouths in grey levels 0..255, (n, 3, H, W) a batch."""
    for part in z.split(batch):
        with torch.autocast("cpu", torch.bfloat16):
            pictures = decoder(part.float().contiguous(memory_format=torch.channels_last))
        yield mouth_of(pictures.float().clamp(-1, 1)) * 127.5 + 127.5


def seen_mouths(decoder: Decoder, z: Tensor) -> Mouths:
    small, detail = [], []
    for mouths in decoded(decoder, z):
        small.append(F.interpolate(mouths, size=(SIDE, SIDE), mode="area") / 127.5 - 1)
        grey = mouths.mean(1, keepdim=True)
        smooth = F.avg_pool2d(F.pad(grey, (2, 2, 2, 2), mode="replicate"), 5, 1)
        detail.append((grey - smooth).abs().mean((1, 2, 3)))
    return Mouths(torch.cat(small), torch.cat(detail))


class Probe(nn.Module):
    """mouths (N, 3, 36, 36) -> openings (N,), in deviations from their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 24, 5, 2, 2),
            nn.ReLU(),
            nn.Conv2d(24, 48, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(48, 64, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * 25, 96),
            nn.ReLU(),
            nn.Linear(96, 1),
        )

    def forward(self, mouths: Tensor) -> Tensor:
        return self.layers(mouths)[:, 0]

    @torch.no_grad()
    def read(self, mouths: Tensor) -> Track:
        return np.concatenate([self(part).double().numpy() for part in mouths.split(512)])


def fit(mouths: Tensor, openings: Tensor, seed: int, steps: int) -> Probe:
    """mouths (N, 3, 36, 36), openings (N,). Light, contrast and place are varied."""
    torch.manual_seed(seed)
    probe = Probe()
    wanted = (openings - openings.mean()) / openings.std()
    optimiser = torch.optim.AdamW(probe.parameters(), RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        picked = torch.randint(len(mouths), (BATCH,))
        seen = mouths[picked] * (1 + 0.15 * torch.randn(BATCH, 1, 1, 1))
        seen = seen + 0.1 * torch.randn(BATCH, 3, 1, 1) + 0.02 * torch.randn_like(seen)
        shift = torch.randint(-2, 3, (2,)).tolist()
        loss = F.smooth_l1_loss(probe(seen.roll(shift, (2, 3))), wanted[picked], beta=0.5)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return probe.eval()


def trust(probe: Probe, mouths: list[Tensor], truths: list[Track]) -> tuple[float, float]:
    """On faces held out, one entry a face: pooled r with the true opening, and the deviation that
    it shows for one of the truth's.
    """
    judged = [Judged(probe.read(m), t, t) for m, t in zip(mouths, truths, strict=True)]
    figures = pooled(judged)
    return figures.r, figures.amplitude
