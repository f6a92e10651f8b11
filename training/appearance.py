"""Trains what turns an edited latent into a picture: the motion net and the decoder.

Source and target are two mouth tracks over the same head. The source's pixels move, the decoder
fills in what they cannot show, and what the viewer sees is held against the target: L1, gradients,
and a critic on the mouth's pixels. Finished latents of the queue lie beside the encoder's, and a
decoder that saw only the encoder's makes them soft: half of each batch are the queue's. Encoder and
latents stay as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.flow import level_grid
from engine.model.audio_encoder import AudioEncoder
from engine.model.autoencoder import Autoencoder
from engine.model.dit import Denoiser
from training.autoencoder import loss_of, mouth_weight
from training.composite import composite
from training.critic import SharpnessTerm
from training.crops import crop_shards, read_shard
from training.latents import encode
from training.loop import Loop, add_options, begin, read_options, refuse
from training.networks import MisfitError, check, load_audio, load_denoiser, restore
from training.parallel import run_workers
from training.seen_motion import seen_motion
from training.sound import SoundTable, grid_names, heard_mask
from training.window_config import FRAMES_USED

SLOTS = 3
WARM = 3  # first frames of a clip: the queue is still filling
MOUTH = (9, 27, 7, 25)  # top, bottom, left, right of what the critic sees, 32nds of the crop
CONTRAST = 4.0  # a critic of spectral norm 1 cannot tell apart what differs by a few grey levels
NOISE = 0.05  # on encoder's latents
GENERATED = 0.02  # price of a pixel that is not the source's: decoded ones have no noise to err by
DECODED = 0.3  # weight of the decoded crop on its own
SEEN_MOTION, SEEN_KEPT = 0.2, 0.05  # weights of what optical flow says


class Queue:
    """The live queue in torch, for whole clips: heard sound, strength 1, one eps a clip."""

    def __init__(self, denoiser: Path, audio: Path, table: SoundTable) -> None:
        self.model = load_denoiser(denoiser).eval().requires_grad_(False)
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


@dataclass(frozen=True)
class Pairs:
    """Frames of two mouth tracks over one head: latents (N, 16, h, w) float16 as the queue finishes
    them, of the target and of the source; target and source crops (N, 3, S, S) uint8; motion
    (N, 2, s, s) and kept (N, 1, s, s) float16 as optical flow sees them, or of side 0.
    """

    finished: Tensor
    target_z: Tensor
    source_z: Tensor
    target: Tensor
    source: Tensor
    motion: Tensor
    kept: Tensor

    def batches(self, size: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
        """(z, source_z, target, source, motion, kept): half of z the queue's, half the encoder's
        with noise.
        """
        g = torch.Generator().manual_seed(seed)
        while True:
            picked = torch.randint(len(self.target), (size,), generator=g)
            encoded = self.target_z[picked[size // 2 :]].float()
            encoded = encoded + NOISE * torch.randn(encoded.shape, generator=g)
            z = torch.cat([self.finished[picked[: size // 2]].float(), encoded])
            crops = (c[picked].float() / 127.5 - 1 for c in (self.target, self.source))
            seen = (self.motion[picked].float(), self.kept[picked].float())
            yield z, self.source_z[picked].float(), *crops, *seen


def collect(
    data: Path,
    queue: Queue | None,
    model: Autoencoder,
    shards: int,
    rng: np.random.Generator,
    by_flow: bool,
    told: Callable[[str], None],
) -> Pairs:
    """A few shards of every kind; without a queue the encoder's latents stand in for its own."""
    found = crop_shards(data)
    parts: list[list[Tensor]] = [[] for _ in fields(Pairs)]
    # The queue is not yet warm where a track ends as soon as a sketch's does.
    for kind in (k for k, frames in FRAMES_USED.items() if frames > WARM + SLOTS):
        paths = [p for p in found if p.parent.name == kind]
        drawn = rng.permutation(len(paths))[:shards]
        for k, i in enumerate(drawn):
            if k % 10 == 0:
                told(f"pairs of {kind}: {k} of {len(drawn)} shards")
            frames = read_shard(paths[i])
            if kind == "grid":
                names, starts = [paths[i].stem] * 2, [0, 0]
            else:
                stored = np.load(paths[i])
                names, starts = stored["clips"].tolist(), stored["starts"].tolist()
            length = min(frames.shape[1], 40)
            z = encode(model, frames[:, :length].reshape(-1, *frames.shape[2:]))
            tracks = torch.from_numpy(z).unflatten(0, (len(frames), length)).float()
            targets = [0] if kind == "grid" else list(range(len(frames)))
            sources = [(a + 1) % len(frames) for a in targets]
            kept = slice(WARM, length - SLOTS + 1)
            if queue is None:
                finished = tracks[targets][:, kept]
            elif any(name not in queue.table.first for name in names):
                continue
            else:
                first = [queue.table.first[names[a]] + int(starts[a]) for a in targets]
                rows = torch.stack([f + torch.arange(length) for f in first])
                finished = queue.finished(tracks[sources], rows)
            crops = torch.from_numpy(frames).permute(0, 1, 4, 2, 3)
            latents = (finished, tracks[targets][:, kept], tracks[sources][:, kept])
            pictures = (crops[targets][:, kept], crops[sources][:, kept])
            values = [v.flatten(0, 1) for v in (*(z.half() for z in latents), *pictures)]
            if by_flow:
                values += flow_of(values[-2], values[-1], 4 * z.shape[-1])
            else:
                values += [torch.zeros(len(values[0]), n, 0, 0) for n in (2, 1)]
            for part, value in zip(parts, values, strict=True):
                part.append(value)
    return Pairs(*(torch.cat(part) for part in parts))


def flow_of(target: Tensor, source: Tensor, side: int) -> list[Tensor]:
    """Crops (N, 3, S, S) uint8 -> motion (N, 2, side, side), kept (N, 1, side, side), float16."""
    frames = (p.permute(0, 2, 3, 1).numpy() for p in (target, source))
    seen = [seen_motion(a, b, side) for a, b in zip(*frames, strict=True)]
    motion, kept = (torch.from_numpy(np.stack(part)) for part in zip(*seen, strict=True))
    return [motion.half(), kept[:, None].half()]


def _seen(picture: Tensor, fold: int) -> Tensor:
    top, bottom, left, right = (edge * picture.shape[-1] // 32 for edge in MOUTH)
    return CONTRAST * F.pixel_unshuffle(picture[:, :, top:bottom, left:right], fold)


def seen_loss(motion: Tensor, kept: Tensor, seen: Tensor, seen_kept: Tensor) -> Tensor:
    """Motion's distance from the flow where that explains the target, in hundredths of the crop,
    and cross entropy of `kept`.
    """
    distance = 100 * ((motion - seen) * seen_kept).abs().mean()
    entropy = F.binary_cross_entropy(kept.clamp(1e-4, 1 - 1e-4), seen_kept)
    return SEEN_MOTION * distance + SEEN_KEPT * entropy


def train(rank: int, args: argparse.Namespace) -> None:
    start = args.run if args.run.exists() else args.autoencoder
    model = Autoencoder(args.preset.autoencoder).to(memory_format=torch.channels_last)
    stored = restore(model, start, partial=True)
    model.encoder.requires_grad_(False)
    if args.decoder_alone:
        model.motion.requires_grad_(False)
    queue = None
    if args.denoiser:
        table = SoundTable.read(args.data / "sound.npz", grid_names("train"))
        queue = Queue(args.denoiser, args.audio, table)
    rng = np.random.default_rng([args.seed, rank])
    told = partial(print, flush=True) if rank == 0 else lambda words: None
    pairs = collect(args.data, queue, model, args.shards, rng, not args.decoder_alone, told)
    seed = begin(rank, args)
    model = model.to(args.device)
    told(f"{len(pairs.target)} pairs a worker")
    stream = pairs.batches(args.batch, seed)
    fold = model.config.factor // 2  # the critic sees twice the latent's side
    sharp = SharpnessTerm(3 * fold * fold, args.sharpness)
    weight = mouth_weight(pairs.target.shape[-1])
    args.run.parent.mkdir(parents=True, exist_ok=True)
    for _ in (loop := Loop(model, rank, args, stored.step if start == args.run else 0)):
        with torch.device("cpu"):
            batch = next(stream)
        z, source_z, target, source, seen, seen_kept = (part.to(args.device) for part in batch)
        with torch.autocast(args.device, torch.bfloat16):
            edit = model.decoder(z).float()
            motion, kept, _ = (field.float() for field in model.motion(z, source_z))
        shown = composite(source, edit, motion, kept)
        leaf = shown.detach().requires_grad_(True)
        loss = loss_of(leaf, target, weight)
        (gradient,) = torch.autograd.grad(loss, leaf)
        fake, real = _seen(leaf, fold), _seen(target, fold)
        push = sharp.push(fake, real, leaf, gradient)
        # The decoded mouth must be right by itself too, or it decays where it is not shown.
        aside = DECODED * loss_of(edit, target, weight) + GENERATED * (1 - kept).mean()
        figures = {}
        if not args.decoder_alone:
            by_flow = seen_loss(motion, kept, seen, seen_kept)
            aside, figures = aside + by_flow, {"by flow": by_flow.item()}
        torch.autograd.backward([shown, aside], [gradient + push, torch.ones_like(aside)])
        loop.update(
            {
                "loss": loss.item(),
                "critic": sharp.learn(fake, real),
                "still": float(loss_of(source, target, weight)),
                "generated": float(1 - kept.detach().mean()),
            }
            | figures
        )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "appearance")
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--denoiser", type=Path, help="without it: the encoder's latents alone")
    parser.add_argument(
        "--decoder-alone",
        action="store_true",
        help="leave the motion net as it is: what `covers` taught it stays",
    )
    args = read_options(parser, "appearance", argv)
    if args.denoiser and not args.audio:
        parser.error("--denoiser needs --audio")
    try:
        model = Autoencoder(args.preset.autoencoder)
        restore(model, args.run if args.run.exists() else args.autoencoder, partial=True)
        crop_shards(args.data)
        if args.denoiser:
            check(Denoiser(args.preset.denoiser), args.denoiser)
            check(AudioEncoder(args.preset.audio), args.audio)
    except (MisfitError, OSError) as error:
        refuse(parser, error)
    run_workers(train, args.workers, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
