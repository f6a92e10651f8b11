"""Sync figures from mouth openings: correlation, leak, amplitude, offset; pooled over clips, each
z-scored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Track = NDArray[np.float64]

LAGS = 12  # to either side; fewer in clips of less than LAG_SHARE times as many frames
LAG_SHARE = 12
STILL = 0.3  # of the truth's deviation: below, a source's opening is the judge's own noise
RESAMPLES = 500


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
    leak: float  # r(output, source mouth) - r(true, source mouth); NaN where no source moves
    amplitude: float  # output's deviation over the truth's
    offset: float  # whole frames by which the output lags the truth; NaN where nothing tells
    offset_exact: float  # the same between frames, from a parabola through the peak
    confidence: float  # correlation at the offset minus its median over all lags
    lost: float  # share of frames in which the judge found no face


def correlation(a: Track, b: Track) -> float:
    """NaN where one of them does not move."""
    both = ~(np.isnan(a) | np.isnan(b))
    if both.sum() < 3 or min(a[both].std(), b[both].std()) < 1e-9:
        return float("nan")
    return float(np.corrcoef(a[both], b[both])[0, 1])


def z_scored(track: Track) -> Track:
    if np.isnan(track).all():
        return track
    return (track - np.nanmean(track)) / (np.nanstd(track) + 1e-9)


def _shifted(a: Track, b: Track, lag: int) -> tuple[Track, Track]:
    n = len(a)
    return a[max(0, lag) : n + min(0, lag)], b[max(0, -lag) : n - max(0, lag)]


def spoken_part(judged: Judged) -> Track:
    """The output's opening where the truth is known, z-scored there."""
    return z_scored(np.where(np.isnan(judged.truth), np.nan, judged.output))


def lag_curve(judged: list[Judged], lags: int = LAGS) -> Track:
    """Pooled correlation at lags -lags..lags, (2 lags + 1,)."""
    tracks = [(z_scored(j.output), z_scored(j.truth)) for j in judged]
    curve = []
    for lag in range(-lags, lags + 1):
        pairs = [_shifted(output, truth, lag) for output, truth in tracks if len(output) > lags + 3]
        curve.append(
            correlation(
                np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])
            )
            if pairs
            else float("nan")
        )
    return np.array(curve)


def _peak(curve: Track) -> tuple[float, float, float]:
    """Offset, offset between frames, confidence; NaN for a curve without any other lag."""
    if len(curve) == 1 or np.isnan(curve).any():
        return float("nan"), float("nan"), float("nan")
    middle, best = len(curve) // 2, int(np.argmax(curve))
    exact = float(best)
    if 0 < best < len(curve) - 1:
        before, at, after = curve[best - 1 : best + 2]
        bend = before - 2 * at + after
        exact += 0.5 * float(before - after) / float(bend) if bend < -1e-12 else 0.0
    return float(best - middle), exact - middle, float(curve[best] - np.median(curve))


def _deviation(track: Track) -> float:
    return 0.0 if np.isnan(track).all() else float(np.nanstd(track))


def _leak(judged: list[Judged]) -> float:
    moving = [j for j in judged if _deviation(j.source) > STILL * _deviation(j.truth)]
    if not moving:
        return float("nan")
    o = np.concatenate([spoken_part(j) for j in moving])
    t = np.concatenate([z_scored(j.truth) for j in moving])
    s = np.concatenate([z_scored(j.source) for j in moving])
    return correlation(o, s) - correlation(t, s)


def pooled(judged: list[Judged], lags: int = LAGS) -> SyncFigures:
    """Figures over all clips together."""
    amplitude = [
        float(np.nanstd(np.where(np.isnan(j.truth), np.nan, j.output)) / np.nanstd(j.truth))
        for j in judged
        if not np.isnan(j.truth).all() and not np.isnan(j.output).all()
    ]
    lags = min(lags, min(len(j.truth) for j in judged) // LAG_SHARE)
    offset, exact, confidence = _peak(lag_curve(judged, lags))
    return SyncFigures(
        r=pooled_r(judged),
        leak=_leak(judged),
        amplitude=float(np.mean(amplitude)) if amplitude else float("nan"),
        offset=offset,
        offset_exact=exact,
        confidence=confidence,
        lost=float(np.mean([np.isnan(j.output).mean() for j in judged])),
    )


def pooled_r(judged: list[Judged]) -> float:
    return correlation(
        np.concatenate([spoken_part(j) for j in judged]),
        np.concatenate([z_scored(j.truth) for j in judged]),
    )


def r_interval(judged: list[Judged], share: float = 0.9, seed: int = 0) -> tuple[float, float]:
    """Interval of the pooled r that holds `share` of resamplings of the clips; NaN below three
    clips.
    """
    if len(judged) < 3:
        return float("nan"), float("nan")
    sums = np.array([_sums(spoken_part(j), z_scored(j.truth)) for j in judged])
    rng = np.random.default_rng(seed)
    drawn = sums[rng.integers(0, len(sums), (RESAMPLES, len(sums)))].sum(1)
    n, a, b, aa, bb, ab = drawn.T
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (n * ab - a * b) / np.sqrt((n * aa - a * a) * (n * bb - b * b))
    low, high = np.nanquantile(r, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def _sums(a: Track, b: Track) -> tuple[float, ...]:
    both = ~(np.isnan(a) | np.isnan(b))
    a, b = a[both], b[both]
    return tuple(float(v) for v in (len(a), a.sum(), b.sum(), a @ a, b @ b, a @ b))
