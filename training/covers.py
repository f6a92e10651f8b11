"""Teaches the motion net what stands before a face: things painted on crops, so that where they are
is known to the pixel.

It goes last, on single frames: each has a thing of its own on source and target. What the denoiser
makes of a thing is not to matter, so the edit shows it anywhere between wholly and not at all, and
at times a little elsewhere; only the source tells. Motion and `kept` are held to what they were
before; encoder and decoder stay as they are.
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.model.autoencoder import Autoencoder
from engine.model.motion import MotionNet
from engine.stream import DECODED
from training.crops import crop_shards, read_shard
from training.latents import encode
from training.loop import Loop, add_options, begin, read_options, refuse
from training.networks import MisfitError, restore
from training.occluders import Occluder
from training.seen_motion import Field, Rgb

A_SHARD = 16  # frames taken of one shard
PAINTED = 0.7  # share of frames with something before the face
ELSEWHERE = 0.3, 4  # share of those whose edit shows it some frames off, and how many at most
BLURRED = 0.5  # share of frames softened after that, as a camera would
STILL = 0.3  # share of edits that change nothing: where nothing changes need be no cover
NOISE = 0.05  # on the edited latent
HELD = 300.0, 10.0  # weights of how far motion, crop units, and `kept` stray


@dataclass(frozen=True)
class Covered:
    """Frames: latents of the edit with and without what covers it and of the source
    (N, 16, h, w), and the source's cover (N, 1, 4h, 4w), 0..1: the part that the engine looks at.
    """

    target: Tensor
    bare: Tensor
    source: Tensor
    cover: Tensor

    def batch(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Edit, source, cover."""
        picked = torch.randint(len(self.cover), (size,))
        parts = (self.target, self.bare, self.source, self.cover)
        target, bare, source, cover = (part[picked].float() for part in parts)
        shown = (2 * torch.rand(size, 1, 1, 1) - 0.4).clamp(0, 1)
        still = torch.rand(size, 1, 1, 1) < STILL
        z = torch.where(still, source, torch.lerp(bare, target, shown))
        return z + NOISE * torch.randn(z.shape), source, cover


def painted(pair: Rgb, rng: np.random.Generator) -> tuple[Rgb, Field]:
    """Two mouths of one frame, target and source (2, S, S, 3), with the same thing before them, and
    its cover on the source (S, S), 0..1.
    """
    size = pair.shape[1]
    cheeks = pair[0, size // 4 : size // 2, size // 3 : -size // 3].mean((0, 1))
    thing = Occluder.sample(rng, size, skin=tuple(cheeks.tolist()), lively=True)
    share, most = ELSEWHERE
    off = int(rng.integers(-most, most + 1)) if rng.random() < share else 0
    target, _ = thing.paint(pair[:1], off)
    source, cover = thing.paint(pair[1:])
    return np.concatenate([target, source]), cover[0]


def bare_shards(data: Path) -> dict[str, list[Path]]:
    """By kind, the shards whose faces have nothing before them: what data made itself is not
    marked to the pixel, and would teach that it is face.

    Raises:
        FileNotFoundError: there are none in `data`.
    """
    of_kind: dict[str, list[Path]] = {}
    for path in crop_shards(data):
        if path.suffix == ".npz":
            with np.load(path) as stored:
                if stored.get("covered"):
                    continue
        of_kind.setdefault(path.parent.name, []).append(path)
    if not of_kind:
        raise FileNotFoundError(f"no crops in {data}")
    return of_kind


def collect(data: Path, model: Autoencoder, count: int, rng: np.random.Generator) -> Covered:
    """Frames of all kinds alike.

    Raises:
        FileNotFoundError: there are no crops in `data`.
    """
    of_kind = bare_shards(data)
    latents: list[Tensor] = []
    covers: list[Field] = []
    side = model.config.latent_side
    top, left, right = (round(share * side) for share in DECODED)
    while len(covers) < count:
        paths = of_kind[sorted(of_kind)[int(rng.integers(len(of_kind)))]]
        frames = read_shard(paths[int(rng.integers(len(paths)))])
        mouths: list[Rgb] = []
        for t in rng.integers(frames.shape[1], size=A_SHARD):
            pair = frames[rng.choice(len(frames), 2, replace=False), t]
            bare, cover = pair[:1], np.zeros(pair.shape[1:3], np.float32)
            if rng.random() < PAINTED:
                pair, cover = painted(pair, rng)
            three = np.concatenate([pair, bare])
            if rng.random() < BLURRED:
                sigma = rng.uniform(0.3, 1.2)
                three = np.stack([cv2.GaussianBlur(p, (0, 0), sigma) for p in three])
            mouths.append(three)
            cover = cv2.resize(cover, (4 * side, 4 * side), interpolation=cv2.INTER_AREA)
            covers.append(cover[4 * top :, 4 * left : 4 * right])
        z = torch.from_numpy(encode(model, np.concatenate(mouths)))
        latents.append(z[:, :, top:, left:right].unflatten(0, (-1, 3)))
    target, source, bare_z = torch.cat(latents).unbind(1)
    return Covered(target, bare_z, source, torch.from_numpy(np.stack(covers))[:, None].half())


Fields = tuple[Tensor, Tensor, Tensor]  # motion, kept, covered


def cover_loss(said: Fields, before: Fields, cover: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy of `covered`; and how far what the net says beside the cover strays from what
    it said before.
    """
    motion, kept, covered = said
    entropy = F.binary_cross_entropy(covered.clamp(1e-4, 1 - 1e-4), cover)
    of_motion, of_kept = HELD
    strayed = (
        of_motion * (motion - before[0]).abs().mean(1) + of_kept * (kept - before[1]).abs()[:, 0]
    )
    return entropy, (strayed * (1 - cover[:, 0])).mean()


def fields(net: MotionNet, z: Tensor, source: Tensor) -> Fields:
    with torch.autocast(z.device.type, torch.bfloat16):
        motion, kept, covered = net(z, source)
    return motion.float(), kept.float(), covered.float()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "covers")
    parser.add_argument("--autoencoder", type=Path, required=True, help="as appearance left it")
    args = read_options(parser, "covers", argv)
    model = Autoencoder(args.preset.autoencoder)
    begin(0, args)
    try:
        stored = restore(model, args.autoencoder)
        before = deepcopy(model.motion).eval().requires_grad_(False).to(args.device)
        if args.run.exists():
            stored = restore(model, args.run)
        with torch.device("cpu"):
            rng = np.random.default_rng(args.seed)
            seen = collect(args.data, model.cpu(), args.frames, rng)
    except (MisfitError, OSError) as error:
        refuse(parser, error)
    print(
        f"{len(seen.cover)} frames, {float(seen.cover.float().mean()):.3f} of them covered",
        flush=True,
    )
    model.requires_grad_(False)
    model.motion.requires_grad_(True)
    model = model.to(args.device)
    for _ in (loop := Loop(model, 0, args, stored.step if args.run.exists() else 0)):
        with torch.device("cpu"):
            batch = seen.batch(args.batch)
        z, source, cover = (part.to(args.device) for part in batch)
        with torch.no_grad():
            held = fields(before, z, source)
        entropy, strayed = cover_loss(fields(model.motion, z, source), held, cover)
        (entropy + strayed).backward()
        loop.update({"cover": entropy.item(), "strayed": strayed.item()})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
