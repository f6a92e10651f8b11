"""The report of a run, as JSON and as Markdown."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.evaluation.clip import Group
from training.evaluation.expert import Expert
from training.evaluation.figures import (
    Figures,
    Judgement,
    looks,
    mean,
    number,
    set_figures,
)
from training.evaluation.regressor import Regressor
from training.evaluation.sets import SETS, Kind
from training.evaluation.targets import (
    FOUND,
    IN_SYNC_OFFSET,
    IN_SYNC_R,
    LIKENESS,
    SEAM,
    SHARPNESS,
    Target,
    failures,
    targets_of,
)
from training.phoneme_report import CLOSED_SHARE, SHUT
from training.sync_figures import pooled

CONDITIONS = "conditions"
CONDITIONS_NOTE = (
    "True mouths of 24 px faces the judge reads at r .81, others at .93 to .97. The last whisper is"
    " recorded, its true mouth unknown: it is held against what is heard."
)

VOICES_NOTE = (
    f"Closed: below {CLOSED_SHARE:.0%} of the mouth's own range within one frame of the sound."
    f" Shut: lips as near to each other as in the picture where it is most closed, to {SHUT:g} eye"
    " distances. Chance: the same mouths at other times."
)


@dataclass(frozen=True)
class Verdict:
    """A judged set: figures, and of its clips why each is no success (sync sets only)."""

    name: str
    judgements: list[Judgement]
    figures: Figures
    failures: list[list[str]]

    @classmethod
    def of(
        cls, name: str, judgements: list[Judgement], expert: Expert, regressor: Regressor
    ) -> Verdict:
        kind = SETS[name].kind
        failed = [failures(j) for j in judgements] if kind is Kind.SYNC else []
        return cls(name, judgements, set_figures(kind, judgements, expert, regressor), failed)

    @property
    def success(self) -> float:
        if not self.failures:
            return math.nan
        return sum(not f for f in self.failures) / len(self.failures)

    @property
    def targets(self) -> tuple[Target, ...]:
        return targets_of(self.name, self.judgements)

    @property
    def passed(self) -> bool:
        return all(t.met(self.figures) for t in self.targets)


def success_by_group(verdicts: list[Verdict]) -> dict[Group, tuple[int, int]]:
    """Successes and clips of each group."""
    counts: dict[Group, tuple[int, int]] = {}
    for verdict in verdicts:
        for judgement, failed in zip(verdict.judgements, verdict.failures, strict=False):
            good, all_of_it = counts.get(judgement.clip.group, (0, 0))
            counts[judgement.clip.group] = (good + (not failed), all_of_it + 1)
    return counts


def write_json(path: Path, conditions: dict[str, Any], verdicts: list[Verdict]) -> None:
    report = {
        "conditions": conditions,
        "sets": {v.name: _set_json(v) for v in verdicts},
        "success": {
            group: {"successes": good, "clips": count}
            for group, (good, count) in success_by_group(verdicts).items()
        },
    }
    _write(path, json.dumps(_plain(report), indent=1, ensure_ascii=False) + "\n")


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    partial.rename(path)


def _plain(value: Any) -> Any:
    """NaN, which JSON does not have, as null; numbers to five digits."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.5g}")
    return value


def _set_json(verdict: Verdict) -> dict[str, Any]:
    clips = []
    for k, judgement in enumerate(verdict.judgements):
        clip, m = judgement
        entry: dict[str, Any] = {"name": clip.name, "group": clip.group}
        if verdict.failures:
            sync = pooled([judgement.judged])
            entry |= {"r": sync.r, "offset": sync.offset_exact, "failures": verdict.failures[k]}
        entry |= {"sharpness": m.sharpness, "seam": m.seam, "lost": m.lost}
        clips.append(entry)
    return {
        "about": SETS[verdict.name].about,
        "passed": verdict.passed,
        "targets": [{"target": str(t), "met": t.met(verdict.figures)} for t in verdict.targets],
        "success_rate": verdict.success,
        "figures": verdict.figures,
        "clips": clips,
    }


def write_markdown(path: Path, conditions: dict[str, Any], verdicts: list[Verdict]) -> None:
    parts = ["# How well the model syncs lips", _conditions(conditions), _verdicts(verdicts)]
    of_kind = {kind: [v for v in verdicts if SETS[v.name].kind is kind] for kind in Kind}
    if of_kind[Kind.SYNC]:
        parts += [_sync(of_kind[Kind.SYNC]), _baselines(of_kind[Kind.SYNC])]
    parts.append(_looks(verdicts))
    for kind, title in (
        (Kind.SILENCE, "## Silence"),
        (Kind.VOICES, "## Voices"),
        (Kind.DRIFT, "## Drift"),
    ):
        parts += [f"{title}\n\n{_special(v)}" for v in of_kind[kind]]
    if of_kind[Kind.VOICES]:
        parts.append(VOICES_NOTE)
    if of_kind[Kind.SYNC]:
        parts += [_by_condition(v) for v in verdicts if v.name == CONDITIONS]
        parts += [_success(verdicts), _clips(of_kind[Kind.SYNC])]
    _write(path, "\n\n".join(parts) + "\n")


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def _conditions(conditions: dict[str, Any]) -> str:
    return "; ".join(f"{name} {value}" for name, value in conditions.items()) + "."


def _verdicts(verdicts: list[Verdict]) -> str:
    rows = []
    for v in verdicts:
        told = []
        for target in v.targets:
            value = v.figures.get(target.figure, math.nan)
            mark = "✓" if target.met(v.figures) else "✗"
            told.append(f"{mark} {target} ({number(value)})")
        rows.append([v.name, SETS[v.name].about, "; ".join(told), "pass" if v.passed else "fail"])
    return "## Targets\n\n" + _table(["set", "what", "target (figure)", ""], rows)


def _sync(verdicts: list[Verdict]) -> str:
    head = ["set", "clips", "pooled r [90 %]", "leak", "amplitude", "offset, frames", "confidence"]
    head += ["lip distance", "success"]
    rows = []
    for v in verdicts:
        f = v.figures
        rows.append(
            [
                v.name,
                str(len(v.judgements)),
                f"{number(f['r'], 3)} [{number(f['r_low'])}, {number(f['r_high'])}]",
                number(f["leak"], sign=True),
                number(f["amplitude"]),
                f"{number(f['offset'], 0)} ({number(f['offset_exact'], sign=True)})",
                number(f["confidence"]),
                number(f["lip_distance"], 3),
                number(v.success),
            ]
        )
    note = (
        "r: output's against true opening (for a voice of your own, against what the model hears),"
        " each clip z-scored; interval: clips resampled. Lip"
        " distance: landmarks against the true mouth's after similarity alignment, in inter-ocular"
        " distances, where the same person's true mouth is known. What stands before a face is"
        " taken away before the judge looks (training.judge_report says why)."
    )
    return f"## Sync\n\n{_table(head, rows)}\n\n{note}"


def _baselines(verdicts: list[Verdict]) -> str:
    head = ["set", "pooled r", "template", "loudness flap", "shuffled drive", "ceiling: heard"]
    head += ["a regressor"]
    head += ["learned confidence", "true mouth's", "with wrong sound", "learned offset"]
    names = ["r", "template_r", "loudness_flap_r", "shuffled_r", "ceiling_r", "regressor_r"]
    names += ["learned_confidence", "learned_confidence_true", "learned_confidence_wrong"]
    names += ["learned_offset"]
    rows = [[v.name, *(number(v.figures[n], 3) for n in names)] for v in verdicts]
    note = (
        "Ceiling: the opening that the model's own audio encoder hears. A regressor: what one of"
        " its own, fitted once on GRID's training sentences, hears with the same look-ahead."
        " Learned confidence: agreement of lips and sound at the best lag minus its median over"
        " lags, by a linear judge (regularised canonical correlation) fitted on GRID's validation"
        " sentences, which no other part learns from."
    )
    title = "## Beside what needs no listening, what the audio encoder hears, and a learned judge"
    return f"{title}\n\n{_table(head, rows)}\n\n{note}"


def _looks(verdicts: list[Verdict]) -> str:
    head = ["set", "sharpness", "skin", "texture", "inside", "of itself", "seam"]
    head += ["outside the mask", "flicker, mouth", "flicker, skin", "lost", "engine lost"]
    names = ["sharpness", "skin", "texture", "inside", "inside_itself", "seam", "outside"]
    names += ["flicker_mouth", "flicker_skin"]
    rows = []
    for v in verdicts:
        lost = [f"{100 * v.figures[n]:.1f} %" for n in ("lost", "engine_lost")]
        rows.append([v.name, *(number(v.figures[n]) for n in names), *lost])
    note = (
        "Sharpness: fine detail in the mouth, output over source. Skin, texture: distance outside"
        " the lips to the source over that of the autoencoder's round trip. Inside: colour distance"
        " (CIELAB) between the lips to the source's mouth at the same opening; of itself: of that"
        " mouth to itself at another time. Seam: gradient in the"
        " ring at the mask's edge, output over source. Flicker, grey levels a frame: how much more"
        " the output changes than the source does, in the mouth while nothing is heard, and beside"
        " it. Lost: frames without a face, for the judge and for the engine."
    )
    return f"## Looks\n\n{_table(head, rows)}\n\n{note}"


def _special(verdict: Verdict) -> str:
    """All figures of a silence, voices or drift set that `_looks` has not told."""
    told = set(looks(verdict.judgements))
    rows = [[n, number(v, 3)] for n, v in verdict.figures.items() if n not in told]
    return _table([verdict.name, ""], rows)


def _by_condition(verdict: Verdict) -> str:
    """Clips whose names differ in their last number, pooled."""
    groups: dict[str, list[Judgement]] = {}
    for judgement in verdict.judgements:
        groups.setdefault(re.sub(r" \d+$", "", judgement.clip.name), []).append(judgement)
    rows = []
    for name, of in groups.items():
        each = [pooled([j.judged]).r for j in of]
        sync = pooled([j.judged for j in of])
        rows.append(
            [
                name,
                number(sync.r, 3),
                ", ".join(number(r) for r in each),
                number(sync.amplitude),
                number(mean([j.measured.sharpness for j in of])),
                f"{100 * mean([j.measured.lost for j in of]):.1f} %",
            ]
        )
    head = ["condition", "pooled r", "each", "amplitude", "sharpness", "lost"]
    return f"## Conditions\n\n{_table(head, rows)}\n\n{CONDITIONS_NOTE}"


def _success(verdicts: list[Verdict]) -> str:
    rows = [
        [group, f"{good} of {count}", number(good / count)]
        for group, (good, count) in success_by_group(verdicts).items()
    ]
    why: dict[str, int] = {}
    for verdict in verdicts:
        for failed in verdict.failures:
            for reason in failed:
                why[reason] = why.get(reason, 0) + 1
    reasons = ", ".join(f"{name} {count}" for name, count in sorted(why.items())) or "none"
    note = (
        f"A clip succeeds if the judge finds its face in {FOUND:.0%} of frames, r >= {IN_SYNC_R}"
        f" and |offset| <= {IN_SYNC_OFFSET}, seam <= {SEAM}, sharpness {SHARPNESS[0]} to"
        f" {SHARPNESS[1]}, skin and texture <= {LIKENESS:g}; of drawings, which have no skin and no"
        " landmarks, r, offset and seam alone. Atypical here are heads turned by 30"
        f" and 45 degrees and mouths behind something. Failures: {reasons}."
    )
    table = _table(["group", "successes", "rate"], rows)
    return f"## Success rate, by groups as AIGC-LipSync has them\n\n{table}\n\n{note}"


def _clips(verdicts: list[Verdict]) -> str:
    head = ["set", "clip", "r", "amplitude", "sharpness", "lost", "fails"]
    rows = []
    for v in verdicts:
        for judgement, failed in zip(v.judgements, v.failures, strict=True):
            sync, m = pooled([judgement.judged]), judgement.measured
            figures = [number(sync.r, 3), number(sync.amplitude), number(m.sharpness)]
            lost = f"{100 * m.lost:.1f} %"
            rows.append([v.name, judgement.clip.name, *figures, lost, ", ".join(failed) or "-"])
    return f"## Clip by clip\n\n{_table(head, rows)}"
