"""Hours of voices in memory as mel columns, from which training draws windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.audio import (
    COLUMNS_PER_FRAME,
    EARLIER,
    FUTURE,
    MEL_COLUMNS,
    N_MELS,
    PAST,
    SILENCE_LEVEL,
    frame_column,
)
from training.splits import refuse_held_out_names

QUIET_BEFORE = 0.2  # share of windows before whose columns nothing was heard: a call begins
PAUSE = (20, 200)  # columns
_BEFORE = EARLIER * COLUMNS_PER_FRAME


@dataclass(frozen=True)
class VoiceTable:
    """Frames of many recordings, their windows cut when drawn: mel columns (C, 80) float16, the
    column at which each frame's window starts (F,), poses (F, P), and how much a frame counts (F,).
    """

    columns: Tensor
    first: Tensor
    pose: Tensor
    weight: Tensor

    @classmethod
    def read(cls, path: Path, names: list[str] | None = None) -> VoiceTable:
        """`names`, or all recordings of the file; frames without a weight count once.

        Raises:
            HeldOutError: one of them is of a clip that training must not hear.
        """
        stored = np.load(path)
        chosen = [n for n in names or _recordings(stored) if f"pose/{n}" in stored]
        refuse_held_out_names(chosen, path.name)
        gap = np.full((PAST + FUTURE, N_MELS), SILENCE_LEVEL, np.float16)
        parts, firsts, poses, weights, at = [gap], [], [], [], len(gap)
        for name in chosen:
            mel, pose = stored[f"mel/{name}"].astype(np.float16).T, stored[f"pose/{name}"]
            count = len(pose)
            firsts.append(at + frame_column(0) - PAST + COLUMNS_PER_FRAME * np.arange(count))
            poses.append(pose.astype(np.float32))
            key = f"weight/{name}"
            weights.append(stored[key] if key in stored else np.ones(count, np.float16))
            parts += [mel, gap]
            at += len(mel) + len(gap)
        return cls(
            torch.from_numpy(np.concatenate(parts)),
            torch.from_numpy(np.concatenate(firsts)),
            torch.from_numpy(np.concatenate(poses)),
            torch.from_numpy(np.concatenate(weights).astype(np.float32)),
        )

    def draw(self, count: int, paused: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
        """Windows (N, 80, 64) float32, poses (N, P) and weights (N,) of random frames. What a
        window tells of the time before its recording is the end of another one; in the share
        `paused` nothing was heard for a while, up to some column before the frame's own.
        """
        pick = torch.randint(len(self.first), (count,))
        at = self.first[pick][:, None] + torch.arange(-_BEFORE, MEL_COLUMNS)
        heard = self.columns[at % len(self.columns)].float()
        heard[silenced(count, paused)] = SILENCE_LEVEL
        early = heard[:, :_BEFORE].unflatten(1, (EARLIER, COLUMNS_PER_FRAME)).mean(2)
        early[torch.rand(count) < QUIET_BEFORE] = SILENCE_LEVEL
        mel = torch.cat([early, heard[:, _BEFORE:]], 1).transpose(1, 2)
        return mel, self.pose[pick], self.weight[pick]


def silenced(count: int, share: float) -> Tensor:
    """Columns that a pause covers, bool (N, C), in windows with all that is before them: a sentence
    that begins in its middle, as after a mute.
    """
    column = torch.arange(_BEFORE + MEL_COLUMNS)
    end = torch.randint(_BEFORE + PAST + 1, (count, 1))
    start = end - torch.randint(*PAUSE, (count, 1))
    return (start <= column) & (column < end) & (torch.rand(count, 1) < share)


def _recordings(stored: Mapping[str, np.ndarray]) -> list[str]:
    return [key.removeprefix("pose/") for key in stored if key.startswith("pose/")]
