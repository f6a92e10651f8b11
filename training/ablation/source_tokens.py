"""The source latent as tokens of its own instead of channels (as X-Dub, the sibling of OmniSync,
has it): twice the tokens. In the table only.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from engine.model.dit import Denoiser, DenoiserConfig


class SourceTokens(Denoiser):
    """Source frames join the window as slots at level 0 that hear nothing."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__(replace(config, most_slots=2 * config.most_slots))

    def forward(
        self, x: Tensor, z: Tensor, level: Tensor, tokens: Tensor, strength: Tensor, mouth: Tensor
    ) -> Tensor:
        """As `Denoiser.forward`."""
        slots = x.shape[1]
        silent = torch.cat([self.conditioner.null_pose[None], self.conditioner.null_sound])
        both = torch.cat([z.to(x.dtype), x], 1)
        edit = super().forward(
            both,
            torch.zeros_like(both),
            torch.cat([torch.zeros_like(level), level], 1),
            torch.cat([silent.to(tokens.dtype).expand_as(tokens), tokens], 1),
            strength,
            mouth,
        )
        return z + edit[:, slots:]
