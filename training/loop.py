"""What training stages share: options, the start of a worker, and the loop with its schedule,
averaged gradients, EMA, progress, curves and checkpoints.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, NoReturn, get_type_hints

import numpy as np
import torch
from torch import nn

from training import checkpoint
from training.curve import Curve
from training.parallel import agreed, average_gradients, share_weights
from training.preset import DEVICES, PresetError, load_preset
from training.settings import Stage, Stages

WARM_UP = 200  # steps
SAVE_EVERY = 400
SHOW_EVERY = 100
ABOVE_ZERO = ("minutes", "rate", "batch", "threads", "workers")


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
        share_weights(model)
        self._ema = checkpoint.Ema(model)
        self._optimiser = torch.optim.AdamW(
            model.parameters(), args.rate, betas=(0.9, 0.98), weight_decay=0.02, fused=True
        )
        self._shown: deque[dict[str, float]] = deque(maxlen=SHOW_EVERY)
        self._curve = Curve(args.run, start)

    def __iter__(self) -> Iterator[int]:
        self._begin = time.monotonic()
        while (done := agreed(self._done(), self.rank)) < 1:
            rate = min(1.0, (self.step + 1) / WARM_UP) * max(0.0, 1 - done) ** 0.7
            for group in self._optimiser.param_groups:
                group["lr"] = self.args.rate * rate + 2e-6
            yield self.step
        if self.step % SHOW_EVERY:
            self._show()
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
        if self.step % SHOW_EVERY == 0:
            self._show()
        if self.step % SAVE_EVERY == 0:
            self._save()

    def _show(self) -> None:
        if self.rank:
            return
        means = {k: float(np.mean([s[k] for s in self._shown])) for k in self._shown[-1]}
        self._shown.clear()
        figures = "  ".join(f"{k} {v:.4f}" for k, v in means.items())
        step, spent = self._start + self.step, time.monotonic() - self._begin
        print(f"{step}  {spent:.0f} s  {figures}", flush=True)
        self._curve.add(step, means)

    def _save(self) -> None:
        if self.rank == 0:
            step = self._start + self.step
            checkpoint.save(self.args.run, self._ema.model, step, **self._facts)
            self._curve.save()


def add_options(parser: argparse.ArgumentParser, stage: str) -> None:
    """--data, --run, --preset, --device, and every setting of the stage (`training.settings`)."""
    parser.add_argument("--data", type=Path, required=True, help="folder with the training data")
    parser.add_argument("--run", type=Path, required=True, help="checkpoint to write or go on from")
    parser.add_argument("--preset", default="tiny", help="tiny, small, base, or a .toml file")
    parser.add_argument("--device", choices=DEVICES, help="default: the preset's")
    kinds = get_type_hints(type(getattr(Stages(), stage)))
    for setting in _settings(stage):
        flag, kind = "--" + setting.name.replace("_", "-"), kinds[setting.name]
        parser.add_argument(flag, type=kind, help=setting.metadata.get("help"))


def read_options(
    parser: argparse.ArgumentParser, stage: str, argv: list[str] | None
) -> argparse.Namespace:
    """What the command line does not say, the preset does; `args.preset` is the loaded preset.

    Bad input ends the command: one line, exit code 2.
    """
    args = parser.parse_args(argv)
    try:
        args.preset = load_preset(args.preset)
    except PresetError as error:
        refuse(parser, error)
    told = getattr(args.preset.train, stage)
    for setting in _settings(stage):
        if getattr(args, setting.name) is None:
            setattr(args, setting.name, getattr(told, setting.name))
        _check(parser, setting.name, getattr(args, setting.name))
    args.device = args.device or args.preset.device
    if args.device == "cuda" and not torch.cuda.is_available():
        refuse(parser, "no CUDA device here (torch.cuda.is_available() is false): --device cpu")
    if args.device == "cuda" and getattr(args, "workers", 1) > 1:
        refuse(parser, "one worker trains on cuda: --workers 1")
    return args


def _check(parser: argparse.ArgumentParser, name: str, value: float) -> None:
    if not value >= 0 or (value == 0 and name in ABOVE_ZERO):
        refuse(parser, f"--{name.replace('_', '-')} {value} is too little")


def refuse(parser: argparse.ArgumentParser, error: Exception | str) -> NoReturn:
    """End the command with one line and exit code 2."""
    parser.exit(2, f"{parser.prog}: {error}\n")


def _settings(stage: str) -> tuple[Field[Any], ...]:
    settings: Stage = getattr(Stages(), stage)
    return fields(settings)


def begin(rank: int, args: argparse.Namespace) -> int:
    """The start of a worker: its threads, its device, and its seed, which is returned: another
    where a run goes on, or each part of it would draw the same windows.
    """
    seed = args.seed * 100 + rank
    if args.run.exists():
        with suppress(OSError):  # told where the weights are read
            seed += 1000 * checkpoint.load(args.run).step
    torch.manual_seed(seed)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    if args.device != "cpu":
        torch.set_default_device(args.device)
    return seed
