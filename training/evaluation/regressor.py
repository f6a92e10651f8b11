"""What a small regressor hears that owes nothing to the judged model: log-mel to opening, by ridge
regression on random Fourier features (Rahimi and Recht 2007), fitted once on GRID's training
sentences and kept in `regressor.npz`.

    python -m training.evaluation.regressor --labels runs/labels/grid_s1
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio import SAMPLES_PER_FRAME, mel_of
from training.grid import read_pcm
from training.lip_pose import opening
from training.splits import data_dir, held_out, judged_names
from training.sync_figures import correlation

Rows = NDArray[np.float64]
FILE = Path(__file__).with_suffix(".npz")

PAST, AHEAD = 8, 2  # frames; 80 ms ahead, as a window of three slots has
BANDS, STEPS = 40, 2  # of a frame
PARTS, FEATURES = 120, 4000
REACH = 0.8  # of the Fourier features, in deviations of the parts' distance
RIDGE = 1e-3  # a row


def sound_rows(pcm: NDArray[np.int16], frames: int) -> Rows:
    """Log-mel of each frame and of its neighbours, (T, (PAST + 1 + AHEAD) STEPS BANDS)."""
    pcm = np.pad(pcm, (0, max(0, frames * SAMPLES_PER_FRAME - len(pcm))))
    mel = mel_of(pcm).astype(np.float64)[:, : frames * 4]
    bands = mel.reshape(BANDS, -1, mel.shape[1]).mean(1)
    each = bands.reshape(BANDS, frames, STEPS, -1).mean(3).transpose(1, 0, 2).reshape(frames, -1)
    padded = np.pad(each, ((PAST, AHEAD), (0, 0)), "edge")
    return np.concatenate([padded[k : k + frames] for k in range(PAST + 1 + AHEAD)], 1)


class Regressor:
    """(pcm, frames) -> the opening that is heard, (frames,), in deviations."""

    def __init__(self, mean: Rows, parts: Rows, weights: Rows) -> None:
        """mean (F,) of the rows, parts (F, PARTS) scaled to unit deviation, weights
        (FEATURES + PARTS + 1,).
        """
        self.mean, self.parts, self.weights = mean, parts, weights
        rng = np.random.default_rng(0)
        self._directions = rng.normal(size=(PARTS, FEATURES)) * REACH / np.sqrt(PARTS)
        self._phases = rng.uniform(0, 2 * np.pi, FEATURES)

    @classmethod
    def load(cls, path: Path = FILE) -> Regressor:
        with np.load(path) as file:
            return cls(*(file[name].astype(np.float64) for name in ("mean", "parts", "weights")))

    @classmethod
    def fit(cls, rows: Rows, openings: Rows) -> Regressor:
        """rows (N, F), openings (N,)."""
        mean, scale = rows.mean(0), rows.std(0) + 1e-6
        _, singular, directions = np.linalg.svd((rows - mean) / scale, full_matrices=False)
        spread = np.sqrt((singular[:PARTS] ** 2).mean() / len(rows))  # one scale: loud parts count
        fitted = cls(mean, directions[:PARTS].T / scale[:, None] / spread, np.zeros(0))
        seen = fitted._features(rows)
        square = seen.T @ seen + RIDGE * len(rows) * np.eye(seen.shape[1])
        fitted.weights = np.linalg.solve(square, seen.T @ openings).astype(np.float64)
        return fitted

    def _features(self, rows: Rows) -> Rows:
        z = (rows - self.mean) @ self.parts
        waves = np.cos(z @ self._directions + self._phases)
        return np.concatenate([waves, z / 10, np.ones((len(z), 1))], 1)

    def __call__(self, pcm: NDArray[np.int16], frames: int) -> Rows:
        heard: Rows = self._features(sound_rows(pcm, frames)) @ self.weights
        return heard

    def save(self, path: Path) -> None:
        mean, parts, weights = (a.astype(np.float32) for a in (self.mean, self.parts, self.weights))
        np.savez_compressed(path, mean=mean, parts=parts, weights=weights)


def sentences(labels: Path, names: Iterable[str]) -> tuple[list[Rows], list[Rows]]:
    """Rows and openings, in deviations, of labelled sentences of grid_s1."""
    rows, openings = [], []
    for name in names:
        points = np.load(labels / f"{name}.npz")["points"]
        if np.isnan(points).any():
            continue
        pcm = read_pcm(data_dir() / "grid_s1" / f"{name}.flac")
        rows.append(sound_rows(pcm, len(points)))
        track = opening(points).astype(np.float64)
        openings.append((track - track.mean()) / track.std())
    return rows, openings


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True, help="of grid_s1, from `make labels`")
    parser.add_argument("--output", type=Path, default=FILE)
    args = parser.parse_args(argv)
    hidden = held_out("grid_s1")
    seen = [p.stem for p in sorted(args.labels.glob("*.npz")) if p.stem not in hidden]
    rows, openings = sentences(args.labels, seen)
    fitted = Regressor.fit(np.concatenate(rows), np.concatenate(openings))
    fitted.save(args.output)
    rows, openings = sentences(args.labels, judged_names("grid_s1"))
    heard = np.concatenate([fitted._features(r) @ fitted.weights for r in rows])
    r = correlation(heard, np.concatenate(openings))
    print(f"{args.output}: r {r:.3f} on {len(rows)} sentences that it has not seen")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
