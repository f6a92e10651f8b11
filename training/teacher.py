"""Trains the denoiser (and its conditioner) on queue windows: OmniSync's mask-free flow matching,
unguided.

The loss is on x0, which equals the velocity loss times the level squared: bounded where the level
is small.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.face.align import MOUTH_CENTRE
from engine.model.audio_encoder import AudioEncoder
from engine.model.dit import Denoiser
from training import checkpoint
from training.latents import KINDS, Tracks
from training.parallel import agreed, average_gradients, run_workers
from training.sound import SoundTable, grid_names
from training.windows import QueueSampler, Window, WindowConfig


def load_tracks(data: Path) -> dict[str, Tracks]:
    return {k: Tracks.read(data, k) for k in KINDS if (data / f"latents_{k}.npy").exists()}


def latent_weight(side: int) -> Tensor:
    """Where the mouth is, on the latent grid: 0.2 far away, 2 at the lips."""
    y, x = torch.meshgrid(
        (torch.arange(side) + 0.5) / side, (torch.arange(side) + 0.5) / side, indexing="ij"
    )
    cx, cy = MOUTH_CENTRE
    return 0.2 + 1.8 * torch.exp(-(((x - cx) / 0.27) ** 4 + ((y - cy - 0.06) / 0.27) ** 4))


def x0_loss(estimate: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Squared error with a little absolute error, which keeps teeth and lip lines from averaging
    out.
    """
    error = estimate - target
    return ((error.pow(2) + 0.1 * (error.pow(2) + 1e-4).sqrt()) * weight).mean()


class Conditioning:
    """Tokens of a training window: the true pose or the one the frozen audio encoder hears, and its
    sound features.
    """

    def __init__(self, audio: AudioEncoder, config: WindowConfig) -> None:
        self.audio = audio.eval().requires_grad_(False)
        self.config = config

    def tokens(self, model: Denoiser, window: Window) -> Tensor:
        """(B, L, 1 + K, width)."""
        sound, heard_pose = self.audio(window.mel, window.heard)
        batch, slots = window.level.shape
        true = (torch.rand(batch) < self.config.true_pose).repeat_interleave(slots)[:, None]
        noisy = (
            window.pose
            + 0.05 * torch.randn(batch, 1, window.pose.shape[1]).repeat_interleave(slots, 0)[:, 0]
        )
        pose = torch.where(true, noisy, heard_pose)
        tokens = model.conditioner(sound, pose, window.keep_sound, window.keep_pose)
        return tokens.unflatten(0, (batch, slots))

    def null_tokens(self, model: Denoiser, window: Window) -> Tensor:
        """The unconditional branch: sound and pose both absent, the source kept."""
        batch, slots = window.level.shape
        nothing = torch.zeros(batch * slots, dtype=torch.bool)
        c = model.config
        sound = torch.zeros(batch * slots, c.sound_tokens, c.sound_width)
        pose = torch.zeros(batch * slots, c.pose_components)
        return model.conditioner(sound, pose, nothing, nothing).unflatten(0, (batch, slots))


def jittered_mouth(batch: int) -> Tensor:
    return torch.tensor(MOUTH_CENTRE)[None] + 0.03 * torch.randn(batch, 2)


def load_audio(path: Path) -> AudioEncoder:
    audio = AudioEncoder()
    audio.load_state_dict(checkpoint.load(path).weights)
    return audio


def train(rank: int, args: argparse.Namespace) -> None:
    """One worker of `args.workers`; worker 0 writes the checkpoints."""
    torch.manual_seed(args.seed * 100 + rank)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    config = WindowConfig()
    table = SoundTable.read(args.data / "sound.npz", grid_names("train"))
    seed = args.seed * 100 + rank
    sampler = QueueSampler(load_tracks(args.data), table, config, seed, streams=args.batch)
    conditioning = Conditioning(load_audio(args.audio), config)
    model, start = Denoiser(), 0
    if args.run.exists():
        stored = checkpoint.load(args.run)
        model.load_state_dict(stored.weights)
        start = stored.step
    ema = checkpoint.Ema(model)
    optimiser = torch.optim.AdamW(
        model.parameters(), args.rate, betas=(0.9, 0.98), weight_decay=0.02, fused=True
    )
    weight = latent_weight(model.config.grid)
    begin, step, recent = time.monotonic(), 0, []
    while True:
        done = step / args.steps if args.steps else (time.monotonic() - begin) / (60 * args.minutes)
        if agreed(done, rank) >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1.0, (step + 1) / 200) * max(0.0, 1 - done) ** 0.7 + 2e-6
        queue = torch.rand(1).item() < args.queue_share
        window = sampler.draw_queue() if queue else sampler.draw(args.batch)
        with torch.autocast("cpu", torch.bfloat16):
            estimate = model(
                window.x,
                window.source,
                window.level,
                conditioning.tokens(model, window),
                torch.zeros(len(window.level)),
                jittered_mouth(len(window.level)),
            )
        loss = x0_loss(estimate.float(), window.target, weight)
        if queue:
            sampler.advance(estimate.detach().float())
        optimiser.zero_grad()
        loss.backward()
        average_gradients(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        recent.append(loss.item())
        if rank != 0:
            continue
        ema.update(model)
        if step % 200 == 0:
            spent = time.monotonic() - begin
            print(f"{start + step} {spent:.0f}s loss {np.mean(recent[-200:]):.4f}", flush=True)
        if step % 400 == 0:
            checkpoint.save(args.run, ema.model, start + step)
    if rank == 0:
        checkpoint.save(args.run, ema.model, start + step)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--batch", type=int, default=16, help="windows a worker and step")
    parser.add_argument("--workers", type=int, default=2, help="processes that share the batch")
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--queue-share", type=float, default=0.2, help="steps on the own queue")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    run_workers(train, args.workers, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
