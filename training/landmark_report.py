"""How good the landmark net is on faces it never saw: `python -m training.landmark_report`.

The error (NME) is the mean distance to the labels over 39 points, in outer eye corner distances.
Labels of real pictures are FaceLandmarker's own guesses; those of rendered heads are exact.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from engine.face.patch import Patch
from engine.face.points import BRIDGE, EYES, JAW, LEFT_EYE_CORNERS, MOUTH, RIGHT_EYE_CORNERS
from training.landmark_data import Example, load_clip, load_grid, load_heads, load_portraits
from training.landmarks import WEIGHTS
from training.splits import data_dir, judged_names

F32 = NDArray[np.float32]
OUTER = (LEFT_EYE_CORNERS[0], RIGHT_EYE_CORNERS[1])


class Net:
    """The exported graph on one thread."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, patch: NDArray[np.uint8]) -> tuple[F32, F32]:
        points, confidence = self._session.run(None, {"patch": patch})
        return points, confidence


def error_of(net: Net, one: Example, rng: np.random.Generator) -> tuple[F32, float]:
    """Error of each point (39,) and the confidence, from a patch a little off, refined once."""
    true = Patch.around(one.points)
    shift = rng.normal(0, 0.05, 2) * true.side
    placed = Patch(
        true.x + float(shift[0]), true.y + float(shift[1]), true.side * 1.05, true.angle + 0.05
    )
    for _ in range(2):
        points, logit = net(placed.cut(one.rgb)[None])
        found = placed.to_picture(points[0])
        placed = Patch.around(found)
    eyes = np.linalg.norm(one.points[OUTER[0]] - one.points[OUTER[1]])
    error = np.linalg.norm(found - one.points, axis=1) / eyes
    return error.astype(np.float32), float(1 / (1 + np.exp(-logit[0])))


def report(net: Net, name: str, examples: list[Example]) -> None:
    """Prints NME over all points and over groups of them, and how often a face is told."""
    if not examples:
        return
    rng = np.random.default_rng(0)
    measured = [error_of(net, one, rng) for one in examples]
    errors = np.stack([error for error, _ in measured])
    told = np.mean([confidence > 0.5 for _, confidence in measured])
    groups = {"eyes": EYES, "bridge": BRIDGE, "mouth": MOUTH, "jaw": JAW}
    parts = ", ".join(f"{group} {100 * errors[:, at].mean():.1f}" for group, at in groups.items())
    print(
        f"{name:24} {len(examples):4d} pictures  NME {100 * errors.mean():.2f} %  ({parts})"
        f"  worst tenth {100 * np.quantile(errors.mean(1), 0.9):.1f} %  told {100 * told:.1f} %"
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="training.landmark_report", description=__doc__)
    parser.add_argument("--labels", type=Path, required=True, help="folder of `make labels`")
    parser.add_argument("--heads", type=Path, required=True, help=".npz of stills --test")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    args = parser.parse_args(argv)
    try:
        report_all(Net(args.weights), args.labels, args.heads)
    except OSError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return 0


def report_all(net: Net, labels: Path, test_heads: Path) -> None:
    """Every set. Raises OSError where labels or heads are not there."""
    heads, yaw = load_heads(test_heads, test=True)
    report(net, "portraits, held out", load_portraits(labels, judged_names("portraits")))
    clips = load_grid(labels, judged_names("grid_s1")[10:30], 5)
    report(net, "GRID s1, held out", clips)
    for path in sorted((data_dir() / "clips").glob("grid_other_*.mpg")):
        label = labels / "clips" / f"{path.stem}.npz"
        report(net, path.stem, load_clip(path, label, 25))
    degrees = np.abs(np.degrees(yaw))
    for low, high in ((0, 15), (15, 30), (30, 45), (45, 60)):
        chosen = [h for h, d in zip(heads, degrees, strict=True) if low <= d < high]
        report(net, f"test heads, yaw {low}-{high}", chosen)


if __name__ == "__main__":
    raise SystemExit(main())
