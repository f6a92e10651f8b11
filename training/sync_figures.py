"""Sync figures from mouth openings: correlation, leak, amplitude, offset; pooled over clips, each
z-scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Track = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """One clip: openings of the output, the true mouth (NaN where undefined) and the source
    picture, all (T,).
    """

    output: Track
    truth: Track
    source: Track


@dataclass(frozen=True)
class SyncFigures:
    r: float  # pooled correlation of output and true opening
    leak: float  # r(output, source mouth) - r(true, source mouth)
    amplitude: float  # output's deviation over the truth's
    offset: int  # frames by which the output lags the truth
    lost: float  # share of frames in which the judge found no face


def correlation(a: Track, b: Track) -> float:
    both = ~(np.isnan(a) | np.isnan(b))
    return float(np.corrcoef(a[both], b[both])[0, 1])


def _z(track: Track) -> Track:
    return (track - np.nanmean(track)) / (np.nanstd(track) + 1e-9)


def _shifted(a: Track, b: Track, lag: int) -> tuple[Track, Track]:
    n = len(a)
    return a[max(0, lag) : n + min(0, lag)], b[max(0, -lag) : n - max(0, lag)]


def pooled(judged: list[Judged], lags: int = 6) -> SyncFigures:
    """Figures over all clips together."""
    spoken = [~np.isnan(j.truth) for j in judged]
    output = [_z(np.where(s, j.output, np.nan)) for j, s in zip(judged, spoken, strict=True)]
    truth = [_z(j.truth) for j in judged]
    source = [_z(j.source) for j in judged]

    def at(lag: int) -> float:
        pairs = [_shifted(_z(j.output), t, lag) for j, t in zip(judged, truth, strict=True)]
        return correlation(
            np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])
        )

    o, t, s = (np.concatenate(x) for x in (output, truth, source))
    amplitude = [
        float(np.nanstd(j.output[m]) / np.nanstd(j.truth[m]))
        for j, m in zip(judged, spoken, strict=True)
    ]
    return SyncFigures(
        r=correlation(o, t),
        leak=correlation(o, s) - correlation(t, s),
        amplitude=float(np.mean(amplitude)),
        offset=max(range(-lags, lags + 1), key=at),
        lost=float(np.mean([np.isnan(j.output).mean() for j in judged])),
    )
