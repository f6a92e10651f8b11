"""What each set must reach, and when a clip counts as a success. Change nothing here to make a
model pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.evaluation.clip import Judge
from training.evaluation.figures import Figures, Judgement, ratio
from training.sync_figures import pooled

# A clip succeeds if its face survives, it is in sync, and nothing about it looks wrong.
FOUND = 0.98  # share of frames in which the judge finds a face
IN_SYNC_R, IN_SYNC_OFFSET = 0.6, 1
SEAM = 1.25
SHARPNESS = (0.6, 1.5)
LIKENESS = 1.0  # skin and texture distance over the autoencoder's round trip


@dataclass(frozen=True)
class Target:
    """A figure's bounds, both inclusive."""

    figure: str
    low: float = -math.inf
    high: float = math.inf

    def met(self, figures: Figures) -> bool:
        return self.low <= figures.get(self.figure, math.nan) <= self.high

    def __str__(self) -> str:
        name = NAMES.get(self.figure, self.figure.replace("_", " "))
        if self.high == math.inf:
            return f"{name} >= {self.low:g}"
        if self.low == -math.inf:
            return f"{name} <= {self.high:g}"
        if self.low == self.high:
            return f"{name} {self.low:g}"
        return f"{name} {self.low:g} to {self.high:g}"


NAMES = {
    "of_ceiling": "r / ceiling",
    "of_regressor": "r / a regressor's",
    "skin": "skin",
    "cover_psnr": "PSNR on the cover",
    "outside": "change outside the mask",
    "still": "opening in silence / speech",
    "closure": "p b m closed",
    "shut": "p b m shut",
}
_ALWAYS = (Target("outside", high=0), Target("skin", high=1.0), Target("texture", high=1.0))
_FACES = (
    Target("amplitude", 0.7, 1.3),
    Target("offset", 0, 1),
    Target("sharpness", low=0.7),
)
TARGETS: dict[str, tuple[Target, ...]] = {
    "speaker": (
        Target("of_ceiling", low=0.95),
        Target("of_regressor", low=0.95),
        Target("leak", high=0.05),
        Target("amplitude", 0.9, 1.1),
        Target("offset", 0, 0),
        Target("sharpness", 0.8, 1.25),
    ),
    "strangers": (
        Target("r", low=0.80),
        Target("leak", high=0.08),
        Target("amplitude", 0.8, 1.2),
        Target("offset", 0, 1),
        Target("sharpness", 0.75, 1.3),
    ),
    "own_sound": (Target("r", low=0.75),),
    "portraits": (Target("r", low=0.76), *_FACES),
    "rendered": (Target("r", low=0.76), *_FACES),
    "turned30": (Target("r", low=0.72), *_FACES),
    "turned45": (Target("r", low=0.62), *_FACES),
    "painted": (Target("r", low=0.68), Target("offset", 0, 1)),
    "cartoon": (Target("r", low=0.68), Target("offset", 0, 1)),
    "drawn": (Target("r", low=0.68), Target("offset", 0, 1)),
    "untouched": (Target("r", low=0.76), *_FACES),
    "occluded": (Target("cover_psnr", low=34), Target("r", low=0.65)),
    "conditions": (Target("r", low=0.68), Target("offset", 0, 1)),
    "silence": (Target("still", high=0.08),),
    "voices": (
        Target("closure", low=0.85),
        Target("shut", low=0.85),
        Target("vowel_gap", low=0.01),
    ),
    "drift": (
        Target("skin change", -0.1, 0.1),
        Target("texture change", -0.1, 0.1),
        Target("sharpness change", -0.1, 0.1),
        Target("opening deviation change", -0.1, 0.1),
    ),
}


def targets_of(name: str, judgements: list[Judgement]) -> tuple[Target, ...]:
    """What the set `name` must reach with these clips."""
    drawn = all(clip.judge is Judge.DRAWN for clip, _ in judgements)  # no landmarks on any skin
    return (*TARGETS.get(name, ()), *(_ALWAYS[:1] if drawn else _ALWAYS))


def failures(judgement: Judgement) -> list[str]:
    """Why a clip of a sync set is no success; empty if it is one."""
    clip, m = judgement
    sync = pooled([judgement.judged])
    checks = {
        "face lost": 1 - m.lost >= FOUND,
        "not in sync": sync.r >= IN_SYNC_R and abs(sync.offset) <= IN_SYNC_OFFSET,
        "seam": m.seam <= SEAM,
        "pixels outside the mask": m.outside == 0,
    }
    if clip.judge is not Judge.DRAWN:
        checks |= {
            "sharpness": SHARPNESS[0] <= m.sharpness <= SHARPNESS[1],
            "skin": ratio(m.skin, m.skin_round_trip) <= LIKENESS,
            "texture": ratio(m.texture, m.texture_round_trip) <= LIKENESS,
        }
    return [name for name, fine in checks.items() if not fine]
