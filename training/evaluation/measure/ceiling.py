"""What the audio encoder alone hears: the ceiling of what any picture can follow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine import LipSyncEngine
from engine.audio import SAMPLES_PER_FRAME, SoundRing
from training.grid import read_pcm
from training.lip_pose import opening
from training.splits import data_dir

RIDGE = 1e-3


def heard_pose(engine: LipSyncEngine, pcm: NDArray[np.int16], frames: int) -> NDArray[np.float32]:
    """Lip poses (frames, P), each with the future sound that a frame has when it leaves."""
    ring = SoundRing(seconds=frames / 25 + 2)
    ahead = engine.facts.slots - 1
    windows = []
    for t in range(frames + ahead):
        ring.push(pcm[t * SAMPLES_PER_FRAME : (t + 1) * SAMPLES_PER_FRAME])
        if t >= ahead:
            windows.append(ring.window(t - ahead))
    return engine.lip_pose(np.stack([m for m, _ in windows]), np.stack([h for _, h in windows]))


class OpeningReader:
    """Reads the opening off a lip pose: a linear fit on labelled training sentences."""

    def __init__(self, engine: LipSyncEngine, faces: Mapping[str, NDArray[np.float32]]) -> None:
        poses, openings = [], []
        for name, points in faces.items():
            if np.isnan(points).any():
                continue
            pcm = read_pcm(data_dir() / "grid_s1" / f"{name}.flac")
            poses.append(heard_pose(engine, pcm, len(points)))
            openings.append(opening(points))
        x, y = _with_one(np.concatenate(poses)), np.concatenate(openings).astype(np.float64)
        self._weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y)
        self._engine = engine

    def __call__(self, pcm: NDArray[np.int16], frames: int) -> NDArray[np.float64]:
        """The opening (frames,) that is heard."""
        return _with_one(heard_pose(self._engine, pcm, frames)) @ self._weights


def _with_one(pose: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.concatenate([pose, np.ones((len(pose), 1))], 1).astype(np.float64)
