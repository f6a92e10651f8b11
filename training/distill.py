"""Folds DS-CFG into one pass: the student, given a strength and the mouth's place, learns the
teacher's guided estimate.

Guided target (OmniSync eq. 9 in x0 form, which is the same at a fixed x_t): x0(c) + s * max(S - 1,
0) o (x0(c) - x0(null)), with
S = guidance_weight of `engine.flow`; s = 0 is the teacher unguided, s = 1 as shipped, s up to 2
stronger.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from engine.model.dit import Denoiser
from training import checkpoint
from training.critic import LatentSharpness
from training.loop import Loop, add_options
from training.losses import backward, latent_weight
from training.parallel import run_workers
from training.sound import SoundTable, grid_names
from training.teacher import (
    Conditioning,
    jittered_mouth,
    load_audio,
    load_tracks,
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
    side, sigma = student.config.grid, student.config.guidance_sigma
    weight = latent_weight(side)
    sharp = LatentSharpness(student.config, args.sharpness) if args.sharpness else None
    for step in (loop := Loop(student, rank, args, peak=args.peak, floor=args.floor)):
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
        guided = window.target + guided
        loop.update(backward(estimate, guided, weight, sharp, window.source, window.pose))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--queue-share", type=float, default=0.5)
    parser.add_argument("--peak", type=float, default=2.0)
    parser.add_argument("--floor", type=float, default=0.5)
    parser.add_argument("--sharpness", type=float, default=0.0)
    add_options(parser, minutes=20, rate=2e-4, seed=1)
    args = parser.parse_args(argv)
    run_workers(train, args.workers, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
