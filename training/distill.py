"""Folds DS-CFG into one pass: the student, given a strength and the mouth's place, learns the truth
moved as far as guidance moves the teacher's estimate.

Target: x0 + s * max(S - 1, 0) o (x0(c) - x0(null)), x0 the data's, x0(c) and x0(null) the teacher's
(OmniSync eq. 9 in x0 form, which is the same at a fixed x_t), S = `guidance_weight` of
`engine.flow`; s = 0 is unguided, s = 1 as shipped, s up to 2 stronger.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.flow import guidance_weight
from engine.model.audio_encoder import AudioEncoder
from engine.model.dit import Denoiser
from training.critic import LatentSharpness
from training.latents import Tracks
from training.loop import Loop, add_options, begin, read_options, refuse
from training.losses import backward, latent_weight
from training.networks import MisfitError, check, load_audio, load_denoiser, restore
from training.parallel import run_workers
from training.queue_windows import QueueSampler
from training.sound import SoundTable, grid_names
from training.teacher import Conditioning, jittered_mouth, load_tracks, look
from training.windows import Window

STRONGEST = 2.0


def guidance_push(
    level: Tensor, mouth: Tensor, side: int, peak: float, floor: float, sigma: float
) -> Tensor:
    """max(S - 1, 0) on the latent grid: level (B, L), mouth (B, 2) -> (B, L, 1, side, side)."""
    at = (np.arange(side, dtype=np.float32) + 0.5) / side
    x, y = mouth.cpu().numpy().T[:, :, None, None]
    distance2 = ((at[None, None, :] - x) ** 2 + (at[None, :, None] - y) ** 2)[:, None]
    levels = level.cpu().numpy()[:, :, None, None]
    push = (guidance_weight(levels, distance2, peak, floor, sigma) - 1).clip(min=0)
    return torch.from_numpy(push)[:, :, None].to(level.device)


def drawn_strength(count: int, unguided: float) -> Tensor:
    """Guidance strengths (count,) 0..2, a share of them 0."""
    return STRONGEST * torch.rand(count) * (torch.rand(count) >= unguided)


@torch.no_grad()
def _moved(
    teacher: Denoiser,
    conditioning: Conditioning,
    window: Window,
    heard: tuple[Tensor, Tensor],
    strength: Tensor,
    mouth: Tensor,
) -> Tensor:
    """x0(c) - x0(null) of the teacher (B, L, C, h, w) where `strength` is not 0; 0 elsewhere."""
    moved, some = torch.zeros_like(window.x), torch.nonzero(strength)[:, 0]
    if not len(some):
        return moved
    inputs = [v[some] for v in (window.x, window.source, window.level)]
    tokens = conditioning.tokens(teacher, window, *heard)[some]
    nothing = conditioning.null_tokens(teacher, window)[some]
    none, mouth = torch.zeros(len(some)), mouth[some]
    true = teacher(*inputs, tokens, none, mouth).float()
    moved[some] = true - teacher(*inputs, nothing, none, mouth).float()
    return moved


def train(rank: int, args: argparse.Namespace) -> None:
    """One worker of `args.workers`; worker 0 writes the checkpoints."""
    student = Denoiser(args.preset.denoiser)
    fold(rank, args, load_tracks(args.data), load_denoiser(args.teacher), student, args.beside)


def fold(
    rank: int,
    args: argparse.Namespace,
    tracks: dict[str, Tracks],
    teacher: Denoiser,
    student: Denoiser,
    beside: Path | None = None,
) -> None:
    """Train `student` on `tracks`, from `args.run` where that exists, else from `beside` or
    `args.teacher`.

    beside: a denoiser that the student is to run beside: the audio graph's tokens are made for it,
    so the student takes its conditioner, which stays.
    """
    seed = begin(rank, args)
    # Every window is conditioned in full: the null branch belongs to the teacher.
    full = {"drop_sound": 0.0, "drop_pose": 0.0, "drop_both": 0.0}
    config = replace(args.preset.windows, **full, true_pose=args.true_pose)
    table = SoundTable.read(args.data / "sound.npz", grid_names("train"))
    sampler = QueueSampler(tracks, table, config, seed, streams=args.batch)
    stream_strength = drawn_strength(args.batch, args.unguided)
    conditioning = Conditioning(load_audio(args.audio).to(args.device), config)
    teacher = teacher.eval().requires_grad_(False).to(args.device)
    resumed = args.run.exists()
    stored = restore(student, args.run if resumed else beside or args.teacher)
    start = stored.step if resumed else 0
    if beside is not None:
        student.conditioner.load_state_dict(load_denoiser(beside).conditioner.state_dict())
        student.conditioner.requires_grad_(False)
    student = student.to(args.device)
    side, sigma = student.config.grid, student.config.guidance_sigma
    weight = latent_weight(side)
    sharp = LatentSharpness(student.config, args.sharpness) if args.sharpness else None
    for step in (loop := Loop(student, rank, args, start, peak=args.peak, floor=args.floor)):
        queue = sampler.on_queue(args.queue_share)
        window = sampler.window(queue, args.batch, args.device)
        count = len(window.level)
        mouth = jittered_mouth(count)
        if step % 100 == 0:
            stream_strength = drawn_strength(args.batch, args.unguided)
        strength = stream_strength if queue else drawn_strength(count, args.unguided)
        inputs = (window.x, window.source, window.level)
        sound, pose = conditioning.heard(window)
        with torch.autocast(args.device, torch.bfloat16):
            moved = _moved(teacher, conditioning, window, (sound, pose), strength, mouth)
            tokens = conditioning.tokens(student, window, sound, pose)
            estimate = student(*inputs, tokens, strength, mouth).float()
        if queue:
            sampler.advance(estimate)
        push = guidance_push(window.level, mouth, side, args.peak, args.floor, sigma)
        # What the teacher got wrong is still learned from the data; only the push is the teacher's.
        guided = window.target + strength[:, None, None, None, None] * push * moved
        loop.update(backward(estimate, guided, weight, sharp, window.source, window.pose))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "distill")
    parser.add_argument("--audio", type=Path, required=True, help="the audio encoder")
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument(
        "--beside",
        type=Path,
        help="a denoiser to start from and to run beside, with one audio graph",
    )
    args = read_options(parser, "distill", argv)
    try:
        look(args.data)
        denoisers = [path for path in (args.teacher, args.beside) if path is not None]
        check(Denoiser(args.preset.denoiser), *denoisers, run=args.run)
        check(AudioEncoder(args.preset.audio), args.audio)
    except (MisfitError, OSError) as error:
        refuse(parser, error)
    run_workers(train, args.workers, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
