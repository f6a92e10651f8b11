"""Checkpoints: EMA weights and the step, written whole or not at all. No optimiser state: resuming
warms it up anew.
"""

from __future__ import annotations

import argparse
import io
import pickle
from copy import deepcopy
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

# What the unpickler comes upon in a file of another kind.
_NO_CHECKPOINT = (
    *(RuntimeError, EOFError, LookupError, TypeError, ValueError),
    pickle.UnpicklingError,
)


class CheckpointError(OSError):
    """A checkpoint that cannot be read or written, or a file that is none; one line says which."""


@dataclass(frozen=True)
class Checkpoint:
    """config: the network's sizes as a table, None in checkpoints older than presets."""

    step: int
    weights: dict[str, torch.Tensor]
    facts: dict[str, Any]
    config: dict[str, Any] | None = None


def save(path: Path, model: nn.Module, step: int, **facts: Any) -> None:
    """Write atomically: a run that is killed, or finds no space, leaves the checkpoint before.

    Raises:
        CheckpointError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    config: Any = getattr(model, "config", None)
    told = asdict(config) if is_dataclass(config) and not isinstance(config, type) else None
    _write(path, Checkpoint(step, model.state_dict(), facts, told))


def _write(path: Path, stored: Checkpoint) -> None:
    content, partial = io.BytesIO(), path.with_suffix(".part")
    torch.save(vars(stored), content)  # to a file it would tell of a full disk in riddles
    try:
        partial.write_bytes(content.getbuffer())
        partial.rename(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: {error.strerror}") from error


def load(path: Path) -> Checkpoint:
    """Raises CheckpointError."""
    try:
        return Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error
    except _NO_CHECKPOINT as error:
        raise CheckpointError(f"{path} is no checkpoint of a training stage") from error


class Ema:
    """Exponential moving average of the weights, with a short memory while training is young."""

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        self.model = deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self._updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self._updates += 1
        keep = min(self.decay, (1 + self._updates) / (20 + self._updates))
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - keep)
        for own, new in zip(self.model.buffers(), model.buffers(), strict=True):
            own.copy_(new)


def halve(source: Path, target: Path) -> None:
    """Copy a checkpoint with float16 weights: half the size, enough to go on from."""
    stored = load(source)
    weights = {
        k: v.half() if v.is_floating_point() and v.numel() > 1 else v
        for k, v in stored.weights.items()
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    _write(target, replace(stored, weights=weights))


def average(sources: list[Path], target: Path, shares: list[float] | None = None) -> None:
    """The mean of a run's snapshots, which is steadier than each of them (Izmailov et al. 2018).

    shares: how much each counts, in any unit; all alike without. Step and facts are the last one's.

    Raises:
        ValueError: not one share above 0 for each source, or other networks among them.
    """
    shares = shares or [1.0] * len(sources)
    if len(shares) != len(sources) or min(shares) <= 0:
        raise ValueError(f"{len(sources)} checkpoints need as many shares above 0, not {shares}")
    stored = [load(source) for source in sources]
    mixed = {
        name: sum(
            share / sum(shares) * one.weights[name].float()
            for share, one in zip(shares, stored, strict=True)
        )
        for name in _shapes(sources, stored)
    }
    _write(target, replace(stored[-1], weights=mixed))


def _shapes(sources: list[Path], stored: list[Checkpoint]) -> dict[str, torch.Size]:
    """Of every weight, the same in all of them."""
    first, *others = ({k: v.shape for k, v in one.weights.items()} for one in stored)
    for path, shapes in zip(sources[1:], others, strict=True):
        if shapes != first:
            raise ValueError(f"{path} holds another network than {sources[0]}")
    return first


def main(argv: list[str] | None = None) -> int:
    """Put the checkpoints that further training starts from into the tree; or mix them."""
    parser = argparse.ArgumentParser(prog="training.checkpoint", description=main.__doc__)
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "checkpoints")
    parser.add_argument("--mean", type=Path, help="write the sources' mean here instead")
    parser.add_argument("--shares", type=float, nargs="+", help="of each source in --mean")
    args = parser.parse_args(argv)
    try:
        if args.mean:
            average(args.sources, args.mean, args.shares)
            return 0
        for source in args.sources:
            halve(source, args.output / source.name)
            print(f"{source.name}: {(args.output / source.name).stat().st_size / 1e6:.1f} MB")
    except (OSError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
