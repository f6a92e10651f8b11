"""The rows of the ablation table: what each changes in the recipe, or only in how it is run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from engine.model.dit import DenoiserConfig
from training.preset import Preset
from training.settings import TeacherStage
from training.window_config import WindowConfig

Network = Literal["edit", "whole latent", "velocity", "source tokens"]
SHARE = 0.3  # of a term's gradient, beside the error's
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
    teacher: TeacherStage
    network: Network

    @property
    def tells_pose(self) -> bool:
        return self.windows.drop_pose < 1


@dataclass(frozen=True)
class Row:
    """windows, denoiser, teacher: changed fields of the preset's. guidance, slots: how weights are
    run.
    """

    meaning: str
    windows: dict[str, Any] = field(default_factory=dict)
    denoiser: dict[str, Any] = field(default_factory=dict)
    teacher: dict[str, Any] = field(default_factory=dict)
    network: Network = "edit"
    guidance: Guidance = field(default_factory=Guidance)
    slots: int = 3

    def recipe(self, preset: Preset) -> Recipe:
        return Recipe(
            replace(preset.windows, **self.windows),
            replace(preset.denoiser, **self.denoiser),
            replace(preset.train.teacher, **self.teacher),
            self.network,
        )


ROWS = {
    "full": Row("the whole recipe, DS-CFG in two passes"),
    # pairs by level
    "arbitrary_pairs": Row(
        "other moments of the clip as source at every level, no exact pairs",
        {"pair_threshold": 1.0, "arbitrary_share": 1.0},
    ),
    "high_pairs": Row(
        "other moments in half of the slots of every level, as the entry's too",
        {"pair_threshold": 1.0, "arbitrary_share": 0.5},
    ),
    "exact_pairs": Row("exact pairs at every level", {"arbitrary_share": 0.0}),
    # progressive noise initialisation and source-noised entries
    "pure_noise": Row(
        "entries of pure noise: no source in x", {"tau": 1.0, "imperfect": 0.0, "entry_share": 0.0}
    ),
    "tau_86": Row("entries at level .86", {"tau": 0.86}),
    "tau_97": Row("entries at level .97", {"tau": 0.97}),
    "plain_flow": Row(
        "noised targets alone, as in plain flow matching; no own estimates",
        {"entry_share": 0.0, "imperfect": 0.0},
        teacher={"queue_share": 0.0},
    ),
    "no_queue": Row("never its own estimates of the queue", teacher={"queue_share": 0.0}),
    "high_levels": Row(
        "four single frames of five at the entry's level", {"single_levels": (0.1, 0.1, 0.8)}
    ),
    # what the network predicts
    "whole_latent": Row("x0 itself, not the edit x0 - z", network="whole latent"),
    "velocity": Row("the velocity, not the edit", network="velocity"),
    # beside the error
    "critic": Row(
        "a critic of mouths that knows source and lip pose", teacher={"sharpness": SHARE}
    ),
    "lip_reader": Row("an expert that reads lip poses", teacher={"lip_reader": SHARE}),
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
    "source_tokens": Row("the source as tokens, not channels", network="source tokens"),
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
