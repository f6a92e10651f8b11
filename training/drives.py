"""Honest drives: pieces of held-out sentences, cut at random and re-spaced, so that no sentence
grammar can stand in for sync.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio import SAMPLES_PER_FRAME
from training.grid import read_pcm
from training.splits import data_dir, judged_names


@dataclass(frozen=True)
class Drive:
    """pcm int16 16 kHz; opening float (T,) of the true mouth at 25 fps, NaN in the gaps between
    pieces.
    """

    pcm: NDArray[np.int16]
    opening: NDArray[np.float64]

    @property
    def loudness(self) -> NDArray[np.float64]:
        """Root mean square of each frame's samples, (T,): what a flap would follow."""
        frames = self.pcm[: len(self.opening) * SAMPLES_PER_FRAME].reshape(len(self.opening), -1)
        return np.sqrt((frames.astype(np.float64) ** 2).mean(1))


def make_drive(sound: dict[str, NDArray[np.float32]], seed: int, seconds: float = 20.0) -> Drive:
    """Pieces of 0.8 to 1.6 s of GRID test sentences with 0.2 to 0.5 s of silence between them.

    Args:
        sound: the table `training.grid` writes (openings under "open/NAME").
    """
    rng = np.random.default_rng(seed)
    names = [n for n in judged_names("grid_s1") if f"open/{n}" in sound]
    pcm: list[NDArray[np.int16]] = []
    opening: list[NDArray[np.float64]] = []
    count = 0
    while count < seconds * 25:
        name = names[int(rng.integers(len(names)))]
        truth = sound[f"open/{name}"]
        length = int(rng.integers(20, 41))
        start = int(rng.integers(4, len(truth) - length - 1))
        voice = read_pcm(data_dir() / "grid_s1" / f"{name}.flac")
        piece = voice[start * SAMPLES_PER_FRAME : (start + length) * SAMPLES_PER_FRAME]
        piece = np.pad(piece, (0, length * SAMPLES_PER_FRAME - len(piece)))
        gap = int(rng.integers(5, 13))
        pcm += [piece, np.zeros(gap * SAMPLES_PER_FRAME, np.int16)]
        opening += [truth[start : start + length].astype(np.float64), np.full(gap, np.nan)]
        count += length + gap
    return Drive(np.concatenate(pcm).astype(np.int16), np.concatenate(opening))


def load_sound(path: Path) -> dict[str, NDArray[np.float32]]:
    return dict(np.load(path))
