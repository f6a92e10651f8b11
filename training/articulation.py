"""Phonemes and their times -> the lip pose of a mouth that speaks them.

Coarticulation as Cohen and Massaro (1993) model it: each phoneme pulls each lip component towards
a target of its own, with a dominance that fades with distance in time; the pose is the weighted
mean. Targets and dominances follow from articulatory features, so that sounds which the one filmed
speaker never made (rounded front vowels, other languages' p b m) get a mouth too; phonemes that he
did make have a small correction of their own.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from training import checkpoint
from training.alignment import read_phonemes
from training.curve import Curve
from training.lip_pose import COMPONENTS, PoseBasis
from training.loop import refuse
from training.networks import MisfitError, restore
from training.phoneme_report import FPS, closures
from training.phonemes import CONSONANTS, FEATURES, VOWELS, Kind, Phoneme, features
from training.sound import gap_direction, grid_names

SYMBOLS = ("", *VOWELS, *CONSONANTS)
_NUMBER = {symbol: k for k, symbol in enumerate(SYMBOLS)}
_VOWEL, _OPENNESS = FEATURES.index("vowel"), FEATURES.index("openness")
DECAY = 0.99  # of the moving average of the weights
PEAK_RATE = 0.02
WARM_UP = 50  # steps
SHOW_EVERY = 250
Poses = NDArray[np.float32]


@dataclass(frozen=True)
class Score:
    """Sentences side by side: features (B, N, F), symbol numbers (B, N), start and end (B, N) s;
    phonemes that fill up have symbol -1.
    """

    features: Tensor
    symbols: Tensor
    start: Tensor
    end: Tensor

    @classmethod
    def of(cls, sentences: list[list[Phoneme]]) -> Score:
        longest = max(len(s) for s in sentences)
        table = torch.zeros(len(sentences), longest, len(FEATURES))
        symbols = torch.full((len(sentences), longest), -1)
        start, end = torch.zeros(2, len(sentences), longest)
        for b, sentence in enumerate(sentences):
            table[b, : len(sentence)] = torch.from_numpy(
                np.stack([features(p.symbol) for p in sentence])
            )
            symbols[b, : len(sentence)] = torch.tensor([_NUMBER[p.symbol] for p in sentence])
            start[b, : len(sentence)] = torch.tensor([p.start_s for p in sentence])
            end[b, : len(sentence)] = torch.tensor([p.end_s for p in sentence])
        return cls(table, symbols, start, end)


class Articulation(nn.Module):
    def __init__(self, components: int = COMPONENTS) -> None:
        super().__init__()
        # For each component: target, dominance, reach before and after, fading inside.
        self.components = components
        self.traits = nn.Linear(len(FEATURES), 5 * components)
        self.known = nn.Embedding(len(SYMBOLS), 5 * components)
        self.register_buffer("closed", torch.zeros(components))  # mean pose of closed p b m
        nn.init.zeros_(self.known.weight)
        nn.init.normal_(self.traits.weight, std=0.1)

    def forward(self, score: Score, times: Tensor, spread: float = 0.0) -> Tensor:
        """Poses (B, T, P) at `times` (T,) seconds; `spread` moves open vowels apart from close
        ones, which the one filmed speaker opens nearly alike.
        """
        traits = self.traits(score.features) + self.known(score.symbols.clamp(min=0))
        target, dominance, before, after, inside = (
            traits[:, None].unflatten(-1, (5, self.components)).unbind(-2)
        )  # (B, 1, N, P) each
        vowel, openness = score.features[..., _VOWEL], score.features[..., _OPENNESS]
        wider = (1 + spread * vowel * (openness - 0.6))[:, None, :, None]
        target = self.closed + wider * (target - self.closed)
        t = times[None, :, None, None]
        start, end = score.start[:, None, :, None], score.end[:, None, :, None]
        off_centre = ((2 * t - start - end).abs() / (end - start).clamp(min=0.02)).clamp(max=1)
        strength = (
            dominance
            - (start - t).clamp(min=0) / (0.01 + 0.08 * F.softplus(before))
            - (t - end).clamp(min=0) / (0.01 + 0.08 * F.softplus(after))
            - F.softplus(inside) * off_centre**2
        )
        strength = strength.masked_fill((score.symbols < 0)[:, None, :, None], -1e4)
        return (strength.softmax(2) * target).sum(2)

    @torch.no_grad()
    def poses(
        self, phonemes: list[Phoneme], frames: int, spread: float = 0.0, pressed: bool = False
    ) -> Poses:
        """Poses (frames, P) of one recording at 25 fps; `pressed` closes the lips whole at every
        p b m, however short, where the weighted mean leaves a gap.
        """
        times = (torch.arange(frames) + 0.5) / FPS
        out = []
        for chunk in times.split(100):  # only what is near matters, and long scores cost memory
            near = [
                p for p in phonemes if p.end_s > chunk[0] - 1.0 and p.start_s < chunk[-1] + 1.0
            ] or [Phoneme("", float(chunk[0]), float(chunk[-1]))]
            out.append(self(Score.of([near]), chunk, spread)[0])
        poses = torch.cat(out)
        if pressed:
            weight = torch.from_numpy(closed_weight(phonemes, frames))[:, None]
            poses = poses + weight * (self.closed - poses)
        return poses.numpy().astype(np.float32)


def closed_weight(phonemes: list[Phoneme], frames: int) -> NDArray[np.float32]:
    """How closed each frame's lips must be, (frames,): 1 within a p b m, or at the frame nearest to
    a short one; some of it in the frames beside.
    """
    weight = np.zeros(frames, np.float32)
    middle = (np.arange(frames) + 0.5) / FPS
    for p in phonemes:
        if p.kind is Kind.CLOSED:
            away = np.maximum(p.start_s - middle, middle - p.end_s).clip(min=0)
            away = away - min(away.min(), 0.5 / FPS)
            weight = np.maximum(weight, (1 - away * FPS / 1.3).clip(0, 1))
    return weight


def closed_pose(scores: dict[str, list[Phoneme]], truth: dict[str, Poses]) -> Tensor:
    """Mean true pose (P,) in the middle of p b m."""
    found = [
        truth[name][min(int((p.start_s + p.end_s) / 2 * FPS), len(truth[name]) - 1)]
        for name, phonemes in scores.items()
        for p in phonemes
        if p.kind is Kind.CLOSED
    ]
    return torch.from_numpy(np.mean(found, axis=0))


@torch.no_grad()
def judge(
    model: Articulation, scores: dict[str, list[Phoneme]], truth: dict[str, Poses], basis: PoseBasis
) -> tuple[float, float, float]:
    """Pooled r of the opening, its deviation over the truth's, and the closure rate of p b m."""
    made, true, closed, total = [], [], 0, 0
    for name, phonemes in scores.items():
        opening = basis.opening_of(model.poses(phonemes, len(truth[name])))
        a, b = closures(opening.astype(np.float64), phonemes)
        made.append(opening)
        true.append(basis.opening_of(truth[name]))
        closed, total = closed + a, total + b
    m, t = np.concatenate(made), np.concatenate(true)
    return float(np.corrcoef(m, t)[0, 1]), float(m.std() / t.std()), closed / total


def rate_at(step: int, steps: int, resumed: bool) -> float:
    """Learning rate of a step of this run: down to nothing evenly. A run that goes on warms up: its
    optimiser knows nothing yet of weights that are good already.
    """
    warm = min(1.0, (step + 1) / WARM_UP) if resumed else 1.0
    return PEAK_RATE * warm * (1 - step / steps) + 1e-5


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with sound.npz")
    parser.add_argument("--phonemes", type=Path, required=True, help="of GRID, from `alignment`")
    parser.add_argument("--run", type=Path, required=True, help="checkpoint to write or go on from")
    parser.add_argument("--steps", type=int, default=1500, help="of this run")
    args = parser.parse_args(argv)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    stored, table = np.load(args.data / "sound.npz"), read_phonemes(args.phonemes)
    basis = PoseBasis.load(args.data / "pose_basis.npz")
    usable = {n: p for n, p in table.items() if f"pose/{n}" in stored.files}
    truth = {n: stored[f"pose/{n}"] for n in usable}
    train = [n for n in grid_names("train") if n in usable and len(truth[n]) == 75]
    held = {n: usable[n] for n in grid_names("held_out") if n in usable}
    # What a component's error does to the lips' gap counts beside the error itself.
    gap = gap_direction(basis)
    model = Articulation()
    try:
        start = restore(model, args.run).step if args.run.exists() else 0
    except (MisfitError, OSError) as unfit:
        refuse(parser, unfit)
    model.closed.copy_(closed_pose({n: usable[n] for n in train}, truth))
    optimiser, curve = torch.optim.Adam(model.parameters(), PEAK_RATE), Curve(args.run, start)
    ema = checkpoint.Ema(model, DECAY)
    poses = torch.from_numpy(np.stack([truth[n] for n in train]))
    times = (torch.arange(75) + 0.5) / FPS
    for step in range(args.steps):
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, args.steps, start > 0)
        pick = torch.randint(len(train), (24,)).tolist()
        score = Score.of([usable[train[k]] for k in pick])
        error = model(score, times) - poses[pick]
        loss = error.pow(2).mean() + (error @ gap).pow(2).mean()
        loss = loss + 2e-3 * model.known.weight.pow(2).sum() / COMPONENTS
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        ema.update(model)
        if (step + 1) % SHOW_EVERY == 0 or step + 1 == args.steps:
            r, amplitude, closed = judge(ema.model, held, truth, basis)
            print(
                f"{start + step + 1} loss {loss.item():.4f} held-out opening r {r:.3f} "
                f"amplitude {amplitude:.2f} p b m closed {closed:.3f}",
                flush=True,
            )
            curve.add(start + step + 1, {"loss": loss.item(), "r": r, "closed": closed})
            checkpoint.save(args.run, ema.model, start + step + 1)
            curve.save()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
