"""The autoencoder: aligned crop <-> latent, 8 times smaller, 16 channels.

Convolutions and ReLU only (no normalisation layer), so that both halves quantise to symmetric int8
and parse in TensorRT.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class AutoencoderConfig:
    """Channel counts by resolution: widths[0] at 1/2, [1] at 1/4, [2] at 1/8 of the crop."""

    latent_channels: int = 16
    encoder_widths: tuple[int, int, int] = (32, 64, 128)
    decoder_widths: tuple[int, int, int] = (32, 64, 128)
    decoder_blocks: tuple[int, int, int] = (1, 1, 2)


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(F.relu(self.first(x))))


class Encoder(nn.Module):
    """crop (N, 3, H, W) in -1..1 -> z (N, 16, H/8, W/8), about unit scale once `scale` is set."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        a, b, c = config.encoder_widths
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, a, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(a, b, 3, stride=2, padding=1),
            nn.ReLU(),
            Residual(b),
            nn.Conv2d(b, c, 3, stride=2, padding=1),
            nn.ReLU(),
            Residual(c),
            nn.Conv2d(c, config.latent_channels, 3, padding=1),
        )
        self.register_buffer("scale", torch.ones(1))

    def forward(self, crop: Tensor) -> Tensor:
        return self.layers(crop) * self.scale


class Decoder(nn.Module):
    """z (N, 16, h, w) -> crop (N, 3, 8h, 8w), about -1..1 (not clamped)."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        a, b, c = config.decoder_widths
        na, nb, nc = config.decoder_blocks
        self.layers = nn.Sequential(
            nn.Conv2d(config.latent_channels, c, 3, padding=1),
            nn.ReLU(),
            *[Residual(c) for _ in range(nc)],
            nn.Conv2d(c, b * 4, 1),
            nn.PixelShuffle(2),
            *[Residual(b) for _ in range(nb)],
            nn.Conv2d(b, a * 4, 1),
            nn.PixelShuffle(2),
            *[Residual(a) for _ in range(na)],
            nn.Conv2d(a, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )
        self.register_buffer("scale", torch.ones(1))

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z / self.scale)


class Autoencoder(nn.Module):
    def __init__(self, config: AutoencoderConfig | None = None) -> None:
        super().__init__()
        self.config = config or AutoencoderConfig()
        self.encoder = Encoder(self.config)
        self.decoder = Decoder(self.config)

    def set_scale(self, latent_std: float) -> None:
        """Fix the latent's scale so that z has unit standard deviation."""
        self.encoder.scale.fill_(1.0 / latent_std)
        self.decoder.scale.fill_(1.0 / latent_std)
