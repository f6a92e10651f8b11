"""The lip pose: how far the mouth's landmarks stand from their closed-mouth place, as a few
principal components.

Displacements are taken after similarity alignment, in eye-centre distances, against a clip's own
closed mouth: what is left
is articulation, not identity, so that one speaker's sound can move any face. `opening` is the
figure sync is judged by.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from engine.face.align import SPAN, STABLE_INDICES, fit_similarity

Array = NDArray[np.float32]

LIPS_OUTER = (
    61,
    146,
    91,
    181,
    84,
    17,
    314,
    405,
    321,
    375,
    291,
    409,
    270,
    269,
    267,
    0,
    37,
    39,
    40,
    185,
)
LIPS_INNER = (
    78,
    95,
    88,
    178,
    87,
    14,
    317,
    402,
    318,
    324,
    308,
    415,
    310,
    311,
    312,
    13,
    82,
    81,
    80,
    191,
)
CHIN = (152, 148, 176, 377, 400, 175, 199, 200, 18, 83, 313, 149, 378, 172, 397)
POSE_POINTS = LIPS_OUTER + LIPS_INNER + CHIN
COMPONENTS = 10


def opening(points: Array) -> Array:
    """Inner-lip gap over outer eye-corner distance, (..., 478, 2) -> (...)."""
    gap = np.linalg.norm(points[..., 13, :] - points[..., 14, :], axis=-1)
    return gap / np.linalg.norm(points[..., 33, :] - points[..., 263, :], axis=-1)


def align_points(points: Array) -> Array:
    """(T, 478, 2) frame pixels -> the same in eye-centre distances of the aligned crop."""
    stable = list(STABLE_INDICES)
    return np.stack([fit_similarity(p[stable]).apply(p) * SPAN for p in points])


def closed_mouth(aligned: Array, frames: int = 5) -> Array:
    """Mean landmarks (478, 2) of the `frames` most closed frames of a clip."""
    return aligned[np.argsort(opening(aligned))[:frames]].mean(0)


def displacements(points: Array) -> Array:
    """Articulation of one clip: (T, 478, 2) pixels -> (T, 2 len(POSE_POINTS)) smoothed
    displacements.
    """
    aligned = align_points(points)
    moved = aligned - closed_mouth(aligned)
    moved = moved - moved[:, list(STABLE_INDICES)].mean(1, keepdims=True)
    flat = moved[:, list(POSE_POINTS)].reshape(len(points), -1)
    return savgol_filter(flat, 5, 2, axis=0).astype(np.float32)


@dataclass(frozen=True)
class PoseBasis:
    """Principal components of displacements; components are scaled by one number, so their ratio
    keeps its meaning.
    """

    mean: Array  # (F,)
    directions: Array  # (COMPONENTS, F)
    scale: float  # standard deviation of the first component

    @classmethod
    def fit(cls, clips: list[Array]) -> PoseBasis:
        data = np.concatenate(clips)
        mean = data.mean(0)
        _, singular, directions = np.linalg.svd(data - mean, full_matrices=False)
        scale = float(singular[0] / np.sqrt(len(data)))
        return cls(mean, directions[:COMPONENTS].astype(np.float32), scale)

    def project(self, displacement: Array) -> Array:
        """(T, F) -> (T, COMPONENTS)."""
        return ((displacement - self.mean) @ self.directions.T / self.scale).astype(np.float32)

    def points_of(self, pose: Array) -> Array:
        """Displacements (T, len(POSE_POINTS), 2) that poses (T, COMPONENTS) stand for, eye-centre
        distances.
        """
        flat = pose * self.scale @ self.directions + self.mean
        points: Array = flat.reshape(len(pose), len(POSE_POINTS), 2).astype(np.float32)
        return points

    def opening_of(self, pose: Array) -> Array:
        """Vertical inner-lip gap that a pose (T, COMPONENTS) stands for, relative to the closed
        mouth.
        """
        points = self.points_of(pose)
        gap = points[:, POSE_POINTS.index(14), 1] - points[:, POSE_POINTS.index(13), 1]
        return gap.astype(np.float32)

    def save(self, path: Path) -> None:
        np.savez(path, mean=self.mean, directions=self.directions, scale=self.scale)

    @classmethod
    def load(cls, path: Path) -> PoseBasis:
        d = np.load(path)
        return cls(d["mean"], d["directions"], float(d["scale"]))
