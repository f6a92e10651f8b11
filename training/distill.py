"""Folds DS-CFG into one pass: the student, given a strength and the mouth's place, learns the
teacher's guided estimate.

Guided target (OmniSync eq. 9 in x0 form, which is the same at a fixed x_t): x0(c) + s * max(S - 1,
0) o (x0(c) - x0(null)), with
S = guidance_weight of `engine.flow`; s = 0 is the teacher unguided, s = 1 as shipped, s up to 2
stronger.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.model.dit import Denoiser
from training import checkpoint
from training.parallel import agreed, average_gradients, run_workers
from training.sound import SoundTable, grid_names
from training.teacher import (
    Conditioning,
    jittered_mouth,
    latent_weight,
    load_audio,
    load_tracks,
    x0_loss,
)
from training.windows import QueueSampler, WindowConfig

STRONGEST = 2.0


def guidance_push(
    level: Tensor, mouth: Tensor, side: int, peak: float, floor: float, sigma: float
) -> Tensor:
    """max(S - 1, 0) on the latent grid: level (B, L), mouth (B, 2) -> (B, L, 1, side, side)."""
    at = (torch.arange(side) + 0.5) / side
    dx = at[None, None, :] - mouth[:, 0, None, None]
    dy = at[None, :, None] - mouth[:, 1, None, None]
    gaussian = torch.exp(-(dx**2 + dy**2) / (2 * sigma**2))[:, None]
    rho = floor / peak
    weight = peak * (level**1.5)[:, :, None, None] * (rho + (1 - rho) * gaussian)
    return (weight - 1).clamp(min=0)[:, :, None]


def drawn_strength(count: int) -> Tensor:
    """Guidance strengths (count,) 0..2; a quarter of them 0."""
    return STRONGEST * torch.rand(count) * (torch.rand(count) < 0.75)


def save(args: argparse.Namespace, model: Denoiser, step: int) -> None:
    checkpoint.save(args.run, model, step, peak=args.peak, floor=args.floor)


def train(rank: int, args: argparse.Namespace) -> None:
    """One worker of `args.workers`; worker 0 writes the checkpoints."""
    torch.manual_seed(args.seed * 100 + rank)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    # Every window is conditioned in full: the null branch belongs to the teacher.
    config = WindowConfig(drop_sound=0.0, drop_pose=0.0, drop_both=0.0, true_pose=0.3)
    table = SoundTable.read(args.data / "sound.npz", grid_names("train"))
    seed = args.seed * 100 + rank
    sampler = QueueSampler(load_tracks(args.data), table, config, seed, streams=args.batch)
    stream_strength = drawn_strength(args.batch)
    conditioning = Conditioning(load_audio(args.audio), config)
    teacher = Denoiser().eval().requires_grad_(False)
    teacher.load_state_dict(checkpoint.load(args.teacher).weights)
    student = Denoiser()
    student.load_state_dict(
        checkpoint.load(args.run if args.run.exists() else args.teacher).weights
    )
    ema = checkpoint.Ema(student)
    optimiser = torch.optim.AdamW(
        student.parameters(), args.rate, betas=(0.9, 0.98), weight_decay=0.02
    )
    side, sigma = student.config.grid, student.config.guidance_sigma
    weight = latent_weight(side)
    begin, step, recent = time.monotonic(), 0, []
    while True:
        done = step / args.steps if args.steps else (time.monotonic() - begin) / (60 * args.minutes)
        if agreed(done, rank) >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1.0, (step + 1) / 100) * max(0.0, 1 - done) ** 0.7 + 2e-6
        queue = torch.rand(1).item() < args.queue_share
        window = sampler.draw_queue() if queue else sampler.draw(args.batch)
        count = len(window.level)
        mouth = jittered_mouth(count)
        if step % 100 == 0:
            stream_strength = drawn_strength(args.batch)
        strength = stream_strength if queue else drawn_strength(count)
        with torch.autocast("cpu", torch.bfloat16):
            state = torch.get_rng_state()
            with torch.no_grad():
                inputs = (window.x, window.source, window.level)
                tokens = conditioning.tokens(teacher, window)
                none = torch.zeros(count)
                true = teacher(*inputs, tokens, none, mouth).float()
                null_window = conditioning.null_tokens(teacher, window)
                null = teacher(*inputs, null_window, none, mouth).float()
            torch.set_rng_state(state)  # the same poses for both
            estimate = student(
                *inputs, conditioning.tokens(student, window), strength, mouth
            ).float()
        if queue:
            sampler.advance(estimate.detach())
        push = guidance_push(window.level, mouth, side, args.peak, args.floor, sigma)
        guided = strength[:, None, None, None, None] * push * (true - null)
        # What the teacher got wrong is still learned from the data; only the push is the teacher's.
        loss = x0_loss(estimate, window.target + guided, weight)
        optimiser.zero_grad()
        loss.backward()
        average_gradients(student)
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimiser.step()
        step += 1
        recent.append(loss.item())
        if rank != 0:
            continue
        ema.update(student)
        if step % 100 == 0:
            print(
                f"{step} {time.monotonic() - begin:.0f}s loss {np.mean(recent[-100:]):.4f}",
                flush=True,
            )
        if step % 200 == 0:
            save(args, ema.model, step)
    if rank == 0:
        save(args, ema.model, step)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--queue-share", type=float, default=0.5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--peak", type=float, default=2.0)
    parser.add_argument("--floor", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    run_workers(train, args.workers, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
