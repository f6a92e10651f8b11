"""The rows of the ablation table: what each changes in the recipe, or only in how it is run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from engine.model.dit import DenoiserConfig
from training.preset import Preset
from training.window_config import WindowConfig

LOW, HIGH = 1.2, 3.0  # static guidance; DS-CFG's weight at the mouth falls from 1.8 to 1.2


@dataclass(frozen=True)
class Guidance:
    """placed: DS-CFG in two passes. static: one weight at every place and level, in two passes.
    folded: distilled into one pass. none: the conditional estimate.
    """

    kind: Literal["placed", "static", "folded", "none"] = "placed"
    weight: float = 1.0  # of static


@dataclass(frozen=True)
class Recipe:
    """How weights are made; rows that agree share them."""

    windows: WindowConfig
    denoiser: DenoiserConfig
    queue_share: float
    source_tokens: bool

    @property
    def tells_pose(self) -> bool:
        return self.windows.drop_pose < 1


@dataclass(frozen=True)
class Row:
    """windows, denoiser: changed fields of the preset's. guidance, slots: how weights are run."""

    meaning: str
    windows: dict[str, Any] = field(default_factory=dict)
    denoiser: dict[str, Any] = field(default_factory=dict)
    queue_share: float | None = None
    source_tokens: bool = False
    guidance: Guidance = field(default_factory=Guidance)
    slots: int = 3

    def recipe(self, preset: Preset) -> Recipe:
        share = preset.train.teacher.queue_share if self.queue_share is None else self.queue_share
        return Recipe(
            replace(preset.windows, **self.windows),
            replace(preset.denoiser, **self.denoiser),
            share,
            self.source_tokens,
        )


ROWS = {
    "full": Row("the whole recipe, DS-CFG in two passes"),
    # pairs by level
    "arbitrary_pairs": Row(
        "other moments of the clip as source at every level, no exact pairs",
        {"pair_threshold": 1.0, "arbitrary_share": 1.0},
    ),
    "exact_pairs": Row("exact pairs at every level", {"arbitrary_share": 0.0}),
    # progressive noise initialisation and source-noised entries
    "pure_noise": Row(
        "entries of pure noise: no source in x", {"tau": 1.0, "imperfect": 0.0, "entry_share": 0.0}
    ),
    "tau_80": Row("entries at level .80", {"tau": 0.80}),
    "tau_97": Row("entries at level .97", {"tau": 0.97}),
    "plain_flow": Row(
        "noised targets alone, as in plain flow matching; no own estimates",
        {"entry_share": 0.0, "imperfect": 0.0},
        queue_share=0.0,
    ),
    "no_queue": Row("never its own estimates of the queue", queue_share=0.0),
    # guidance
    "unguided": Row("no guidance", guidance=Guidance("none")),
    "static_low": Row(f"static guidance {LOW:g}", guidance=Guidance("static", LOW)),
    "static_high": Row(f"static guidance {HIGH:g}", guidance=Guidance("static", HIGH)),
    "distilled": Row(
        "DS-CFG distilled into one pass (a third of the budget more)", guidance=Guidance("folded")
    ),
    # slots of the queue, the same weights
    "slots_1": Row("L = 1, no look-ahead", slots=1),
    "slots_2": Row("L = 2, 40 ms", slots=2),
    "slots_4": Row("L = 4, 120 ms", slots=4),
    # what is told
    "source_tokens": Row("the source as tokens, not channels", source_tokens=True),
    "grid_only": Row("no synthetic identities", {"share": (("grid", 1.0),)}),
    "pose_only": Row("told the lip pose alone", denoiser={"hears_sound": False}),
    "sound_only": Row(
        "told the sound alone",
        {"drop_pose": 1.0, "drop_sound": 0.0},
        {"hears_sound": True},
    ),
    "pose_and_sound": Row("told both", denoiser={"hears_sound": True}),
}


def weights_of(name: str, preset: Preset) -> str:
    """The first row whose recipe is that of row `name`: its weights serve both."""
    recipe = ROWS[name].recipe(preset)
    return next(other for other in ROWS if ROWS[other].recipe(preset) == recipe)
