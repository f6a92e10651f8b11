"""What the table is judged on: faces kept out of its training, driven by sentences that no training
heard, cut and re-spaced; and the same faces with their own exact pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.audio import COLUMNS_PER_FRAME, SILENCE_LEVEL, mel_window
from training.latents import Tracks
from training.splits import validation_names

SHARE = 0.05  # of each kind's clips
# Clips lie sorted by name, so that variants of one portrait lie side by side: the neighbours of
# what is held out are neither trained on nor judged.
GUARD = 3
Track = NDArray[np.float64]
Table = Mapping[str, NDArray[np.float32]]


def _held(count: int) -> int:
    return max(1, round(SHARE * count))


def training_part(tracks: Tracks) -> Tracks:
    count = len(tracks.clips)
    return tracks.part(0, max(1, count - _held(count) - GUARD))


def judged_part(tracks: Tracks) -> Tracks:
    count = len(tracks.clips)
    return tracks.part(count - _held(count), count)


@dataclass(frozen=True)
class Driven:
    """Streams: source latents (N, T, 16, h, w), mel windows (N, T, 80, 64) float16, true openings
    (N, T), NaN in the gaps; loudness (N, T).
    """

    source: Tensor
    mel: Tensor
    opening: Track
    loudness: Track


@dataclass(frozen=True)
class Pairs:
    """Streams whose every pixel is known: source and target latents (N, T, 16, h, w), mel windows
    (N, T, 80, 64).
    """

    source: Tensor
    target: Tensor
    mel: Tensor


def there_and_back(track: Tensor, length: int) -> Tensor:
    """A track (T, ...) looped without a jump."""
    count = len(track)
    cycle = np.concatenate([np.arange(count), np.arange(count - 2, 0, -1)])
    return track[torch.from_numpy(np.resize(cycle, length))]


def drive(table: Table, names: list[str], seed: int, length: int) -> tuple[Tensor, Track, Track]:
    """Pieces of 0.8 to 1.6 s of `names` with 0.2 to 0.5 s of silence between them: mel windows
    (T, 80, 64), openings (T,), loudness (T,).
    """
    rng = np.random.default_rng(seed)
    columns, opening, count = [], [], 0
    while count < length:
        name = names[int(rng.integers(len(names)))]
        mel, truth = table[f"mel/{name}"], table[f"open/{name}"]
        piece, gap = int(rng.integers(20, 41)), int(rng.integers(5, 13))
        first = int(rng.integers(4, len(truth) - piece - 1))
        columns.append(mel[:, COLUMNS_PER_FRAME * first : COLUMNS_PER_FRAME * (first + piece)])
        columns.append(np.full((len(mel), COLUMNS_PER_FRAME * gap), SILENCE_LEVEL, mel.dtype))
        opening += [truth[first : first + piece].astype(np.float64), np.full(gap, np.nan)]
        count += piece + gap
    whole = np.concatenate(columns, 1)
    windows = np.stack([mel_window(whole, i) for i in range(length)]).astype(np.float16)
    loudness = whole[:, : COLUMNS_PER_FRAME * length].astype(np.float64).mean(0)
    loudness = loudness.reshape(length, COLUMNS_PER_FRAME).mean(1)
    return torch.from_numpy(windows), np.concatenate(opening)[:length], loudness


def driven(tracks: dict[str, Tracks], sound: Path, faces: int, length: int, seed: int) -> Driven:
    """`faces` of each kind for `length` frames."""
    table = np.load(sound)
    names = [n for n in validation_names("grid_s1") if f"open/{n}" in table]
    sources: list[Tensor] = []
    drives: list[tuple[Tensor, Track, Track]] = []
    for tracks_of in tracks.values():
        for clip in range(min(faces, len(tracks_of.clips))):
            sources.append(there_and_back(tracks_of.latents[clip, 1].float(), length))
            drives.append(drive(table, names, 1000 * seed + len(drives), length))
    mel, opening, loudness = zip(*drives, strict=True)
    return Driven(torch.stack(sources), torch.stack(mel), np.stack(opening), np.stack(loudness))


def pairs(tracks: dict[str, Tracks], sound: Path, faces: int, length: int) -> Pairs:
    """`faces` of each kind for `length` frames from the middle of a clip."""
    table = np.load(sound)
    sources, targets, mels = [], [], []
    for tracks_of in tracks.values():
        for clip, names in enumerate(tracks_of.clips[:faces]):
            if f"mel/{names[0]}" not in table:
                continue
            first = (tracks_of.latents.shape[2] - length) // 2
            frames = slice(first, first + length)
            targets.append(tracks_of.latents[clip, 0, frames].float())
            sources.append(tracks_of.latents[clip, 1, frames].float())
            start = int(tracks_of.starts[clip, 0]) + first
            windows = [mel_window(table[f"mel/{names[0]}"], start + t) for t in range(length)]
            mels.append(torch.from_numpy(np.stack(windows).astype(np.float16)))
    return Pairs(torch.stack(sources), torch.stack(targets), torch.stack(mels))


def true_tracks(
    tracks: dict[str, Tracks], sound: Path, faces: int, every: int
) -> tuple[list[Tensor], list[Track]]:
    """Latents (n, 16, h, w) of true frames, every so many, of `faces` of each kind (spread over its
    clips), and the openings (n,) that their sentences had.
    """
    table = np.load(sound)
    openings = {key[5:]: table[key] for key in table if key.startswith("open/")}
    latents: list[Tensor] = []
    truths: list[Track] = []
    for kind, tracks_of in tracks.items():
        length = tracks_of.latents.shape[2]
        frames = np.arange(0, length, every)
        for clip in range(0, len(tracks_of.clips), max(1, len(tracks_of.clips) // faces)):
            names = tracks_of.clips[clip]
            used = [
                k
                for k, name in enumerate(names)
                if name in openings and not (kind == "grid" and k > 0)
            ]
            if not used:
                continue
            latents.append(tracks_of.latents[clip][used][:, frames].flatten(0, 1))
            truths.append(
                np.concatenate(
                    [openings[names[k]][int(tracks_of.starts[clip, k]) + frames] for k in used]
                ).astype(np.float64)
            )
    return latents, truths
