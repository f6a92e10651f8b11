"""A learned confidence that lips and sound belong together, after SyncNet (Chung and Zisserman
2016): both are projected to where they agree, and a clip's confidence is its agreement at the best
lag minus the median over lags.

There is too little film that the judged model has not seen for a deep network: this one is linear
(regularised canonical correlation), fitted on the validation sentences, which train nothing else,
with what FaceLandmarker reads and the sound. Beside a figure stands the true mouth's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.audio import SAMPLES_PER_FRAME, mel_of
from training.evaluation.measure.faces import lip_features
from training.grid import read_pcm
from training.splits import data_dir

Rows = NDArray[np.float64]

LAGS = 12
LIP_REACH = 2  # frames on each side
SOUND_REACH = 4
SOUND_BANDS, SOUND_PARTS, LIP_PARTS, SHARED = 20, 60, 14, 6
RIDGE = 0.05


class Agreement(NamedTuple):
    confidence: float
    offset: int  # frames by which the lips lag


class Expert:
    def __init__(self, faces: Mapping[str, NDArray[np.float32]]) -> None:
        """faces: points (T, 478, 2) of GRID sentences."""
        lips, sounds = [], []
        for name, points in faces.items():
            pcm = read_pcm(data_dir() / "grid_s1" / f"{name}.flac")
            lip = _windows(_normed(lip_features(points)), LIP_REACH)
            sound = _sound_rows(pcm, len(points))
            known = ~np.isnan(lip).any(1)
            lips.append(lip[known])
            sounds.append(sound[known])
        x, y = np.concatenate(sounds), np.concatenate(lips)
        self._sound, x = _Whitener.fit(x, SOUND_PARTS)
        self._lip, y = _Whitener.fit(y, LIP_PARTS)
        u, agreement, v = np.linalg.svd(x.T @ y / len(x))
        weight = np.sqrt(agreement[:SHARED])
        self._from_sound = u[:, :SHARED] * weight
        self._from_lip = v[:SHARED].T * weight

    def agreement(self, features: Rows, pcm: NDArray[np.int16]) -> Agreement:
        """features: `lip_features` (T, 8) of a face that is to say `pcm`, T frames or the first
        of them.
        """
        features = features[: len(pcm) // SAMPLES_PER_FRAME]
        lip = self._lip(_windows(_normed(features), LIP_REACH)) @ self._from_lip
        sound = self._sound(_sound_rows(pcm, len(features))) @ self._from_sound
        lags = min(LAGS, len(lip) // 6)
        curve = []
        for lag in range(-lags, lags + 1):
            count = len(lip)
            a = lip[max(0, lag) : count + min(0, lag)]
            b = sound[max(0, -lag) : count - max(0, lag)]
            curve.append(_cosine(a, b))
        if np.isnan(curve).any():
            return Agreement(float("nan"), 0)
        best = int(np.argmax(curve))
        return Agreement(float(curve[best] - np.median(curve)), best - lags)


class NoExpert(Expert):
    """Where there are no sentences to fit one to: it knows nothing."""

    def __init__(self) -> None:
        pass

    def agreement(self, features: Rows, pcm: NDArray[np.int16]) -> Agreement:
        return Agreement(float("nan"), 0)


class _Whitener:
    """Centred, scaled to unit deviation, projected on principal parts of unit deviation."""

    def __init__(self, mean: Rows, matrix: Rows) -> None:
        self._mean, self._matrix = mean, matrix

    @classmethod
    def fit(cls, rows: Rows, parts: int) -> tuple[_Whitener, Rows]:
        mean, scale = rows.mean(0), rows.std(0) + 1e-9
        _, singular, directions = np.linalg.svd((rows - mean) / scale, full_matrices=False)
        deviation = singular[:parts] / np.sqrt(len(rows))
        damped = np.sqrt(deviation**2 + RIDGE * deviation[0] ** 2)
        whitener = cls(mean, directions[:parts].T / scale[:, None] / damped)
        return whitener, whitener(rows)

    def __call__(self, rows: Rows) -> Rows:
        return (rows - self._mean) @ self._matrix


def _normed(features: Rows) -> Rows:
    """Each feature of a clip by its own mean and deviation: shape of a face is not articulation."""
    if np.isnan(features).all():
        return features
    return (features - np.nanmean(features, 0)) / (np.nanstd(features, 0) + 1e-6)


def _windows(rows: Rows, reach: int) -> Rows:
    """(T, F) -> (T, (2 reach + 1) F)."""
    padded = np.pad(rows, ((reach, reach), (0, 0)), "edge")
    return np.concatenate([padded[k : k + len(rows)] for k in range(2 * reach + 1)], 1)


def _sound_rows(pcm: NDArray[np.int16], frames: int) -> Rows:
    """Log-mel of each frame and its neighbours, (T, ...), in SOUND_BANDS bands."""
    pcm = np.pad(pcm, (0, max(0, frames * SAMPLES_PER_FRAME - len(pcm))))
    mel = mel_of(pcm).astype(np.float64)[:, : frames * 4]
    bands = mel.reshape(SOUND_BANDS, -1, mel.shape[1]).mean(1)
    each = bands.reshape(SOUND_BANDS, frames, 4).mean(2).T
    return _windows(each, SOUND_REACH)


def _cosine(a: Rows, b: Rows) -> float:
    known = ~(np.isnan(a).any(1) | np.isnan(b).any(1))
    if known.sum() < 20:
        return float("nan")
    a, b = a[known], b[known]
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(1) / (norms + 1e-9)).mean())
