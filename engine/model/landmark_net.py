"""The landmark net: a face patch in, 39 points and a confidence out, in half a millisecond."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.face.points import COUNT


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution; the batch norm folds into it on export."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """x + two convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


class LandmarkNet(nn.Module):
    """Regresses points from all cells of a coarse map: a cell that sees no landmark still votes."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        w = width
        self.features = nn.Sequential(
            conv(3, w, 2),  # (B, w, 48, 48)
            conv(w, 2 * w, 2),  # (B, 2w, 24, 24)
            conv(2 * w, 2 * w),
            conv(2 * w, 4 * w, 2),  # (B, 4w, 12, 12)
            Residual(4 * w),
            conv(4 * w, 6 * w, 2),  # (B, 6w, 6, 6)
            Residual(6 * w),
        )
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(6 * w * 36, 160), nn.ReLU(inplace=True))
        self.points = nn.Linear(160, 2 * COUNT)
        self.confidence = nn.Linear(160, 1)

    def forward(self, patch: Tensor) -> tuple[Tensor, Tensor]:
        """Patch (B, 3, 96, 96) in -1..1 -> points (B, 39, 2) in patch units, face logit (B,)."""
        return self.read(self.features(patch))

    def read(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Points and logit of the last map (B, 6w, 6, 6)."""
        hidden = self.hidden(features)  # (B, 160)
        points = 0.5 + 0.25 * self.points(hidden).reshape(-1, COUNT, 2)
        return points, self.confidence(hidden)[:, 0]
