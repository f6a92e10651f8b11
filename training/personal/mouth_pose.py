"""Lip poses of any clip from the landmark net's mouth points: what a silent clip is trained by.

The map from points to poses is linear and was fitted once on GRID's training clips, where
FaceLandmarker's 55 points say the pose (`training.lip_pose`): `python -m
training.personal.mouth_pose` fits it anew and prints how well it reads clips it was not fitted to.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from engine import LipSyncEngine
from engine.face.align import SPAN, STABLE_INDICES, Similarity, fit_similarity
from engine.face.follow import Face, FaceFollower
from engine.face.patch import Patch
from engine.face.points import INNER_LIPS, LANDMARKS, MOUTH
from training.grid import read_frames
from training.lip_pose import PoseBasis
from training.sound import grid_names
from training.splits import data_dir

Array = NDArray[np.float32]
MAP = Path(__file__).parent / "mouth_pose.npz"
STABLE = [LANDMARKS.index(point) for point in STABLE_INDICES]
READ = [*range(MOUTH.start, MOUTH.stop), *(LANDMARKS.index(p) for p in (152, 172, 397))]
CLOSED = 0.05  # share of a clip's frames that say what its closed mouth is
STEADY = 5  # frames that alignment is averaged over


def look_again(engine: LipSyncEngine, rgb: NDArray[np.uint8], face: Face) -> Array:
    """The net's own points (39, 2), px, without the follower's filter, which lags behind lips."""
    patch = Patch.around(face.points)
    return patch.to_picture(engine.landmarks(patch.cut(rgb)[None])[0][0])


def opening(points: Array) -> Array:
    """Inner-lip gap over the distance of the outer eye corners, (T, 39, 2) -> (T,)."""
    upper, lower = INNER_LIPS
    gap = points[:, lower] - points[:, upper]
    eyes = points[:, 3] - points[:, 0]
    down = np.stack([-eyes[:, 1], eyes[:, 0]], 1)
    return (gap * down).sum(1) / (eyes**2).sum(1)


def steady_alignment(points: Array) -> list[Similarity]:
    """Each frame's alignment, of points (T, 39, 2) averaged over neighbours."""
    stable = points[:, STABLE]
    half = STEADY // 2
    padded = np.pad(stable, ((half, half), (0, 0), (0, 0)), "edge")
    mean = np.stack([padded[i : i + len(stable)] for i in range(STEADY)]).mean(0)
    return [fit_similarity(p) for p in mean]


def mouth_moves(points: Array) -> Array:
    """Points (T, 39, 2) of one clip, px -> displacements (T, 2 len(READ)) from its closed mouth, in
    eye-centre distances.
    """
    aligned = np.stack(
        [t.apply(p) * SPAN for t, p in zip(steady_alignment(points), points, strict=True)]
    )
    aligned -= aligned[:, STABLE].mean(1, keepdims=True)
    moved = aligned[:, READ].reshape(len(points), -1)
    gap = opening(points)
    closed = np.argsort(gap)[: max(5, round(CLOSED * len(gap)))]
    moved = moved - moved[closed].mean(0)
    return savgol_filter(moved, 5, 2, axis=0).astype(np.float32)


@dataclass(frozen=True)
class MouthPose:
    """pose = moves @ weight + bias; opening = pose @ gap: eye-centre distances."""

    weight: Array  # (2 len(READ), P)
    bias: Array  # (P,)
    gap: Array  # (P,)

    @classmethod
    def load(cls, path: Path = MAP) -> MouthPose:
        stored = np.load(path)
        return cls(stored["weight"], stored["bias"], stored["gap"])

    def read(self, points: Array) -> Array:
        """Points (T, 39, 2) of one clip, px -> poses (T, P)."""
        return mouth_moves(points) @ self.weight + self.bias

    def opening(self, pose: Array) -> Array:
        """(T, P) -> the lip opening that it stands for, relative to the closed mouth, (T,)."""
        return pose @ self.gap


def clip_points(engine: LipSyncEngine, frames: NDArray[np.uint8]) -> Array | None:
    """The net's points in every frame, or None where one has no face."""
    follower, points = FaceFollower(engine.landmarks), []
    for rgb in frames:
        face = follower.follow(np.ascontiguousarray(rgb))
        if face is None:
            return None
        points.append(look_again(engine, rgb, face))
    return np.stack(points)


def fit(names: list[str], data: Path, weights: Path | None) -> tuple[MouthPose, dict[str, float]]:
    """Least squares with a small ridge on all but every fifth clip; how well it reads those."""
    engine, basis = (
        LipSyncEngine.load(weights, "onnxruntime"),
        PoseBasis.load(data / "pose_basis.npz"),
    )
    table = np.load(data / "sound.npz")
    moves: tuple[list[Array], list[Array]] = ([], [])
    poses: tuple[list[Array], list[Array]] = ([], [])
    for k, name in enumerate(names):
        points = clip_points(engine, read_frames(data_dir() / "grid_s1" / f"{name}.mp4"))
        if points is None or f"pose/{name}" not in table:
            continue
        moves[k % 5 == 4].append(mouth_moves(points))
        poses[k % 5 == 4].append(table[f"pose/{name}"])
    x, y = np.concatenate(moves[0]), np.concatenate(poses[0])
    centred = x - x.mean(0)
    ridge = 1e-3 * np.trace(centred.T @ centred) / x.shape[1] * np.eye(x.shape[1])
    weight = np.linalg.solve(centred.T @ centred + ridge, centred.T @ (y - y.mean(0)))
    still = basis.opening_of(np.zeros((1, y.shape[1]), np.float32))
    gap = basis.opening_of(np.eye(y.shape[1], dtype=np.float32)) - still
    found = MouthPose(
        weight.astype(np.float32),
        (y.mean(0) - x.mean(0) @ weight).astype(np.float32),
        gap.astype(np.float32),
    )
    read = np.concatenate([m @ found.weight + found.bias for m in moves[1]])
    true = np.concatenate(poses[1])
    figures = {f"r of component {k}": _r(read[:, k], true[:, k]) for k in range(true.shape[1])}
    figures["r of the opening"] = _r(found.opening(read), found.opening(true))
    figures["amplitude"] = float(found.opening(read).std() / found.opening(true).std())
    return found, figures


def _r(a: Array, b: Array) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="sound.npz and pose_basis.npz")
    parser.add_argument("--clips", type=int, default=150)
    parser.add_argument("--weights", type=Path, help="folder with the landmark net")
    parser.add_argument("--output", type=Path, default=MAP)
    args = parser.parse_args(argv)
    names = grid_names("train")
    names = [names[i] for i in np.linspace(0, len(names) - 1, args.clips).astype(int)]
    found, figures = fit(names, args.data, args.weights)
    np.savez(args.output, weight=found.weight, bias=found.bias, gap=found.gap)
    for name, value in figures.items():
        print(f"{name}: {value:.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
