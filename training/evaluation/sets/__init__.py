"""The sets of clips that a model is judged on: one file makes each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from training.evaluation.clip import Clip
from training.evaluation.sets import (
    cartoon,
    conditions,
    drawn,
    drift,
    folder,
    occluded,
    portraits,
    rendered,
    silence,
    speakers,
    untouched,
    voices,
)
from training.evaluation.stock import Plan, Stock


class Kind(StrEnum):
    """Which figures a set has."""

    SYNC = "sync"
    SILENCE = "silence"
    VOICES = "voices"
    DRIFT = "drift"


@dataclass(frozen=True)
class JudgedSet:
    about: str
    make: Callable[[Stock, Plan], list[Clip]]
    kind: Kind = Kind.SYNC
    quick: bool = False  # part of --quick
    asked_for: bool = False  # only where it is named


SETS: dict[str, JudgedSet] = {
    "speaker": JudgedSet(
        "GRID speaker 1, unseen sentences, another sentence's picture", speakers.speaker, quick=True
    ),
    "strangers": JudgedSet(
        "four other GRID speakers, speaker 1's unseen sentences", speakers.strangers, quick=True
    ),
    "own_sound": JudgedSet(
        "four other GRID speakers, each one's own sound, the picture of another moment",
        speakers.own_sound,
    ),
    "matched": JudgedSet(
        "fourteen clips of GRID's speakers, each with its own sound and in step with it",
        speakers.matched,
    ),
    "portraits": JudgedSet("test portraits, still or swaying", portraits.portraits, quick=True),
    "rendered": JudgedSet("test heads, rendered, talking otherwise", rendered.frontal, quick=True),
    "turned30": JudgedSet("test heads turned 30 degrees", rendered.turned30),
    "turned45": JudgedSet("test heads turned 45 degrees", rendered.turned45),
    "painted": JudgedSet("test portraits painted or drawn by a filter", portraits.painted),
    "cartoon": JudgedSet("pytoon faces, box given by hand", cartoon.cartoon, quick=True),
    "drawn": JudgedSet(
        "faces that training's own generator draws from test seeds, box given by hand", drawn.drawn
    ),
    "occluded": JudgedSet("hand or microphone before the mouth", occluded.occluded, quick=True),
    "conditions": JudgedSet(
        "glasses, beard, light, sizes of faces, loudness, whisper: three clips each",
        conditions.conditions,
    ),
    "silence": JudgedSet(
        "no voice: silence, noise, breath, laughter, music", silence.silence, Kind.SILENCE, True
    ),
    "voices": JudgedSet(
        "synthetic voices of five languages, phoneme times known", voices.voices, Kind.VOICES
    ),
    "drift": JudgedSet(
        "a long stream's first and last minute", drift.drift, Kind.DRIFT, asked_for=True
    ),
    "untouched": JudgedSet(
        "portraits, heads, films and sentences of no other set: once, after all is chosen",
        untouched.untouched,
        asked_for=True,
    ),
    "clips": JudgedSet("your own clips", folder.clips, asked_for=True),
}
