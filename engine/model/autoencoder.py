"""The autoencoder: aligned crop of 192 px <-> latent, 12 times smaller, 16 channels.

Pixels are folded 3 x 3 into channels at once: what a crop costs depends on the latent's size, not
on its own. Convolutions and ReLU only (no normalisation layer), so that both halves quantise to
symmetric int8 and parse in TensorRT.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from engine.model.motion import MotionConfig, MotionNet
from engine.model.residual import Residual


@dataclass(frozen=True)
class AutoencoderConfig:
    """`fold` x `fold` pixels become channels; widths[0] lies at 4 times the latent's side, [1] at
    twice, [2] at its own.
    """

    fold: int = 3
    latent_side: int = 16
    latent_channels: int = 16
    encoder_widths: tuple[int, int, int] = (32, 64, 128)
    decoder_widths: tuple[int, int, int] = (32, 64, 128)
    decoder_blocks: tuple[int, int, int] = (1, 1, 2)
    motion: MotionConfig = field(default_factory=MotionConfig)

    @property
    def factor(self) -> int:
        """Crop pixels a latent pixel."""
        return 4 * self.fold

    @property
    def crop_px(self) -> int:
        return self.factor * self.latent_side


class Encoder(nn.Module):
    """crop (N, 3, H, W) in -1..1 -> z (N, 16, H/12, W/12), about unit scale once `scale` is set."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        a, b, c = config.encoder_widths
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(config.fold),
            nn.Conv2d(3 * config.fold**2, a, 3, padding=1),
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
    """z (N, 16, h, w) -> crop (N, 3, 12h, 12w), about -1..1 (not clamped)."""

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
            nn.Conv2d(a, 3 * config.fold**2, 3, padding=1),
            nn.PixelShuffle(config.fold),
        )
        self.register_buffer("scale", torch.ones(1))

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z / self.scale)


class Autoencoder(nn.Module):
    """Encoder and decoder, and the motion net that moves the source's pixels to fit an edit."""

    def __init__(self, config: AutoencoderConfig | None = None) -> None:
        super().__init__()
        self.config = config or AutoencoderConfig()
        self.encoder = Encoder(self.config)
        self.decoder = Decoder(self.config)
        self.motion = MotionNet(self.config.motion)

    def set_scale(self, latent_std: float) -> None:
        """Fix the latent's scale so that z has unit standard deviation."""
        self.encoder.scale.fill_(1.0 / latent_std)
        self.decoder.scale.fill_(1.0 / latent_std)
