"""Trains the denoiser (and its conditioner) on queue windows: OmniSync's mask-free flow matching,
unguided.

The loss is on x0, which equals the velocity loss times the level squared: bounded where the level
is small.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from engine.face.align import MOUTH_CENTRE
from engine.model.audio_encoder import AudioEncoder
from engine.model.dit import Denoiser
from training import checkpoint
from training.critic import LatentSharpness
from training.latents import KINDS, Tracks
from training.loop import Loop, add_options
from training.losses import backward, latent_weight
from training.parallel import run_workers
from training.sound import SoundTable, grid_names
from training.windows import QueueSampler, Window, WindowConfig


def load_tracks(data: Path) -> dict[str, Tracks]:
    return {k: Tracks.read(data, k) for k in KINDS if (data / f"latents_{k}.npy").exists()}


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
    weight = latent_weight(model.config.grid)
    sharp = LatentSharpness(model.config, args.sharpness) if args.sharpness else None
    loop = Loop(model, rank, args, start)
    for _ in loop:
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
            ).float()
        if queue:
            sampler.advance(estimate.detach())
        loop.update(backward(estimate, window.target, weight, sharp, window.source, window.pose))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--queue-share", type=float, default=0.3, help="steps on the own queue")
    parser.add_argument(
        "--sharpness", type=float, default=0.0, help="gradient of the critic beside the error's"
    )
    add_options(parser, minutes=60, rate=8e-4, seed=0)
    args = parser.parse_args(argv)
    run_workers(train, args.workers, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
