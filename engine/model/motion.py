"""The motion net: how the source's own pixels move to make the edit, and where they cannot.

Lips and skin are then the frame's, at the frame's resolution, whatever the crop's is; decoded
pixels show only where the source has none: the inside of a mouth that was closed. The idea is
that of appearance flow (Zhou et al. 2016, arXiv 1605.03557) and of first-order motion models'
occlusion maps (Siarohin et al. 2019, arXiv 2003.00196), read off two latents.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.model.residual import Residual


@dataclass(frozen=True)
class MotionConfig:
    """widths[0] at the latent's resolution, [1] at twice; the field lies at four times."""

    latent_channels: int = 16
    widths: tuple[int, int] = (96, 48)
    blocks: tuple[int, int] = (2, 1)
    reach: float = 0.15  # largest motion, crop units
    first_kept: float = 3.0  # logit of `kept` before training: nearly all of the source
    first_covered: float = -4.0  # of `covered`: nothing stands before the face


class MotionNet(nn.Module):
    """z and source (N, 16, h, w), edited and source latent -> motion (N, 2, 4h, 4w), kept and
    covered (N, 1, 4h, 4w).

    motion: x and y, crop units, from a pixel of the edit to where the source shows it. kept: 0..1,
    how much of what is found there shows; the rest is the decoded edit. covered: 0..1, whether
    something stands before the face, which stays as the source shows it.
    """

    def __init__(self, config: MotionConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or MotionConfig()
        a, b = c.widths
        self.layers = nn.Sequential(
            nn.Conv2d(2 * c.latent_channels, a, 3, padding=1),
            nn.ReLU(),
            *[Residual(a) for _ in range(c.blocks[0])],
            nn.Conv2d(a, b * 4, 1),
            nn.PixelShuffle(2),
            *[Residual(b) for _ in range(c.blocks[1])],
            nn.Conv2d(b, 4 * 4, 3, padding=1),
            nn.PixelShuffle(2),
        )
        last = self.layers[-2]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.register_load_state_dict_pre_hook(_grown)

    def forward(self, z: Tensor, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        field = self.layers(torch.cat([z - source, source], 1))
        motion = self.config.reach * torch.tanh(field[:, :2])
        kept = torch.sigmoid(field[:, 2:3] + self.config.first_kept)
        return motion, kept, torch.sigmoid(field[:, 3:] + self.config.first_covered)


def _grown(net: nn.Module, weights: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Weights from before `covered`: the net that it starts from says that nothing is."""
    last = f"layers.{len(net.layers) - 2}"  # type: ignore[arg-type]
    for name, own in net.state_dict().items():
        stored = weights.get(prefix + name)
        if name.startswith(last) and stored is not None and len(stored) == 12:
            weights[prefix + name] = torch.cat([stored, own.new_zeros(4, *stored.shape[1:])])
