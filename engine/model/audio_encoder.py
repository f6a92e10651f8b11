"""The audio encoder: the log-mel window of a video frame -> sound tokens and a lip pose.

Columns that have not been heard yet carry a learned vector, in training exactly as live. The lip
pose becomes one more token, so
that the denoiser can be driven by a pose alone (any picture of a mouth has one) or by sound alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class AudioEncoderConfig:
    mel_bands: int = 80
    mel_columns: int = 32
    width: int = 192
    sound_tokens: int = 4
    pose_components: int = 10
    token_width: int = 192
    earlier: int = 32  # means before the columns
    earlier_width: int = 64


class Earlier(nn.Module):
    """What came before, mel means (N, 80, H) -> a scale and a shift, (N, width) each, of what is
    made of the columns at hand (FiLM, Perez et al. 2018); none at the start of training.
    """

    def __init__(self, c: AudioEncoderConfig) -> None:
        super().__init__()
        width = c.earlier_width
        self.stem = nn.Conv1d(c.mel_bands, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=d, dilation=d) for d in (1, 2, 4)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.hidden = nn.Linear(3 * width, c.width)
        self.out = nn.Linear(c.width, 2 * c.width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        x = F.gelu(self.stem(mel))
        for block, norm in zip(self.blocks, self.norms, strict=True):
            x = x + F.gelu(block(norm(x.transpose(1, 2)).transpose(1, 2)))
        pooled = torch.cat([x[:, :, -1], x.mean(2), x.amax(2)], 1)
        scale, shift = self.out(F.gelu(self.hidden(pooled))).chunk(2, 1)
        return scale, shift


class AudioEncoder(nn.Module):
    def __init__(self, config: AudioEncoderConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or AudioEncoderConfig()
        self.unheard = nn.Parameter(torch.randn(c.mel_bands) * 0.1)
        self.stem = nn.Conv1d(c.mel_bands + 1, c.width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Conv1d(c.width, c.width, 3, padding=d, dilation=d) for d in (1, 2, 4)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(c.width) for _ in range(3))
        self.pool = nn.Conv1d(c.width, c.width, 8, stride=8)
        self.pose_hidden = nn.Linear(c.width * c.mel_columns // 8, c.width)
        self.pose_out = nn.Linear(c.width, c.pose_components)
        self.earlier = Earlier(c)
        self.dropout = nn.Dropout(0.2)

    def features(self, mel: Tensor, heard: Tensor) -> Tensor:
        """mel (N, 80, M), heard (N, M) -> (N, K, width)."""
        known = heard[:, None]
        mel = mel * known + self.unheard[None, :, None] * (1 - known)
        x = F.gelu(self.stem(torch.cat([mel, known], 1)))  # (N, width, M)
        for block, norm in zip(self.blocks, self.norms, strict=True):
            x = x + F.gelu(block(norm(x.transpose(1, 2)).transpose(1, 2)))
        return F.gelu(self.pool(x)).transpose(1, 2)

    def forward(self, mel: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """mel (N, 80, H + M), heard (N, M) 0/1 -> sound (N, K, width), pose (N, P)."""
        earlier, mel = mel.split([self.config.earlier, self.config.mel_columns], 2)
        sound = self.features(mel, heard)
        scale, shift = self.earlier(earlier)
        hidden = F.gelu(self.pose_hidden(self.dropout(sound.flatten(1))) * (1 + scale) + shift)
        return sound, self.pose_out(self.dropout(hidden))
