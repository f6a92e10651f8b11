"""The loop that teacher and distillation share: schedule, averaged gradients, EMA, progress,
checkpoints.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from training import checkpoint
from training.parallel import agreed, average_gradients

WARM_UP = 200  # steps
SAVE_EVERY = 400
SHOW_EVERY = 100


class Loop:
    """Iterate for the steps of a run; after each backward pass call `update`.

    The learning rate warms up, then falls to nothing over `args.minutes` (or `args.steps`).
    """

    def __init__(
        self, model: nn.Module, rank: int, args: argparse.Namespace, start: int = 0, **facts: Any
    ) -> None:
        self.model, self.rank, self.args = model, rank, args
        self.step = 0
        self._start, self._facts = start, facts
        self._ema = checkpoint.Ema(model)
        self._optimiser = torch.optim.AdamW(
            model.parameters(), args.rate, betas=(0.9, 0.98), weight_decay=0.02, fused=True
        )
        self._shown: deque[dict[str, float]] = deque(maxlen=SHOW_EVERY)

    def __iter__(self) -> Iterator[int]:
        self._begin = time.monotonic()
        while (done := agreed(self._done(), self.rank)) < 1:
            rate = min(1.0, (self.step + 1) / WARM_UP) * max(0.0, 1 - done) ** 0.7
            for group in self._optimiser.param_groups:
                group["lr"] = self.args.rate * rate + 2e-6
            yield self.step
        self._save()

    def _done(self) -> float:
        if self.args.steps:
            return self.step / self.args.steps
        return (time.monotonic() - self._begin) / (60 * self.args.minutes)

    def update(self, shown: dict[str, float]) -> None:
        """One step of the optimiser on the gradients at hand; `shown` is averaged into the log."""
        average_gradients(self.model)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimiser.step()
        self._optimiser.zero_grad()
        self._ema.update(self.model)
        self.step += 1
        self._shown.append(shown)
        if self.step % SHOW_EVERY == 0 and self.rank == 0:
            means = {k: np.mean([s[k] for s in self._shown if k in s]) for k in shown}
            figures = "  ".join(f"{k} {v:.4f}" for k, v in means.items())
            spent = time.monotonic() - self._begin
            print(f"{self._start + self.step}  {spent:.0f} s  {figures}", flush=True)
        if self.step % SAVE_EVERY == 0:
            self._save()

    def _save(self) -> None:
        if self.rank == 0:
            step = self._start + self.step
            checkpoint.save(self.args.run, self._ema.model, step, **self._facts)


def add_options(parser: argparse.ArgumentParser, *, minutes: float, rate: float, seed: int) -> None:
    """What every run of the loop takes."""
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--steps", type=int, default=0, help="stop after so many steps instead")
    parser.add_argument("--batch", type=int, default=16, help="windows a worker and step")
    parser.add_argument("--workers", type=int, default=2, help="processes that share the batch")
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    parser.add_argument("--rate", type=float, default=rate)
    parser.add_argument("--seed", type=int, default=seed)
