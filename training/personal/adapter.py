"""The adapter: low-rank additions to the denoiser's weights (LoRA, Hu et al. 2021, arXiv
2106.09685), which merge into them and cost nothing when they run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from engine.model.dit import Denoiser

# What sound and pose mean stays the same for everybody; so does what a noise level is.
FIXED = ("conditioner", "level", "strength", "near_mouth")
EMA = 0.995


class LowRank(nn.Module):
    """weight + (up @ down) in the weight's shape; starts as nothing."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        inputs = weight[0].numel()
        self.up = nn.Parameter(torch.zeros(len(weight), rank))
        self.down = nn.Parameter(torch.randn(rank, inputs) / inputs**0.5)
        self.on = True

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.up @ self.down).view_as(weight) if self.on else weight


class Adapter:
    """Puts LowRank parametrisations on a frozen denoiser and keeps their moving average."""

    def __init__(self, model: Denoiser, rank: int) -> None:
        self.model = model.requires_grad_(False)
        self._parts: dict[str, LowRank] = {}
        for name, module in list(model.named_modules()):
            if not isinstance(module, nn.Linear | nn.Conv2d) or name.split(".")[0] in FIXED:
                continue
            part = LowRank(module.weight, rank)
            parametrize.register_parametrization(module, "weight", part)
            self._parts[name] = part
        self.parameters = [p for part in self._parts.values() for p in part.parameters()]
        self._average = [p.detach().clone() for p in self.parameters]
        self._updates = 0

    @contextmanager
    def off(self) -> Iterator[None]:
        """The base alone."""
        for part in self._parts.values():
            part.on = False
        try:
            yield
        finally:
            for part in self._parts.values():
                part.on = True

    @torch.no_grad()
    def remember(self) -> None:
        """Take this step's weights into the average."""
        self._updates += 1
        keep = min(EMA, (1 + self._updates) / (10 + self._updates))
        torch._foreach_lerp_(self._average, self.parameters, 1 - keep)

    @torch.no_grad()
    def merged(self) -> dict[str, NDArray[np.float16]]:
        """Fold the average into the model, which is plain again, and return it by name.

        float16 as it is stored: what is merged is what a reader of the file would merge.
        """
        stored = {}
        for own, kept in zip(self.parameters, self._average, strict=True):
            own.copy_(kept.half())
        for name, part in self._parts.items():
            stored[f"{name}.up"] = part.up.half().numpy()
            stored[f"{name}.down"] = part.down.half().numpy()
            parametrize.remove_parametrizations(self.model.get_submodule(name), "weight")
        self._parts.clear()
        return stored
