"""Training windows drawn from the model's own queue, beside those of `windows` that are drawn from
the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.flow import level_grid
from training.windows import SLOTS, Window, WindowSampler, another_moment


@dataclass
class _Run:
    """One stream of the training queue: where it stands in its clip, and what its slots hold."""

    target: Tensor  # (T, 16, h, w)
    source: Tensor
    rows: Tensor  # (T,)
    at: int  # frame of the newest slot
    eps: Tensor
    shift: float  # of the noise levels
    estimates: Tensor  # (L, 16, h, w): what each slot holds before noise


class QueueSampler(WindowSampler):
    """Streams run through whole clips as the live queue does, so that older slots hold the model's
    own estimates.

    Training on true content alone teaches the model to trust what x shows; live, x shows its own
    mistakes (exposure bias).
    Call `draw_queue`, train on the window, then `advance` with the model's x0.
    """

    def __init__(self, *args: Any, streams: int = 16, **kwargs: Any) -> None:
        with torch.device("cpu"):  # whatever the default device is: latents lie in memory
            super().__init__(*args, **kwargs)
            self._runs = [self._begin(staggered=True) for _ in range(streams)]

    def _begin(self, staggered: bool = False) -> _Run:
        c, rng, pair = self.config, self.rng, self.pair()
        first = int(rng.integers(0, max(1, len(pair.target) - 25)))
        source = pair.source
        # All of the queue's levels are high: arbitrary pairs only where any level may have them.
        if c.pair_threshold > c.tau and rng.random() < c.arbitrary_share:
            source = pair.target.roll(another_moment(len(source), rng), 0)
        target, source = pair.target[first:].float(), source[first:].float()
        row = pair.row + first
        at = int(rng.integers(0, min(20, len(target)))) if staggered else 0
        eps = torch.randn(target.shape[1:], generator=self.generator)
        still = source[at][None].expand(SLOTS, -1, -1, -1).clone()
        shift = float(rng.normal(0, 0.03))
        return _Run(target, source, row + torch.arange(len(target)), at, eps, shift, still)

    def on_queue(self, share: float) -> bool:
        """Is the next step one on the queue."""
        return bool(self.rng.random() < share)

    def window(self, queue: bool, batch: int, device: str) -> Window:
        """The next window, on `device`."""
        with torch.device("cpu"):
            return (self.draw_queue() if queue else self.draw(batch)).to(device)

    def draw_queue(self) -> Window:
        grid = torch.from_numpy(level_grid(SLOTS, self.config.tau, self.config.last))
        back = torch.arange(SLOTS - 1, -1, -1)
        targets, sources, xs, levels, rows = [], [], [], [], []
        for run in self._runs:
            frames = (run.at - back).clamp(min=0)
            run.estimates[-1] = run.source[run.at]
            level = (grid + run.shift).clamp(0.05, max(0.95, self.config.tau))
            t = level[:, None, None, None]
            targets.append(run.target[frames])
            sources.append(run.source[frames])
            xs.append((1 - t) * run.estimates + t * run.eps)
            levels.append(level)
            rows.append(run.rows[frames])
        return self.dressed(
            torch.stack(targets),
            torch.stack(sources),
            torch.stack(xs),
            torch.stack(levels),
            torch.stack(rows).flatten(),
        )

    def advance(self, x0: Tensor) -> None:
        """Take the estimates (streams, L, 16, h, w): each stream moves on one frame, a finished
        clip gives way to another.
        """
        x0 = x0.detach().cpu()
        for i, run in enumerate(self._runs):
            run.estimates = torch.cat([x0[i, 1:], x0[i, -1:]]).clone()
            run.at += 1
            if run.at >= len(run.target):
                with torch.device("cpu"):
                    self._runs[i] = self._begin()
