"""Trains the audio encoder: log-mel window -> lip pose, on GRID's training sentences, on the
voices of `speech` and on what is no speech, alone and under voices; the future masked.

Prints the correlation of the predicted mouth opening on held-out sentences: the ceiling of what
any picture can follow. `voice_report` judges voices that were never heard.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.audio import (
    COLUMNS_PER_FRAME,
    FUTURE,
    MEL_COLUMNS,
    PAST,
    mel_window,
)
from engine.model.audio_encoder import AudioEncoder
from training import checkpoint
from training.curve import Curve
from training.lip_pose import PoseBasis
from training.loop import add_options, begin, read_options, refuse
from training.networks import MisfitError, restore
from training.splits import data_dir, held_out
from training.voice_table import VoiceTable
from training.voices import overlaid, vary

GAP_SHARE = 0.3  # of the lips' gap in the loss
PAUSED_SHARE = 0.25  # of voices, with a pause before or in the window
BACKGROUND_SHARE = 0.15  # of voices, with another sound 0 to 25 dB below them


def heard_mask(age: Tensor, jitter: Tensor | None = None) -> Tensor:
    """What a slot of `age` ticks has heard, (N,) -> (N, 32) 0/1; `jitter` in columns as live
    arrival has it.
    """
    horizon = PAST + COLUMNS_PER_FRAME * age + (0 if jitter is None else jitter)
    return (torch.arange(MEL_COLUMNS, device=age.device)[None] <= horizon[:, None]).float()


@dataclass(frozen=True)
class SoundTable:
    """Frames of many clips, flat: mel windows (F, 80, 64) float16, poses (F, P), openings (F,)."""

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
    where = model.unheard.device
    heard = heard_mask(torch.tensor([age], device=where)).expand(len(table.mel), -1)
    pose = torch.cat(
        [
            model(m.float().to(where), h)[1].cpu()
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
    add_options(parser, "sound")
    parser.add_argument(
        "--speech", type=Path, nargs="+", help="files of `speech`, beside GRID; equal shares"
    )
    parser.add_argument("--grid-share", type=float, default=0.3, help="of a batch, beside --speech")
    parser.add_argument("--nonspeech", type=Path, help="file of `speech --kinds no_speech`")
    parser.add_argument("--nonspeech-share", type=float, default=0.2, help="of a batch")
    parser.add_argument("--start", type=Path, help="checkpoint that a new run begins with")
    parser.add_argument("--bf16", action="store_true", help="faster where the CPU has AVX512-BF16")
    args = read_options(parser, "sound", argv)
    begin(0, args)
    tables = [(VoiceTable.read(args.data / "sound.npz", grid_names("train")), 1.0, 0.7)]
    if args.speech:
        each = (1 - args.grid_share) / len(args.speech)
        tables = [(tables[0][0], args.grid_share, 0.7)]
        tables += [(VoiceTable.read(path), each, 0.3) for path in args.speech]
    nonspeech = VoiceTable.read(args.nonspeech) if args.nonspeech else None
    mute = round(args.batch * args.nonspeech_share) if nonspeech else 0
    held = SoundTable.read(args.data / "sound.npz", grid_names("held_out"))
    basis = PoseBasis.load(args.data / "pose_basis.npz")
    gap = gap_direction(basis).to(args.device)
    model = AudioEncoder(args.preset.audio)
    start = 0
    try:
        if args.run.exists():
            start = restore(model, args.run).step
        elif args.start:
            restore(model, args.start)
    except (MisfitError, OSError) as error:
        refuse(parser, error)
    model, curve = model.to(args.device), Curve(args.run, start)
    ema = checkpoint.Ema(model)
    optimiser = torch.optim.AdamW(
        model.parameters(), args.rate, betas=(0.9, 0.98), weight_decay=0.05
    )
    began, step, recent = time.monotonic(), 0, []
    while True:
        done = step / args.steps if args.steps else (time.monotonic() - began) / (60 * args.minutes)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1.0, (step + 1) / 100) * (1 - done) + 1e-6
        with torch.device("cpu"):
            drawn = [
                (vary_some(mel, varied), pose, weight)
                for table, share, varied in tables
                for mel, pose, weight in [
                    table.draw(round((args.batch - mute) * share), PAUSED_SHARE)
                ]
            ]
            if nonspeech:
                drawn = [(with_background(mel, nonspeech), *rest) for mel, *rest in drawn]
                mel, *rest = nonspeech.draw(mute)
                drawn.append((vary_some(mel, 0.3), *rest))
        mel, truth, weight = (
            torch.cat(parts).to(args.device) for parts in zip(*drawn, strict=True)
        )
        age = torch.randint(0, FUTURE // COLUMNS_PER_FRAME + 1, (len(mel),))
        heard = heard_mask(age, torch.randint(-2, 2, (len(mel),)))
        with torch.autocast(args.device, torch.bfloat16, enabled=args.bf16):
            pose = model(mel, heard)[1]
        loss = pose_loss(pose.float(), truth, weight, gap)
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
                f"{start + step} {time.monotonic() - began:.0f}s "
                f"loss {np.mean(recent[-500:]):.4f} "
                f"held-out opening r {r[0]:.3f} (no future) {r[1]:.3f} (80 ms)",
                flush=True,
            )
            told = {"loss": float(np.mean(recent[-500:])), "r": r[0], "r, 80 ms": r[1]}
            curve.add(start + step, told)
            checkpoint.save(args.run, ema.model, start + step)
            curve.save()
    curve.save()
    checkpoint.save(args.run, ema.model, start + step)
    return 0


def vary_some(mel: Tensor, share: float) -> Tensor:
    count = int(len(mel) * share)
    return torch.cat([vary(mel[:count]), mel[count:]])


def with_background(mel: Tensor, sounds: VoiceTable) -> Tensor:
    """The first of the windows with another sound under each."""
    count = int(len(mel) * BACKGROUND_SHARE)
    below, _, _ = sounds.draw(count)
    under = overlaid(mel[:count], below, 25 * torch.rand(count))
    return torch.cat([under, mel[count:]])


if __name__ == "__main__":
    raise SystemExit(main())
