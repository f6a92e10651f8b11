"""Measures of a set's clips -> its figures, beside what needs no listening to reach."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training import phoneme_report
from training.evaluation.clip import Clip, Judge, there_and_back
from training.evaluation.expert import Expert
from training.evaluation.measure.faces import lip_features
from training.evaluation.measure.measured import Measured
from training.evaluation.regressor import Regressor
from training.evaluation.sets import Kind
from training.sync_figures import Judged, correlation, pooled, pooled_r, r_interval

Track = NDArray[np.float64]
Figures = dict[str, float]
TALKS = 0.02  # deviation of a source's opening, eye distances, from which its mouth moves


class Judgement(NamedTuple):
    clip: Clip
    measured: Measured

    @property
    def judged(self) -> Judged:
        m = self.measured
        return Judged(m.output, m.truth, m.source)


def mean(values: list[float]) -> float:
    """Of the known ones; NaN without any."""
    known = [v for v in values if not math.isnan(v)]
    return float(np.mean(known)) if known else math.nan


def number(value: float, digits: int = 2, sign: bool = False) -> str:
    """As the report writes it."""
    if math.isnan(value):
        return "-"
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def ratio(a: float, b: float) -> float:
    return a / b if b > 0 else math.nan


def set_figures(
    kind: Kind, all_of_it: list[Judgement], expert: Expert, regressor: Regressor
) -> Figures:
    """Every figure of a set by name; NaN where one has no meaning."""
    figures = looks(all_of_it)
    if kind is Kind.SYNC:
        figures |= sync(all_of_it) | baselines(all_of_it, regressor)
        figures |= learned(all_of_it, expert)
    elif kind is Kind.SILENCE:
        figures |= stillness(all_of_it)
    elif kind is Kind.VOICES:
        figures |= phonemes(all_of_it)
    else:
        figures |= drift(all_of_it)
    return figures


def looks(all_of_it: list[Judgement]) -> Figures:
    """Figures of how it looks, means over clips."""
    of = [m for _, m in all_of_it]
    return {
        "clips": float(len(of)),
        "sharpness": mean([m.sharpness for m in of]),
        "skin": mean([ratio(m.skin, m.skin_round_trip) for m in of]),
        "texture": mean([ratio(m.texture, m.texture_round_trip) for m in of]),
        "skin_distance": mean([m.skin for m in of]),
        "texture_distance": mean([m.texture for m in of]),
        "inside": mean([m.inside for m in of]),
        "inside_itself": mean([m.inside_itself for m in of]),
        "seam": mean([m.seam for m in of]),
        "outside": max(m.outside for m in of),
        "flicker_mouth": mean([m.flicker_mouth for m in of]),
        "flicker_skin": mean([m.flicker_skin for m in of]),
        "lost": mean([m.lost for m in of]),
        "engine_lost": mean([m.engine_lost for m in of]),
    }


def sync(all_of_it: list[Judgement]) -> Figures:
    judged = [j.judged for j in all_of_it]
    figures = asdict(pooled(judged))
    del figures["lost"]
    if any(clip.judge is Judge.DRAWN for clip, _ in all_of_it):
        figures["amplitude"] = math.nan  # areas of colour, not openings
    low, high = r_interval(judged)
    figures |= {
        "r_low": low,
        "r_high": high,
        "lip_distance": mean([m.lip_distance for c, m in all_of_it if c.same_person]),
        "cover_psnr": worst([m.cover_psnr for _, m in all_of_it]),
    }
    return figures


def worst(values: list[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return min(known) if known else math.nan


def _against(all_of_it: list[Judgement], tracks: list[Track]) -> float:
    """Pooled r of other tracks against the same truths."""
    return pooled_r(
        [
            Judged(_fitted(t, len(j.measured.truth)), j.measured.truth, j.measured.source)
            for t, j in zip(tracks, all_of_it, strict=True)
        ]
    )


def _fitted(track: Track, count: int) -> Track:
    """The track cut or filled with NaN to `count` frames."""
    return np.pad(track[:count], (0, max(0, count - len(track))), constant_values=np.nan)


def baselines(all_of_it: list[Judgement], regressor: Regressor) -> Figures:
    """r of the mean mouth of other drives, of a flap that follows loudness, of the output for
    another drive, of what the audio encoder hears, and of what a regressor of its own hears.
    """
    templates, others = [], []
    for k, here in enumerate(all_of_it):
        count = len(here.measured.truth)
        rest = all_of_it[k + 1 :] + all_of_it[:k]
        rest = [j for j in rest if j.clip.drive.name != here.clip.drive.name]
        truths = [_fitted(j.measured.truth, count) for j in rest]
        templates.append(_mean_track(truths, count))
        others.append(rest[0].measured.output if rest else np.full(count, np.nan))
    ceiling = _against(all_of_it, [j.measured.heard for j in all_of_it])
    reached = pooled_r([j.judged for j in all_of_it])
    regressed = _against(all_of_it, [_regressed(j, regressor) for j in all_of_it])
    return {
        "template_r": _against(all_of_it, templates),
        "loudness_flap_r": _against(all_of_it, [j.measured.flap for j in all_of_it]),
        "shuffled_r": _against(all_of_it, others),
        "ceiling_r": ceiling,
        "of_ceiling": ratio(reached, ceiling),
        "regressor_r": regressed,
        "of_regressor": ratio(reached, regressed),
    }


def _regressed(judgement: Judgement, regressor: Regressor) -> Track:
    drive, count = judgement.clip.drive, len(judgement.measured.truth)
    heard = regressor(drive.pcm, len(drive.opening))
    return np.tile(heard, -(-count // len(heard)))[:count]


def learned(all_of_it: list[Judgement], expert: Expert) -> Figures:
    """The expert's confidence in the output, in the true mouth, and in the output with the sound
    of another clip.
    """
    own, true, wrong, offsets = [], [], [], []
    for k, (clip, m) in enumerate(all_of_it):
        found = expert.agreement(m.lips, clip.drive.pcm)
        own.append(found.confidence)
        offsets.append(found.offset if not math.isnan(found.confidence) else math.nan)
        if clip.drive.points is not None:
            face = lip_features(clip.drive.points)
            true.append(expert.agreement(face, clip.drive.pcm).confidence)
        for other in all_of_it[k + 1 :] + all_of_it[:k]:
            if other.clip.drive.name != clip.drive.name:
                wrong.append(expert.agreement(m.lips, other.clip.drive.pcm).confidence)
                break
    return {
        "learned_confidence": mean(own),
        "learned_offset": float(np.nanmedian(offsets)) if not all_nan(offsets) else math.nan,
        "learned_confidence_true": mean(true),
        "learned_confidence_wrong": mean(wrong),
    }


def all_nan(values: list[float]) -> bool:
    return all(math.isnan(v) for v in values)


def _mean_track(tracks: list[Track], count: int) -> Track:
    if not tracks:
        return np.full(count, np.nan)
    stacked = np.stack(tracks)
    known = (~np.isnan(stacked)).sum(0)
    return np.where(known > 0, np.nansum(stacked, 0) / np.maximum(known, 1), np.nan)


def stillness(all_of_it: list[Judgement]) -> Figures:
    """Deviation of the opening in each kind of silence over that in speech, the worst kind's in
    `still` (NaN where one is unknown); and how much the pixels stir.
    """
    names = [s.name for s in all_of_it[0].clip.segments[1:]]
    figures: Figures = silent_leak(all_of_it)
    for k, name in enumerate(names, 1):
        shares, stirs = [], []
        for clip, m in all_of_it:
            speech, quiet = clip.segments[0], clip.segments[k]
            moving = float(np.nanstd(m.output[speech.first : speech.last]))
            shares.append(ratio(float(np.nanstd(m.output[quiet.first : quiet.last])), moving))
            stirs.append(ratio(float(m.stir[k]), float(m.stir[0])))
        figures[f"still {name}"] = mean(shares)
        figures[f"stir {name}"] = mean(stirs)
    figures["still"] = float(np.max([figures[f"still {name}"] for name in names]))
    return figures


WIDE_OPEN = 0.25  # gap over width of the inner lips
GAP, WIDTH = 0, 5  # of `lip_features`


def silent_leak(all_of_it: list[Judgement]) -> Figures:
    """What is left of a talking source's mouth where nothing is said: how far the output's opens
    when the source's opens by one (NaN beside still pictures), and LipLeak (KeySync,
    arXiv 2505.00497), the share of frames with a mouth wide open, beside the source's own.
    """
    slopes, outputs, sources = [], [], []
    for clip, m in all_of_it:
        quiet = np.zeros(len(m.output), bool)
        for segment in clip.segments[1:]:
            quiet[segment.first : segment.last] = True
        source, output = m.source[quiet], m.output[quiet]
        known = ~(np.isnan(source) | np.isnan(output))
        source, output = source[known], output[known]
        if len(source) and source.std() > TALKS:
            slopes.append(float(np.cov(source, output)[0, 1] / source.var(ddof=1)))
            order = there_and_back(len(clip.source.points), len(m.output))[quiet]
            outputs.append(_wide_open(m.lips[quiet]))
            sources.append(_wide_open(lip_features(clip.source.points)[order]))
    return {
        "leak in silence": mean(slopes),
        "LipLeak": mean(outputs),
        "LipLeak of the source": mean(sources),
    }


def _wide_open(lips: Track) -> float:
    """Of the frames in which a face was found."""
    known = lips[~np.isnan(lips[:, GAP])]
    return float((known[:, GAP] / known[:, WIDTH] > WIDE_OPEN).mean()) if len(known) else math.nan


def phonemes(all_of_it: list[Judgement]) -> Figures:
    """Shares of closed p, b, m and of the gap between open and close vowels, by voice and over all;
    beside the same of what is heard and of the mouth at other times.
    """
    figures: Figures = {}
    for voice in ["", *sorted({clip.voice for clip, _ in all_of_it})]:
        part = [j for j in all_of_it if j.clip.voice == voice or not voice]
        found = phoneme_report.pooled(
            [phoneme_report.figures(m.output, list(clip.phonemes)) for clip, m in part]
        )
        name = f" {voice}" if voice else ""
        figures[f"shut{name}"] = _shut([(j, [j.measured.output]) for j in part])
        figures[f"closure{name}"] = found.closure_rate
        figures[f"vowel_gap{name}"] = found.open_gap
    heard = [phoneme_report.figures(m.heard, list(clip.phonemes)) for clip, m in all_of_it]
    figures["closure_heard"] = phoneme_report.pooled(heard).closure_rate
    figures["closure_chance"] = mean(
        [phoneme_report.chance_rate(m.output, list(clip.phonemes)) for clip, m in all_of_it]
    )
    figures["shut_chance"] = _shut(
        [
            (j, phoneme_report.at_other_times(j.measured.output, list(j.clip.phonemes)))
            for j in all_of_it
        ]
    )
    figures["r_heard"] = mean([correlation(m.output, m.heard) for _, m in all_of_it])
    return figures


def _shut(judged: list[tuple[Judgement, list[Track]]]) -> float:
    """Share of p, b and m in which the lips of the tracks meet as they do in the picture."""
    closed = total = 0
    for (clip, m), tracks in judged:
        resting = float(np.nanmin(m.source))
        for track in tracks:
            found = phoneme_report.shut(track, resting, list(clip.phonemes))
            closed, total = closed + found[0], total + found[1]
    return ratio(closed, total)


def drift(all_of_it: list[Judgement]) -> Figures:
    """The last turn against the first."""
    figures: Figures = {}
    m = all_of_it[0].measured
    half = len(m.output) // 2
    first, last = m.output[:half], m.output[half:]
    for k, name in enumerate(("skin", "texture", "sharpness")):
        figures[f"{name} first"], figures[f"{name} last"] = (float(v) for v in m.halves[:, k])
        figures[f"{name} change"] = ratio(float(m.halves[1, k]), float(m.halves[0, k])) - 1
    figures["opening mean change"] = float(np.nanmean(last) - np.nanmean(first))
    figures["opening deviation change"] = ratio(float(np.nanstd(last)), float(np.nanstd(first))) - 1
    figures["r first"] = correlation(first, m.truth[:half])
    figures["r last"] = correlation(last, m.truth[half:])
    return figures
