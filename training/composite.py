"""What the viewer sees, in torch: the source's pixels moved, the decoded edit where they are not
kept. `engine.face.paste` does the same at the frame's resolution.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def moved_source(source: Tensor, motion: Tensor) -> Tensor:
    """source (N, 3, S, S) looked up where motion (N, 2, s, s), crop units, points."""
    size = source.shape[-1]
    motion = F.interpolate(motion, size=size, mode="bilinear", align_corners=False)
    at = (torch.arange(size) + 0.5) / size
    x = 2 * (at[None, None, :] + motion[:, 0]) - 1
    y = 2 * (at[None, :, None] + motion[:, 1]) - 1
    where = torch.stack([x, y], -1)
    return F.grid_sample(source, where, padding_mode="border", align_corners=False)


def composite(source: Tensor, edit: Tensor, motion: Tensor, kept: Tensor) -> Tensor:
    """source crop and decoded edit (N, 3, S, S), motion (N, 2, s, s), kept (N, 1, s, s) -> what is
    shown (N, 3, S, S).
    """
    kept = F.interpolate(kept, size=source.shape[-1], mode="bilinear", align_corners=False)
    return kept * moved_source(source, motion) + (1 - kept) * edit
