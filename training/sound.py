"""Trains the audio encoder: log-mel window -> lip pose, on GRID's training sentences and on the
voices of `speech`, the future masked.

Prints the correlation of the predicted mouth opening on held-out sentences: the ceiling of what
any picture can follow. `voice_report` judges voices that were never heard.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.audio import (
    COLUMNS_PER_FRAME,
    FUTURE,
    MEL_COLUMNS,
    N_MELS,
    PAST,
    SILENCE_LEVEL,
    frame_column,
)
from engine.model.audio_encoder import AudioEncoder
from training import checkpoint
from training.lip_pose import PoseBasis
from training.splits import data_dir, held_out
from training.voices import vary

GAP_SHARE = 0.3  # of the lips' gap in the loss


def mel_window(mel: np.ndarray, index: int) -> np.ndarray:
    """(80, 32) window of frame `index` of a clip's mel (80, T); outside the clip is silence."""
    first = frame_column(index) - PAST
    out = np.full((mel.shape[0], MEL_COLUMNS), SILENCE_LEVEL, np.float32)
    a, b = max(0, first), min(mel.shape[1], first + MEL_COLUMNS)
    if b > a:
        out[:, a - first : b - first] = mel[:, a:b]
    return out


def heard_mask(age: Tensor, jitter: Tensor | None = None) -> Tensor:
    """What a slot of `age` ticks has heard, (N,) -> (N, 32) 0/1; `jitter` in columns as live
    arrival has it.
    """
    horizon = PAST + COLUMNS_PER_FRAME * age + (0 if jitter is None else jitter)
    return (torch.arange(MEL_COLUMNS)[None] <= horizon[:, None]).float()


@dataclass(frozen=True)
class SoundTable:
    """Frames of many clips, flat: mel windows (F, 80, 32) float16, poses (F, P), openings (F,)."""

    mel: Tensor
    pose: Tensor
    opening: Tensor
    first: dict[str, int]

    @classmethod
    def read(cls, path: Path, names: list[str]) -> SoundTable:
        stored = np.load(path)
        mels, poses, openings, first, count = [], [], [], {}, 0
        for name in names:
            if f"pose/{name}" not in stored:
                continue
            mel, pose = stored[f"mel/{name}"], stored[f"pose/{name}"]
            first[name] = count
            mels.append(np.stack([mel_window(mel, i) for i in range(len(pose))]).astype(np.float16))
            poses.append(pose)
            openings.append(stored[f"open/{name}"])
            count += len(pose)
        return cls(
            torch.from_numpy(np.concatenate(mels)),
            torch.from_numpy(np.concatenate(poses)),
            torch.from_numpy(np.concatenate(openings)),
            first,
        )


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
        """`names`, or all recordings of the file; frames without a weight count once."""
        stored = np.load(path)
        chosen = [n for n in names or _recordings(stored) if f"pose/{n}" in stored]
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

    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Windows (N, 80, 32) float32, poses (N, P) and weights (N,) of random frames."""
        pick = torch.randint(len(self.first), (count,))
        at = self.first[pick][:, None] + torch.arange(MEL_COLUMNS)
        mel = self.columns[at].float().transpose(1, 2).contiguous()
        return mel, self.pose[pick], self.weight[pick]


def _recordings(stored: Mapping[str, np.ndarray]) -> list[str]:
    return [key.removeprefix("pose/") for key in stored if key.startswith("pose/")]


def gap_direction(basis: PoseBasis) -> Tensor:
    """Unit vector (P,) along which a pose opens the lips."""
    count = basis.directions.shape[0]
    moved = basis.opening_of(np.eye(count, dtype=np.float32))
    still = basis.opening_of(np.zeros((1, count), np.float32))
    gap = torch.from_numpy(moved - still)
    return gap / gap.norm()


def pose_loss(pose: Tensor, truth: Tensor, weight: Tensor, gap: Tensor) -> Tensor:
    """Squared error of poses (N, P); what it does to the lips' gap counts beside it."""
    error = pose - truth
    return (weight * (error.pow(2).mean(1) + GAP_SHARE * (error @ gap).pow(2))).mean()


def grid_names(part: str) -> list[str]:
    """Clip names of GRID speaker 1: "train", or "held_out"."""
    hidden = held_out("grid_s1")
    names = [p.stem for p in sorted((data_dir() / "grid_s1").glob("*.mp4"))]
    return [n for n in names if (n in hidden) == (part == "held_out")]


@torch.no_grad()
def opening_correlation(
    model: AudioEncoder, table: SoundTable, basis: PoseBasis, age: int
) -> tuple[float, float]:
    """Pooled r of predicted against true opening, and the ratio of their deviations, with `age` *
    40 ms of future.
    """
    was_training = model.training
    model.eval()
    heard = heard_mask(torch.tensor([age])).expand(len(table.mel), -1)
    pose = torch.cat(
        [
            model(m.float(), h)[1]
            for m, h in zip(table.mel.split(512), heard.split(512), strict=True)
        ]
    )
    predicted = basis.opening_of(pose.numpy())
    model.train(was_training)
    truth = table.opening.numpy()
    true_pose = basis.opening_of(table.pose.numpy())
    r = float(np.corrcoef(predicted, truth)[0, 1])
    return r, float(predicted.std() / true_pose.std())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--speech", type=Path, help="speech.npz: voices beside GRID's")
    parser.add_argument("--grid-share", type=float, default=0.3, help="of a batch, beside --speech")
    parser.add_argument("--start", type=Path, help="checkpoint to go on from")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    tables = [(VoiceTable.read(args.data / "sound.npz", grid_names("train")), 1.0, 0.7)]
    if args.speech:
        tables = [
            (tables[0][0], args.grid_share, 0.7),
            (VoiceTable.read(args.speech), 1 - args.grid_share, 0.3),
        ]
    held = SoundTable.read(args.data / "sound.npz", grid_names("held_out"))
    basis = PoseBasis.load(args.data / "pose_basis.npz")
    gap = gap_direction(basis)
    model = AudioEncoder()
    if args.start:
        model.load_state_dict(checkpoint.load(args.start).weights)
    ema = checkpoint.Ema(model)
    optimiser = torch.optim.AdamW(
        model.parameters(), args.rate, betas=(0.9, 0.98), weight_decay=0.05
    )
    begin, step, recent = time.monotonic(), 0, []
    while True:
        done = step / args.steps if args.steps else (time.monotonic() - begin) / (60 * args.minutes)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1.0, (step + 1) / 100) * (1 - done) + 1e-6
        drawn = [
            (vary_some(mel, varied), pose, weight)
            for table, share, varied in tables
            for mel, pose, weight in [table.draw(round(args.batch * share))]
        ]
        mel, truth, weight = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        age = torch.randint(0, FUTURE // COLUMNS_PER_FRAME + 1, (len(mel),))
        heard = heard_mask(age, torch.randint(-2, 2, (len(mel),)))
        loss = pose_loss(model(mel, heard)[1], truth, weight, gap)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        ema.update(model)
        step += 1
        recent.append(loss.item())
        if step % 500 == 0:
            r = [opening_correlation(ema.model, held, basis, age)[0] for age in (0, 2)]
            print(
                f"{step} {time.monotonic() - begin:.0f}s loss {np.mean(recent[-500:]):.4f} "
                f"held-out opening r {r[0]:.3f} (no future) {r[1]:.3f} (80 ms)",
                flush=True,
            )
            checkpoint.save(args.run, ema.model, step)
    checkpoint.save(args.run, ema.model, step)
    return 0


def vary_some(mel: Tensor, share: float) -> Tensor:
    count = int(len(mel) * share)
    return torch.cat([vary(mel[:count]), mel[count:]])


if __name__ == "__main__":
    raise SystemExit(main())
