"""GRID speaker 1 -> aligned crops, sound and lip pose, one shard a clip group; and the mouth-
altered source of each frame.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from engine.audio import SAMPLES_PER_FRAME, mel_of
from engine.face.align import STABLE_INDICES, fit_similarity, warp_crop
from training.augment import Look, smooth_drift
from training.lip_pose import PoseBasis, displacements, opening
from training.mouth_inside import in_natural_colours
from training.splits import data_dir, held_out, refuse_held_out

CROP_PX = 192
NATURAL_SHARE = 0.85  # of clips, whose teeth get the colours that compression took


@dataclass(frozen=True)
class Clip:
    """One GRID sentence: frames uint8 (T, H, W, 3), points (T, 478, 2) px, pcm int16 16 kHz."""

    name: str
    frames: NDArray[np.uint8]
    points: NDArray[np.float32]
    pcm: NDArray[np.int16]


def read_frames(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def read_pcm(path: Path) -> NDArray[np.int16]:
    """Any sound file -> int16 mono 16 kHz."""
    resampler = av.AudioResampler("s16", "mono", 16_000)
    chunks = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            chunks += [out.to_ndarray()[0] for out in resampler.resample(frame)]
        chunks += [out.to_ndarray()[0] for out in resampler.resample(None)]
    return np.concatenate(chunks)


def load_clip(name: str, labels: Path) -> Clip | None:
    """Clip `name` of grid_s1 with its labels, or None where a frame has no face."""
    folder = data_dir() / "grid_s1"
    points = np.load(labels / "grid_s1" / f"{name}.npz")["points"]
    frames = read_frames(folder / f"{name}.mp4")
    if np.isnan(points).any() or len(points) != len(frames) or len(frames) < 70:
        return None
    return Clip(name, frames, points, read_pcm(folder / f"{name}.flac"))


def smooth_stable(points: NDArray[np.float32], width: int = 5) -> NDArray[np.float32]:
    """Stable points (T, 9, 2), running mean over `width` frames, as live following smooths them."""
    stable = points[:, list(STABLE_INDICES)]
    padded = np.pad(stable, ((width // 2, width // 2), (0, 0), (0, 0)), "edge")
    return np.stack([padded[i : i + len(stable)] for i in range(width)]).mean(0)


def aligned(clip: Clip, crop_px: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Aligned crops of a clip, uint8 (T, crop_px, crop_px, 3), and its points in their pixels."""
    transforms = [fit_similarity(s) for s in smooth_stable(clip.points)]
    crops = [warp_crop(f, t, crop_px) for f, t in zip(clip.frames, transforms, strict=True)]
    points = [t.apply(p) * crop_px for p, t in zip(clip.points, transforms, strict=True)]
    return np.stack(crops), np.stack(points).astype(np.float32)


def mouth_mask(crop_px: int = CROP_PX, softness: float = 0.05) -> NDArray[np.float32]:
    """Soft lower-face mask (crop_px, crop_px, 1): 1 from under the nose to the chin."""
    y, x = np.mgrid[0:crop_px, 0:crop_px].astype(np.float32) / crop_px
    inside = 1.0 - np.maximum(np.abs(x - 0.5) / 0.36, np.abs(y - 0.62) / 0.30)
    return np.clip(inside / (2 * softness) + 0.5, 0, 1)[..., None].astype(np.float32)


def alter_mouth(crops: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The same frames with the lower face of another moment of the clip: mouth wrong, all else
    right.
    """
    count = len(crops)
    shift = int(rng.integers(8, count - 8))
    other = np.roll(crops, -shift, axis=0)
    if rng.random() < 0.5:
        other = crops[::-1] if rng.random() < 0.5 else other[::-1]
    mask = mouth_mask(crops.shape[1])
    mask = cv2.GaussianBlur(mask, (0, 0), 3)[..., None]
    border = ((mask > 0.2) & (mask < 0.8)).astype(np.float32)
    weight = border.sum()
    out = np.empty_like(crops)
    for i in range(count):
        a, b = crops[i].astype(np.float32), other[i].astype(np.float32)
        gain = (a * border).sum((0, 1)) / weight - (b * border).sum((0, 1)) / weight
        out[i] = np.clip(a * (1 - mask) + (b + gain) * mask, 0, 255)
    return out


def build(name: str, labels: Path, output: Path) -> bool:
    """Write one clip's shard: frames (2, T, S, S, 3) = true and mouth-altered. False where it has
    no usable labels.
    """
    target = output / f"{name}.npy"
    if target.exists():
        return True
    clip = load_clip(name, labels)
    if clip is None:
        return False
    rng = np.random.default_rng(int.from_bytes(name.encode(), "big") % 2**32)
    crops, points = aligned(clip, CROP_PX + 32)
    if rng.random() < NATURAL_SHARE:
        crops = in_natural_colours(crops, points)
    altered = alter_mouth(crops, rng)
    look, drift = Look.sample(rng, mild=True), smooth_drift(len(crops), rng)
    pair = np.stack([look.apply(track, drift, CROP_PX, rng) for track in (crops, altered)])
    np.save(output / f"{name}.part.npy", pair)
    (output / f"{name}.part.npy").rename(target)
    return True


def write_sound_table(labels: Path, output: Path) -> None:
    """sound.npz: mel, lip pose and opening of every clip (held-out ones too: evaluation needs
    them), and the pose basis, fitted to training clips only.
    """
    folder = data_dir() / "grid_s1"
    hidden = held_out("grid_s1")
    moved, mels, opens = {}, {}, {}
    for path in sorted(folder.glob("*.mp4")):
        points = np.load(labels / "grid_s1" / f"{path.stem}.npz")["points"]
        if np.isnan(points).any():
            continue
        moved[path.stem] = displacements(points)
        opens[path.stem] = opening(points).astype(np.float32)
        mels[path.stem] = mel_of(read_pcm(path.with_suffix(".flac"))).astype(np.float16)
    basis = PoseBasis.fit([d for name, d in moved.items() if name not in hidden])
    basis.save(output / "pose_basis.npz")
    tables: dict[str, Any] = {f"pose/{n}": basis.project(d) for n, d in moved.items()}
    tables |= {f"mel/{n}": m for n, m in mels.items()}
    tables |= {f"open/{n}": o for n, o in opens.items()}
    part = output / "sound.part.npz"
    np.savez(part, **tables)
    part.rename(output / "sound.npz")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args(argv)
    shards = args.output / "grid"
    shards.mkdir(parents=True, exist_ok=True)
    if not (args.output / "sound.npz").exists():
        write_sound_table(args.labels, args.output)
    hidden = held_out("grid_s1")
    paths = [p for p in sorted((data_dir() / "grid_s1").glob("*.mp4")) if p.stem not in hidden]
    refuse_held_out(paths)
    with Pool(args.jobs) as pool:
        work = partial(build, labels=args.labels, output=shards)
        kept = sum(pool.imap_unordered(work, [p.stem for p in paths], chunksize=8))
    print(f"{kept} of {len(paths)} clips, {SAMPLES_PER_FRAME} samples a frame")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
