"""Tunes the decoder, alone, to what the denoiser hands it.

Finished latents of the queue lie beside the encoder's: decoded by a decoder that saw only the
encoder's they look soft. Here half of each batch are the queue's, half the encoder's, and a critic
on the mouth's pixels stands beside the L1. Encoder and latents stay as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.flow import level_grid
from engine.model.autoencoder import Autoencoder
from engine.model.dit import Denoiser
from training import checkpoint
from training.autoencoder import crop_shards, loss_of, mouth_weight, read_shard
from training.critic import SharpnessTerm
from training.latents import encode
from training.loop import Loop, add_options
from training.parallel import run_workers
from training.sound import SoundTable, grid_names, heard_mask
from training.teacher import load_audio

SLOTS = 3
WARM = 3  # first frames of a clip: the queue is still filling
MOUTH = (slice(36, 108), slice(28, 100))  # rows, columns of the crop that the critic sees
FOLD = 4


class Queue:
    """The live queue in torch, for whole clips: heard sound, strength 1, one eps a clip."""

    def __init__(self, denoiser: Path, audio: Path, table: SoundTable) -> None:
        self.model = Denoiser().eval().requires_grad_(False)
        self.model.load_state_dict(checkpoint.load(denoiser).weights)
        self.audio, self.table = load_audio(audio).eval(), table

    @torch.no_grad()
    def finished(self, source: Tensor, rows: Tensor) -> Tensor:
        """Source latents (N, T, 16, h, w) and rows of the sound table (N, T) -> estimates of frames
        WARM .. T - SLOTS.
        """
        count, length = source.shape[:2]
        mel = self.table.mel[rows.flatten()].float()
        by_age = []
        for age in range(SLOTS):
            heard = heard_mask(torch.full((len(mel),), age))
            tokens = self.model.conditioner(*self.audio(mel, heard))
            by_age.append(tokens.unflatten(0, (count, length)))
        level = torch.from_numpy(level_grid(SLOTS)).expand(count, SLOTS)
        t = level[:, :, None, None, None]
        eps = torch.randn(count, 1, *source.shape[2:])
        held = source[:, :1].repeat(1, SLOTS, 1, 1, 1)
        one, mouth = torch.ones(count), torch.tensor([[0.5, 0.49]]).expand(count, 2)
        done = []
        for newest in range(SLOTS - 1, length):
            frames = [newest - age for age in reversed(range(SLOTS))]
            held[:, -1] = source[:, newest]
            tokens = torch.stack(
                [by_age[SLOTS - 1 - k][:, frame] for k, frame in enumerate(frames)], 1
            )
            with torch.autocast("cpu", torch.bfloat16):
                x = (1 - t) * held + t * eps
                x0 = self.model(x, source[:, frames], level, tokens, one, mouth).float()
            if frames[0] >= WARM:
                done.append(x0[:, 0])
            held = torch.cat([x0[:, 1:], x0[:, -1:]], 1)
        return torch.stack(done, 1)


def collect(
    data: Path, queue: Queue, model: Autoencoder, shards: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Estimates and encoder's latents (N, 16, h, w) float16, and their crops (N, 3, S, S) uint8."""
    found = crop_shards(data)
    estimates, latents, crops = [], [], []
    for kind in ("grid", "portraits", "heads128"):
        paths = [p for p in found if p.parent.name == kind]
        for i in rng.permutation(len(paths))[:shards]:
            frames = read_shard(paths[i])
            if kind == "grid":
                names, starts = [paths[i].stem] * 2, [0, 0]
            else:
                stored = np.load(paths[i])
                names, starts = stored["clips"].tolist(), stored["starts"].tolist()
            if any(name not in queue.table.first for name in names):
                continue
            length = min(frames.shape[1], 40)
            z = encode(model, frames[:, :length].reshape(-1, *frames.shape[2:]))
            tracks = torch.from_numpy(z).unflatten(0, (len(frames), length)).float()
            targets = [0] if kind == "grid" else list(range(len(frames)))
            sources = [(a + 1) % len(frames) for a in targets]
            rows = torch.stack(
                [
                    queue.table.first[names[a]] + int(starts[a]) + torch.arange(length)
                    for a in targets
                ]
            )
            estimate = queue.finished(tracks[sources], rows)
            kept = slice(WARM, WARM + estimate.shape[1])
            estimates.append(estimate.flatten(0, 1).half())
            latents.append(tracks[targets][:, kept].flatten(0, 1).half())
            crops.append(torch.from_numpy(frames[targets][:, kept]).flatten(0, 1))
    pictures = torch.cat(crops).permute(0, 3, 1, 2).contiguous()
    return torch.cat(estimates), torch.cat(latents), pictures


def batches(
    estimates: Tensor, latents: Tensor, crops: Tensor, size: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    g = torch.Generator().manual_seed(seed)
    while True:
        of_queue = torch.randint(len(crops), (size // 2,), generator=g)
        encoded = torch.randint(len(crops), (size - size // 2,), generator=g)
        noisy = latents[encoded].float()
        noisy = noisy + 0.05 * torch.randn(noisy.shape, generator=g)
        crop = crops[torch.cat([of_queue, encoded])].float() / 127.5 - 1
        yield torch.cat([estimates[of_queue].float(), noisy]), crop


def _seen(picture: Tensor) -> Tensor:
    return F.pixel_unshuffle(picture[:, :, MOUTH[0], MOUTH[1]], FOLD)


def train(rank: int, args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed * 100 + rank)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    model = Autoencoder().to(memory_format=torch.channels_last)
    model.load_state_dict(checkpoint.load(args.autoencoder).weights)
    model.encoder.requires_grad_(False)
    table = SoundTable.read(args.data / "sound.npz", grid_names("train"))
    queue = Queue(args.denoiser, args.audio, table)
    rng = np.random.default_rng([args.seed, rank])
    estimates, latents, crops = collect(args.data, queue, model, args.shards, rng)
    if rank == 0:
        print(f"{len(crops)} finished frames a worker", flush=True)
    stream = batches(estimates, latents, crops, args.batch, args.seed * 100 + rank)
    sharp = SharpnessTerm(3 * FOLD * FOLD, args.sharpness)
    weight = mouth_weight(crops.shape[-1])
    args.run.parent.mkdir(parents=True, exist_ok=True)
    for _ in (loop := Loop(model, rank, args)):
        z, crop = next(stream)
        with torch.autocast("cpu", torch.bfloat16):
            output = model.decoder(z).float()
        leaf = output.detach().requires_grad_(True)
        loss = loss_of(leaf, crop, weight)
        (gradient,) = torch.autograd.grad(loss, leaf)
        fake, real = _seen(leaf), _seen(crop)
        push = sharp.push(fake, real, leaf, gradient)
        output.backward(gradient + push)
        loop.update({"loss": loss.item(), "critic": sharp.learn(fake, real)})


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--denoiser", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="the tuned autoencoder")
    parser.add_argument("--shards", type=int, default=60, help="of each kind and worker")
    parser.add_argument("--sharpness", type=float, default=0.4)
    add_options(parser, minutes=10, rate=3e-4, seed=2)
    args = parser.parse_args(argv)
    run_workers(train, args.workers, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
