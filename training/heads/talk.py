"""Rendered heads that talk: `python -m training.heads.talk --labels DIR --output FILE.npz`.

Every head speaks several mouth tracks over the same pose, light and noise, so that frame t of two
of its tracks differs in the mouth only. Shards `FILE.000.npz`, ... hold at most `--shard` heads:
`frames` uint8 (heads, K, T, 240, 240, 3), `points` float32 (heads, K, T, 39, 2) in pixels,
`visible` bool (heads, K, T, 39), `clips` str and `starts` int32 (heads, K), `seeds` int32 (heads,),
`poses` float32 (heads, T, 3) yaw, pitch, roll in radians, `openings` float32 (heads, K, T) the lip
opening of the clip.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.face.points import COUNT
from training.heads.assets import F32
from training.heads.blendshapes import SHAPE_OF
from training.heads.head import Framing, Head
from training.heads.motion import Motion
from training.heads.tracks import MouthTrack, TrackLibrary, fit_to_head
from training.splits import HeldOutError, refuse_test_head

SIZE_PX = 240
EYE_DISTANCE = 0.355  # of the picture: brow to chin with a margin, as sharp as a 192 px crop
EYES_Y = 0.27


@dataclass(frozen=True, slots=True)
class Talk:
    """Frames (K, T, 240, 240, 3), points (K, T, 39, 2), visible (K, T, 39), poses (T, 3)."""

    frames: NDArray[np.uint8]
    points: F32
    visible: NDArray[np.bool_]
    poses: F32


def render_talk(head: Head, motion: Motion, tracks: list[F32], seed: int) -> Talk:
    """Renders coefficients (T, 52) of each track over one motion."""
    count, length = len(tracks), len(motion.pose)
    frames = np.empty((count, length, SIZE_PX, SIZE_PX, 3), np.uint8)
    points = np.empty((count, length, COUNT, 2), np.float32)
    visible = np.empty((count, length, COUNT), np.bool_)
    for t in range(length):
        yaw, pitch, roll = (float(angle) for angle in motion.pose[t])
        # A turned head's face moves to the side it looks to: bring it back.
        framing = Framing(
            0.5 - 0.3 * np.sin(yaw) * EYE_DISTANCE + float(motion.sway[t, 0]),
            EYES_Y + 0.3 * np.sin(pitch) * EYE_DISTANCE + float(motion.sway[t, 1]),
            EYE_DISTANCE * float(motion.zoom[t]),
        )
        for k, track in enumerate(tracks):
            mouth = track[t] + motion.upper_face[t]
            # A draw of the sensor's noise for each frame, the same in all tracks.
            picture = head.render(
                *(mouth, yaw, pitch, roll, SIZE_PX), framing=framing, noise_seed=seed * 1000 + t
            )
            frames[k, t], points[k, t], visible[k, t] = picture
    return Talk(frames, points, visible, motion.pose)


def sample_talk(
    seed: int, library: TrackLibrary, tracks: int, length: int
) -> tuple[Talk, list[MouthTrack]]:
    """The talk of head `seed`. Raises HeldOutError for a test head."""
    refuse_test_head(seed)
    rng = np.random.default_rng([seed, 1])
    head = Head.sample(seed)
    motion = Motion.sample(rng, length, frontal=rng.random() < 0.5)
    mouths = [library.sample(rng, length) for _ in range(tracks)]
    lively = rng.uniform(0.75, 1.25)
    smile = rng.uniform(0, 0.25) if rng.random() < 0.4 else 0.0
    fitted = []
    for mouth in mouths:
        expression = mouth.coefficients * lively
        for name in ("mouthSmileLeft", "mouthSmileRight"):
            expression[:, SHAPE_OF[name]] += smile
        fitted.append(fit_to_head(head, replace(mouth, coefficients=expression)))
    return render_talk(head, motion, fitted, seed), mouths


def write_shard(path: Path, seeds: range, library: TrackLibrary, tracks: int, length: int) -> None:
    talks = [sample_talk(seed, library, tracks, length) for seed in seeds]
    partial = path.with_suffix(".part.npz")
    np.savez(
        partial,
        frames=np.stack([talk.frames for talk, _ in talks]),
        points=np.stack([talk.points for talk, _ in talks]),
        visible=np.stack([talk.visible for talk, _ in talks]),
        poses=np.stack([talk.poses for talk, _ in talks]),
        clips=np.array([[mouth.clip for mouth in mouths] for _, mouths in talks]),
        starts=np.array([[mouth.start for mouth in mouths] for _, mouths in talks], np.int32),
        openings=np.stack([[mouth.opening for mouth in mouths] for _, mouths in talks]),
        seeds=np.array(seeds, np.int32),
    )
    partial.rename(path)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--labels", type=Path, required=True, help="GRID labels of training/label.py"
    )
    parser.add_argument("--output", type=Path, required=True, help="FILE.npz; shards FILE.000.npz")
    parser.add_argument("--heads", type=int, default=300)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--tracks", type=int, default=3)
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--shard", type=int, default=20, help="heads a file")
    args = parser.parse_args(argv)
    try:
        refuse_test_head(args.first_seed + args.heads - 1)
        library = TrackLibrary(args.labels)
    except (HeldOutError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    args.output.parent.mkdir(parents=True, exist_ok=True)
    end = args.first_seed + args.heads
    for first in range(args.first_seed, end, args.shard):
        seeds = range(first, min(first + args.shard, end))
        path = args.output.with_suffix(f".{first // args.shard:03d}.npz")
        if not path.exists():
            write_shard(path, seeds, library, args.tracks, args.frames)
        print(f"{path.name}: heads {seeds.start} to {seeds.stop - 1}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
