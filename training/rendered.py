"""Rendered heads -> aligned training shards of the same form as driven portraits, one a head."""

from __future__ import annotations

import argparse
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from engine.face.align import STABLE_INDICES, Similarity, fit_similarity, warp_crop
from engine.face.points import LANDMARKS
from training.augment import Look, smooth_drift
from training.grid import CROP_PX
from training.occluders import Occluder
from training.portraits import CANVAS_PX, MARGIN
from training.splits import refuse_test_head

COVERED = {"rendered": 0.12, "moments": 0.35}  # share of heads with something before the mouth
_STABLE = [LANDMARKS.index(point) for point in STABLE_INDICES]


def build(shard: Path, output: Path, kind: str = "rendered") -> int:
    """Cut every head of one shard of `training.heads.talk` into `output`; returns how many."""
    stored = np.load(shard)
    frames, points = stored["frames"], stored["points"]
    k, shift = CROP_PX / CANVAS_PX, MARGIN / CANVAS_PX
    for head, seed in enumerate(stored["seeds"].tolist()):
        refuse_test_head(seed)
        target = output / f"head_{seed}.npz"
        if target.exists():
            continue
        rng = np.random.default_rng(seed)
        look, drift = Look.sample(rng, mild=True), smooth_drift(frames.shape[2], rng, 0.008)
        # One alignment for all tracks: the stable points do not move with the mouth.
        transforms = [fit_similarity(p[_STABLE]) for p in points[head].mean(0)]
        transforms = [
            Similarity(t.a * k, t.b * k, t.tx * k + shift, t.ty * k + shift) for t in transforms
        ]
        cover = None
        if rng.random() < COVERED[kind]:
            cover = Occluder.sample(rng, CANVAS_PX, lively=kind == "moments")
        tracks = []
        for track in frames[head]:
            canvas = np.stack(
                [warp_crop(f, t, CANVAS_PX) for f, t in zip(track, transforms, strict=True)]
            )
            if cover is not None:
                canvas, _ = cover.paint(canvas)
            tracks.append(look.apply(canvas, drift, CROP_PX, rng))
        part = target.with_suffix(".part.npz")
        np.savez(
            part,
            frames=np.stack(tracks),
            clips=stored["clips"][head],
            starts=stored["starts"][head],
            covered=cover is not None,
        )
        part.rename(target)
    return len(stored["seeds"])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--heads", type=Path, required=True, help="folder of training.heads.talk's shards"
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--moments", action="store_true", help="more things before the mouth: for short tracks"
    )
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args(argv)
    kind = "moments" if args.moments else "rendered"
    shards = [p for p in sorted(args.heads.glob("*.npz")) if ".part" not in p.name]
    if not shards:
        parser.exit(2, f"{parser.prog}: no heads in {args.heads}: training.heads.talk makes them\n")
    folder = args.output / kind
    folder.mkdir(parents=True, exist_ok=True)
    with Pool(args.jobs) as pool:
        print(f"{sum(pool.imap_unordered(partial(build, output=folder, kind=kind), shards))} heads")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
