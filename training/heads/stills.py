"""Single pictures of rendered heads with exact points, for the landmark net: many poses a head.

`python -m training.heads.stills --labels DIR --output FILE.npz` writes `rgb` uint8
(n, 192, 192, 3), `points` float32 (n, 39, 2) in pixels, `visible` bool (n, 39), `yaw` float32 (n,)
in radians and `seeds` int32 (n,).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from training.heads.head import Framing, Head, Picture
from training.heads.light import Camera, Light
from training.heads.motion import Motion
from training.heads.tracks import TrackLibrary, fit_to_head
from training.splits import TEST_HEADS, HeldOutError, refuse_test_head

SIZE_PX = 192


def sample_still(
    head: Head, rng: np.random.Generator, library: TrackLibrary, yaw: float
) -> Picture:
    """The head with a drawn mouth, upper face, light, camera and place in the picture."""
    mouth = fit_to_head(head, library.sample(rng, 1))[0]
    upper = Motion.sample(rng, 12, frontal=True).upper_face[int(rng.integers(12))]
    eyes = rng.uniform(0.13, 0.22)
    framing = Framing(
        float(0.5 - 0.3 * np.sin(yaw) * eyes + rng.normal(0, 0.03)),
        float(0.42 + rng.normal(0, 0.03)),
        float(eyes),
    )
    seed = int(rng.integers(1 << 31))
    return head.render(
        *(mouth + upper, yaw, float(np.radians(rng.normal(0, 10))), float(rng.normal(0, 0.15))),
        SIZE_PX,
        framing=framing,
        background_seed=seed,
        noise_seed=seed,
        light=Light.sample(rng),
        camera=Camera.sample(rng),
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--heads", type=int, default=400)
    parser.add_argument("--poses", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=20_000)
    parser.add_argument(
        "--test", action="store_true", help="heads reserved for tests: for figures only"
    )
    args = parser.parse_args(argv)
    first = TEST_HEADS + args.first_seed if args.test else args.first_seed
    try:
        if not args.test:
            refuse_test_head(first + args.heads - 1)
        library = TrackLibrary(args.labels)
    except (HeldOutError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    args.output.parent.mkdir(parents=True, exist_ok=True)
    pictures, yaws, seeds = [], [], []
    for seed in range(first, first + args.heads):
        head, rng = Head.sample(seed), np.random.default_rng([seed, 2])
        for yaw in np.radians(rng.uniform(-55, 55, args.poses)):
            pictures.append(sample_still(head, rng, library, float(yaw)))
            yaws.append(yaw)
            seeds.append(seed)
    np.savez(
        args.output,
        rgb=np.stack([picture.rgb for picture in pictures]),
        points=np.stack([picture.points for picture in pictures]),
        visible=np.stack([picture.visible for picture in pictures]),
        yaw=np.array(yaws, np.float32),
        seeds=np.array(seeds, np.int32),
    )
    print(f"{len(pictures)} pictures of {args.heads} heads in {args.output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
