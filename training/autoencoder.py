"""Trains the autoencoder on every crop there is (GRID, driven portraits, rendered heads, drawn
faces): L1, gradients, and the mouth twice.

A little noise on the latent keeps the decoder smooth around what the denoiser will hand it. Half of
each batch is moved a few pixels in latent space and must decode to the moved picture (equivariance
as in EQ-VAE, arXiv 2502.09509): lips that move by less than a latent pixel move it smoothly.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.model.autoencoder import Autoencoder
from training import checkpoint
from training.crops import crop_shards, read_shard
from training.curve import Curve
from training.loop import add_options, begin, read_options, refuse
from training.networks import MisfitError, restore

CROPS = {"grid": 10, "portraits": 12, "rendered": 20, "drawn": 16}  # of each shard


def sample_crops(data: Path, per_shard: dict[str, int], rng: np.random.Generator) -> Tensor:
    """A training set in memory, uint8 (N, 3, S, S): a few frames of every shard."""
    crops = []
    for path in crop_shards(data):
        if path.parent.name not in per_shard:
            continue
        frames = read_shard(path)
        flat = frames.reshape(-1, *frames.shape[2:])
        crops.append(flat[rng.integers(0, len(flat), per_shard[path.parent.name])])
    return torch.from_numpy(np.concatenate(crops)).permute(0, 3, 1, 2).contiguous()


def mouth_weight(size: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    return 1.0 + 1.5 * torch.exp(-(((x - 0.5) / 0.22) ** 2 + ((y - 0.53) / 0.16) ** 2))


def loss_of(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    error = (output - target) * weight
    across = (error[..., 1:] - error[..., :-1]).abs().mean()
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return error.abs().mean() + 0.7 * (across + down)


def random_moves(count: int) -> Tensor:
    """Small similarity transforms (count, 2, 3), normalised coordinates: 7 px, 8 %, 7 degrees."""
    angle, scale = 0.06 * torch.randn(count), torch.exp(0.04 * torch.randn(count))
    a, b = scale * angle.cos(), scale * angle.sin()
    shift = 0.05 * torch.randn(count, 2)
    rows = torch.stack([a, -b, shift[:, 0], b, a, shift[:, 1]], 1)
    return rows.view(count, 2, 3)


def moved(pictures: Tensor, moves: Tensor) -> Tensor:
    """Pictures or latents (N, C, H, W), resampled bilinearly; borders repeat."""
    grid = F.affine_grid(moves, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _resampling(old: int, new: int) -> Tensor:
    """(new, old) weights: `new` equal cells of a unit interval seen through `old` equal cells."""
    edges_old, edges_new = torch.linspace(0, 1, old + 1), torch.linspace(0, 1, new + 1)
    low = torch.maximum(edges_new[:-1, None], edges_old[None, :-1])
    high = torch.minimum(edges_new[1:, None], edges_old[None, 1:])
    return (high - low).clamp(min=0) * new


def grow(model: Autoencoder, weights: dict[str, Tensor]) -> None:
    """Start from an autoencoder of smaller crops: the same latents, its first and last convolution
    resampled to this one's fold.
    """
    fold = model.config.fold
    first, last = "encoder.layers.1.weight", f"decoder.layers.{len(model.decoder.layers) - 2}."
    old = round((weights[first].shape[1] / 3) ** 0.5)
    grown = {k: v.float() for k, v in weights.items()}
    down = torch.kron(_resampling(fold, old), _resampling(fold, old))  # (old old, fold fold)
    up = torch.kron(_resampling(old, fold), _resampling(old, fold))

    def through(matrix: Tensor, value: Tensor) -> Tensor:
        """Channels (C, cells) of axis 0 through a matrix (new cells, old cells)."""
        return torch.einsum("nm,cm...->cn...", matrix, value).flatten(0, 1)

    kernel = grown[first].transpose(0, 1).unflatten(0, (3, old**2))
    grown[first] = through(down.T, kernel).transpose(0, 1).contiguous()
    for part in ("weight", "bias"):
        grown[last + part] = through(up, grown[last + part].unflatten(0, (3, old**2)))
    model.load_state_dict(grown, strict=False)


def batches(crops: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        picked = crops[torch.randint(len(crops), (size,), generator=generator)]
        if torch.rand(1, generator=generator) < 0.5:
            picked = picked.flip(-1)
        yield picked.float() / 127.5 - 1


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "autoencoder")
    parser.add_argument("--grow", type=Path, help="an autoencoder of smaller crops to start from")
    args = read_options(parser, "autoencoder", argv)
    seed = begin(0, args)
    rng = np.random.default_rng(args.seed)
    try:
        crops = sample_crops(args.data, CROPS, rng)
    except OSError as error:
        refuse(parser, error)
    side = args.preset.autoencoder.crop_px
    if crops.shape[-1] != side:
        refuse(parser, f"{args.data} holds crops of {crops.shape[-1]} px, not of {side} px")
    with torch.device("cpu"):
        model = Autoencoder(args.preset.autoencoder)
    start = 0
    try:
        if args.run.exists():
            start = restore(model, args.run).step
        elif args.grow:
            grow(model, checkpoint.load(args.grow).weights)
    except (MisfitError, OSError) as error:
        refuse(parser, error)
    model.set_scale(1.0)
    model = model.to(args.device, memory_format=torch.channels_last)
    ema = checkpoint.Ema(model)
    optimiser = torch.optim.AdamW(
        model.parameters(), args.rate, betas=(0.9, 0.99), weight_decay=0.01
    )
    weight = mouth_weight(crops.shape[-1])
    stream = batches(crops, args.batch, torch.Generator().manual_seed(seed))
    curve = Curve(args.run, start)
    began, step, recent = time.monotonic(), 0, []
    while True:
        done = step / args.steps if args.steps else (time.monotonic() - began) / (60 * args.minutes)
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1.0, (step + 1) / 100) * (1 - done) ** 0.8 + 1e-5
        with torch.device("cpu"):
            crop = next(stream)
        crop = crop.to(args.device, memory_format=torch.channels_last)
        moves = random_moves(len(crop) // 2)
        with torch.autocast(args.device, torch.bfloat16):
            z = model.encoder(crop)
            z = torch.cat([moved(z[: len(moves)].float(), moves), z[len(moves) :]])
            output = model.decoder(z + 0.05 * torch.randn_like(z))
        crop = torch.cat([moved(crop[: len(moves)], moves), crop[len(moves) :]])
        spread = (z.float().pow(2).mean() - 1).clamp(min=0)
        loss = loss_of(output.float(), crop, weight) + 0.1 * spread
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        ema.update(model)
        step += 1
        recent.append(float((output.detach().float() - crop).abs().mean()) * 127.5)
        if step % 100 == 0:
            print(
                f"{start + step} {time.monotonic() - began:.0f}s L1 {np.mean(recent[-100:]):.2f} "
                f"std {float(z.detach().float().std()):.2f}",
                flush=True,
            )
            curve.add(start + step, {"L1": float(np.mean(recent[-100:])), "loss": loss.item()})
        if step % 500 == 0:
            save(args, ema.model, crops, start + step)
            curve.save()
    std = save(args, ema.model, crops, start + step)
    curve.save()
    print(f"{len(crops)} crops, latent std {std:.3f}")
    return 0


@torch.no_grad()
def save(args: argparse.Namespace, model: Autoencoder, crops: Tensor, step: int) -> float:
    """Write a checkpoint whose latents have a deviation of one, as all that is trained on them
    expects, and return the deviation that `model`'s have. crops: uint8 (N, 3, S, S).
    """
    some = crops[:: max(1, len(crops) // 512)].float() / 127.5 - 1
    std = float(torch.cat([model.encoder(p.to(args.device)) for p in some.split(64)]).std())
    model.set_scale(std)
    checkpoint.save(args.run, model, step, latent_std=std)
    model.set_scale(1.0)
    return std


if __name__ == "__main__":
    raise SystemExit(main())
