"""Encodes every crop shard once: latents in memory are what teacher and distillation train on."""

from __future__ import annotations

import argparse
import ctypes
import sys
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.model.autoencoder import Autoencoder
from training.crops import crop_shards, read_shard
from training.loop import refuse
from training.networks import MisfitError, restore
from training.preset import PresetError, load_preset
from training.splits import refuse_held_out, refuse_held_out_names
from training.window_config import FRAMES_USED, KINDS

M_MMAP_THRESHOLD = -3  # of malloc.h


@torch.no_grad()
def encode(model: Autoencoder, frames: np.ndarray, batch: int = 64) -> np.ndarray:
    """uint8 (N, S, S, 3) -> latents float16 (N, 16, h, w)."""
    out = []
    for part in torch.from_numpy(frames).split(batch):
        crop = part.permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.autocast("cpu", torch.bfloat16):
            out.append(model.encoder(crop.to(memory_format=torch.channels_last)).half().numpy())
    return np.concatenate(out)


@dataclass(frozen=True)
class Tracks:
    """Clips of one kind, mouth tracks over the same head: latents (clips, K, T, 16, h, w) float16.

    `clips` and `starts` (clips, K) name the GRID sentence and its first frame behind every track.
    """

    latents: Tensor
    clips: list[list[str]]
    starts: Tensor

    @classmethod
    def read(cls, folder: Path, kind: str) -> Tracks:
        """Raises HeldOutError where a track speaks a sentence that training must not hear."""
        index = folder / f"latents_{kind}_index.npz"
        stored = np.load(index)
        clips = stored["clips"].tolist()
        refuse_held_out_names(chain.from_iterable(clips), index.name)
        latents = np.load(folder / f"latents_{kind}.npy", mmap_mode="c")
        return cls(torch.from_numpy(latents), clips, torch.from_numpy(stored["starts"]))

    def part(self, first: int, last: int) -> Tracks:
        """Clips first .. last - 1."""
        return Tracks(self.latents[first:last], self.clips[first:last], self.starts[first:last])


def large_blocks_apart() -> None:
    """Let glibc map every block above a megabyte by itself. Shards read and freed among small
    arrays otherwise leave gigabytes of holes.
    """
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument("--preset", default="tiny", help="tiny, small, base, or a .toml file")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    large_blocks_apart()
    try:
        preset = load_preset(args.preset)
        model = Autoencoder(preset.autoencoder)
        restore(model, args.autoencoder, partial=True)
        every = crop_shards(args.data)
    except (PresetError, MisfitError, OSError) as error:
        refuse(parser, error)
    model = model.to(memory_format=torch.channels_last).eval()
    for kind in args.kinds:
        shards = [p for p in every if p.parent.name == kind]
        latents, clips, starts = [], [], []
        for shard in shards:
            frames = read_shard(shard)
            count = FRAMES_USED[kind]
            if frames.shape[1] < count:
                continue
            if frames.shape[2] != model.config.crop_px:
                side = model.config.crop_px
                refuse(parser, f"{shard} holds crops of {frames.shape[2]} px, not of {side} px")
            frames = frames[:, :count]
            flat = encode(model, frames.reshape(-1, *frames.shape[2:]))
            latents.append(flat.reshape(*frames.shape[:2], *flat.shape[1:]))
            if kind == "grid":
                clips.append([shard.stem] * 2)
                starts.append([0, 0])
            else:
                stored = np.load(shard)
                refuse_held_out([Path(name) for name in stored["clips"].tolist()])
                clips.append(stored["clips"].tolist())
                starts.append(stored["starts"].tolist())
        if not latents:
            print(f"{kind}: nothing to encode")
            continue
        whole, index = (args.data / f"latents_{kind}{end}" for end in (".npy", "_index.npz"))
        parts = whole.with_suffix(".part.npy"), index.with_suffix(".part.npz")
        np.save(parts[0], np.stack(latents))
        np.savez(parts[1], clips=np.array(clips), starts=np.array(starts))
        index.unlink(missing_ok=True)  # never new latents with an index of the old
        parts[0].rename(whole)
        parts[1].rename(index)
        std = np.stack(latents[:20]).astype(np.float32).std()
        print(f"{kind}: {len(latents)} clips, std {std:.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
