"""The judge judged: what FaceLandmarker reads off true mouths, bare, behind the covers of the
occluded set, and with those covers taken away as `evaluate` does.

python -m training.judge_report --labels LABELS/grid_s1

The test heads of that set are rendered as they would say its drives; nothing of the model's is in
it. Where a true mouth is read badly, nobody's lip sync can be judged.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from training.drives import Drive
from training.evaluation.clip import Clip, there_and_back
from training.evaluation.labeller import Labeller, LabellingError, labelling_python
from training.evaluation.measure.faces import HIDDEN, hidden_share
from training.evaluation.measure.uncover import uncovered
from training.evaluation.sets.occluded import occluded
from training.evaluation.sets.rendered import FIRST_SEED, FRAMES, head_frame, head_motion
from training.evaluation.stock import Plan, Stock
from training.heads.blendshapes import BLENDSHAPES
from training.heads.head import Head
from training.heads.tracks import MouthTrack, fit_to_head, mouth_width, opening_of
from training.landmarker import landmarker_bundle
from training.lip_pose import opening
from training.loop import refuse
from training.sync_figures import Judged, pooled_r

HEADS = (0, 1, 2, 3)  # clips of the set that show heads, FIRST_SEED + k
Rgb = NDArray[np.uint8]


def spoken_track(drive: Drive) -> MouthTrack:
    """The drive's true mouth, opening and width alone; closed in its gaps."""
    assert drive.points is not None
    points = drive.points
    width = mouth_width(points)
    return MouthTrack(
        drive.name,
        0,
        np.zeros((len(points), len(BLENDSHAPES)), np.float32),
        np.nan_to_num(opening_of(points)).astype(np.float32),
        np.nan_to_num(width / np.nanmedian(width), nan=1.0).astype(np.float32),
    )


def true_frames(clip: Clip, seed: int, order: NDArray[np.int64]) -> Rgb:
    """The clip's head as it would say the clip's drive, with nothing before it."""
    head = Head.sample(seed)
    motion = head_motion(seed, None, np.random.default_rng([seed, 5]))
    mouth = fit_to_head(head, spoken_track(clip.drive))
    return np.stack(
        [head_frame(head, motion, s, mouth[t], seed * 1000 + s) for t, s in enumerate(order)]
    )


def behind(true: Rgb, clip: Clip, order: NDArray[np.int64]) -> Rgb:
    """The same with the clip's cover before it."""
    picture = clip.source.picture
    assert picture.cover is not None and picture.bare is not None
    out = np.empty_like(true)
    for t, s in enumerate(order):
        left = 1 - (picture.cover[s].astype(np.float32) / 255)[..., None]
        mixed = true[t] * left + (picture.frames[s] - picture.bare[s] * left)
        out[t] = np.clip(np.round(mixed), 0, 255).astype(np.uint8)
    return out


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="training.judge_report", description=__doc__)
    parser.add_argument("--labels", type=Path, required=True, help="of grid_s1, by `make labels`")
    parser.add_argument("--cache", type=Path, default=Path("runs/evaluation"))
    parser.add_argument("--jobs", type=int, default=2, help="labelling processes")
    args = parser.parse_args(argv)
    try:
        python = labelling_python(None)
        with (
            Labeller(python, landmarker_bundle(), args.jobs) as labeller,
            TemporaryDirectory(dir=args.cache) as folder,
        ):
            _report(Stock(args.cache, labeller, args.labels), labeller, Path(folder))
    except (LabellingError, OSError) as error:
        refuse(parser, error)
    return 0


def _report(stock: Stock, labeller: Labeller, folder: Path) -> None:
    clips, read = occluded(stock, Plan()), []
    for k in HEADS:
        clip = clips[k]
        picture, points = clip.source.picture, clip.source.points
        assert picture.cover is not None
        order = there_and_back(FRAMES, len(clip.drive.opening))
        true = true_frames(clip, FIRST_SEED + k, order)
        covered = behind(true, clip, order)
        ways = {
            "bare": true,
            "covered": covered,
            "uncovered": np.stack(
                [uncovered(f, picture.cover[s]) for f, s in zip(covered, order, strict=True)]
            ),
        }
        hidden = [hidden_share(p, c) > HIDDEN for p, c in zip(points, picture.cover, strict=True)]
        truth = np.where(np.array(hidden)[order], np.nan, clip.drive.opening)
        for way, frames in ways.items():
            file = folder / f"{k} {way}.npy"
            np.save(file, frames)
            labels = labeller.submit(file, file.with_suffix(".labels.npz"))
            read.append((way, clip.name, truth, labels))
    judged: dict[str, list[Judged]] = {}
    for way, name, truth, labels in read:
        seen = opening(np.load(labels.result())["points"]).astype(np.float64)
        one = Judged(seen, truth, np.zeros_like(seen))
        judged.setdefault(way, []).append(one)
        print(f"{name:16s} {way:10s} r {pooled_r([one]):.3f}", flush=True)
    for way, of in judged.items():
        print(f"{'all':16s} {way:10s} r {pooled_r(of):.3f}")


if __name__ == "__main__":
    raise SystemExit(main())
