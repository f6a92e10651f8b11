"""Honest drives: pieces of held-out sentences, cut at random and re-spaced, so that no sentence
grammar can stand in for sync.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.audio import COLUMNS_PER_FRAME, SAMPLES_PER_FRAME, mel_of
from training.grid import read_pcm
from training.lip_pose import opening
from training.splits import data_dir, judged_names

Points = NDArray[np.float32]


@dataclass(frozen=True)
class Piece:
    """`count` frames of a GRID sentence from its frame `first` on, heard from frame `at` on."""

    sentence: str
    first: int
    count: int
    at: int


@dataclass(frozen=True)
class Drive:
    """pcm int16 16 kHz; opening float (T,) of the true mouth at 25 fps, NaN where none is known (in
    the gaps between pieces); points float32 (T, 478, 2) of the true face, or None. `heard`: the
    opening is what the judged model hears, for the true one is unknown.
    """

    name: str
    pcm: NDArray[np.int16]
    opening: NDArray[np.float64]
    points: Points | None = None
    pieces: tuple[Piece, ...] = field(default=())
    heard: bool = False

    @property
    def loudness(self) -> NDArray[np.float64]:
        """Root mean square of each frame's samples, (T,)."""
        frames = self.pcm[: len(self.opening) * SAMPLES_PER_FRAME].reshape(len(self.opening), -1)
        return np.sqrt((frames.astype(np.float64) ** 2).mean(1))

    @property
    def flap(self) -> NDArray[np.float64]:
        """Mean log-mel of each frame, (T,): how a mouth opens that follows loudness."""
        count = len(self.opening)
        level = mel_of(self.pcm)[:, : count * COLUMNS_PER_FRAME].mean(0, dtype=np.float64)
        return level.reshape(count, COLUMNS_PER_FRAME).mean(1)

    def true_frame(self, t: int) -> tuple[str, int] | None:
        """Sentence and frame whose sound frame t has, or None in a gap."""
        for piece in self.pieces:
            if piece.at <= t < piece.at + piece.count:
                return piece.sentence, piece.first + t - piece.at
        return None


def make_drive(faces: Mapping[str, Points], seed: int, seconds: float = 20.0) -> Drive:
    """Pieces of 0.8 to 1.6 s of GRID test sentences with 0.2 to 0.5 s of silence between them.

    Args:
        faces: FaceLandmarker's points (T, 478, 2) of each sentence.
    """
    return drive_of(judged_names("grid_s1"), faces, seed, seconds)


def drive_of(
    sentences: Sequence[str], faces: Mapping[str, Points], seed: int, seconds: float
) -> Drive:
    """The same of other sentences of grid_s1."""
    rng = np.random.default_rng(seed)
    names = [n for n in sentences if n in faces and not np.isnan(faces[n]).any()]
    openings = {n: opening(faces[n]).astype(np.float64) for n in names}
    pcm: list[NDArray[np.int16]] = []
    truth: list[NDArray[np.float64]] = []
    points: list[Points] = []
    pieces: list[Piece] = []
    count = 0
    while count < seconds * 25:
        name = names[int(rng.integers(len(names)))]
        length = int(rng.integers(20, 41))
        start = int(rng.integers(4, len(openings[name]) - length - 1))
        voice = read_pcm(data_dir() / "grid_s1" / f"{name}.flac")
        piece = voice[start * SAMPLES_PER_FRAME : (start + length) * SAMPLES_PER_FRAME]
        piece = np.pad(piece, (0, length * SAMPLES_PER_FRAME - len(piece)))
        gap = int(rng.integers(5, 13))
        pcm += [piece, np.zeros(gap * SAMPLES_PER_FRAME, np.int16)]
        truth += [openings[name][start : start + length], np.full(gap, np.nan)]
        points += [faces[name][start : start + length], np.full((gap, 478, 2), np.nan, np.float32)]
        pieces.append(Piece(name, start, length, count))
        count += length + gap
    return Drive(
        f"drive {seed}, {seconds:g} s",
        np.concatenate(pcm).astype(np.int16),
        np.concatenate(truth),
        np.concatenate(points),
        tuple(pieces),
    )
