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
from training.critic import LatentSharpness
from training.latents import Tracks
from training.lip_reader import LipReading
from training.loop import Loop, add_options, begin, read_options, refuse
from training.losses import backward, latent_weight
from training.networks import MisfitError, check, load_audio, restore
from training.parallel import run_workers
from training.queue_windows import QueueSampler
from training.sound import SoundTable, grid_names
from training.window_config import KINDS, WindowConfig
from training.windows import Window


def load_tracks(data: Path) -> dict[str, Tracks]:
    """Raises FileNotFoundError if there are no latents at all."""
    found = {k: Tracks.read(data, k) for k in KINDS if (data / f"latents_{k}.npy").exists()}
    if not found:
        raise FileNotFoundError(f"no latents in {data}: `omnisync train latents` makes them")
    return found


def look(data: Path) -> None:
    """Before any worker starts: raises OSError if the latents or the sound are not there."""
    load_tracks(data)
    (data / "sound.npz").stat()


class Conditioning:
    """Tokens of a training window: the true pose or the one the frozen audio encoder hears, and its
    sound features.
    """

    def __init__(self, audio: AudioEncoder, config: WindowConfig) -> None:
        self.audio = audio.eval().requires_grad_(False)
        self.config = config

    @torch.no_grad()
    def heard(self, window: Window) -> tuple[Tensor, Tensor]:
        """Sound features (B L, K, W) and the pose that is told, (B L, P)."""
        sound, heard_pose = self.audio(window.mel, window.heard)
        batch, slots = window.level.shape
        true = (torch.rand(batch) < self.config.true_pose).repeat_interleave(slots)[:, None]
        noisy = (
            window.pose
            + 0.05 * torch.randn(batch, 1, window.pose.shape[1]).repeat_interleave(slots, 0)[:, 0]
        )
        return sound, torch.where(true, noisy, heard_pose)

    def tokens(self, model: Denoiser, window: Window, sound: Tensor, pose: Tensor) -> Tensor:
        """(B, L, 1 + K, width)."""
        tokens = model.conditioner(sound, pose, window.keep_sound, window.keep_pose)
        return tokens.unflatten(0, window.level.shape)

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


def train(rank: int, args: argparse.Namespace) -> None:
    """One worker of `args.workers`; worker 0 writes the checkpoints."""
    learn(rank, args, load_tracks(args.data), Denoiser(args.preset.denoiser))


def learn(rank: int, args: argparse.Namespace, tracks: dict[str, Tracks], model: Denoiser) -> None:
    """Train `model` on `tracks`, from `args.run` where that exists."""
    config, seed = args.preset.windows, begin(rank, args)
    table = SoundTable.read(args.data / "sound.npz", grid_names("train"))
    sampler = QueueSampler(tracks, table, config, seed, streams=args.batch)
    conditioning = Conditioning(load_audio(args.audio).to(args.device), config)
    start = restore(model, args.run).step if args.run.exists() else 0
    model = model.to(args.device)
    weight = latent_weight(model.config.grid)
    sharp = LatentSharpness(model.config, args.sharpness) if args.sharpness else None
    lips = LipReading(model.config, args.lip_reader) if args.lip_reader else None
    for _ in (loop := Loop(model, rank, args, start)):
        queue = sampler.on_queue(args.queue_share)
        window = sampler.window(queue, args.batch, args.device)
        sound, pose = conditioning.heard(window)
        with torch.autocast(args.device, torch.bfloat16):
            estimate = model(
                window.x,
                window.source,
                window.level,
                conditioning.tokens(model, window, sound, pose),
                torch.zeros(len(window.level)),
                jittered_mouth(len(window.level)),
            ).float()
        if queue:
            sampler.advance(estimate)
        given = (window.source, window.pose)
        loop.update(backward(estimate, window.target, weight, sharp, *given, lips))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "teacher")
    parser.add_argument("--audio", type=Path, required=True, help="the audio encoder")
    args = read_options(parser, "teacher", argv)
    try:
        look(args.data)
        check(Denoiser(args.preset.denoiser), run=args.run)
        check(AudioEncoder(args.preset.audio), args.audio)
    except (MisfitError, OSError) as error:
        refuse(parser, error)
    run_workers(train, args.workers, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
