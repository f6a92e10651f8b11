"""Who a head is: a random adult from MakeHuman's race, sex, age, weight and feature targets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from training.heads.assets import F32, add_target, base_mesh, makehuman

RACES = ("african", "asian", "caucasian")
OPPOSITES = {
    "decr": "incr",
    "down": "up",
    "in": "out",
    "backward": "forward",
    "concave": "convex",
    "compress": "uncompress",
}
FEATURES = ("head", "forehead", "eyebrows", "eyes", "nose", "cheek", "mouth", "chin", "ears")
# Shapes no adult has, and moves of the whole head, which the pose draws.
LEFT_OUT = (
    "head-age",
    "pointed",
    "ear-shape-square",
    "ear-shape-triangle",
    "head-trans",
    "head-angle",
)
SPREAD = {"mouth": 0.28, "eyes": 0.25, "head": 0.3}


@dataclass(frozen=True, slots=True)
class Identity:
    """Traits and the shaped base mesh, vertices (19158, 3) in decimetres."""

    races: tuple[float, float, float]  # shares of RACES
    female: bool
    age: float  # 0 young adult, 1 old
    vertices: F32

    @property
    def race(self) -> str:
        return RACES[int(np.argmax(self.races))]


@lru_cache(1)
def feature_pairs() -> tuple[tuple[str, tuple[Path, ...], tuple[Path, ...]], ...]:
    """(folder, targets that lessen a feature, targets that add to it), both sides together."""
    pairs = []
    for folder in FEATURES:
        found = sorted((makehuman() / "mpfb2" / "targets" / folder).glob("*.target.gz"))
        names: dict[str, list[Path]] = {}
        for path in found:
            name = path.name.removesuffix(".target.gz")
            if not any(part in name for part in LEFT_OUT):
                names.setdefault(name.removeprefix("l-").removeprefix("r-"), []).append(path)
        for name, paths in names.items():
            stem, _, end = name.rpartition("-")
            if end in OPPOSITES:
                other = names.get(f"{stem}-{OPPOSITES[end]}")
                if other:
                    pairs.append((folder, tuple(paths), tuple(other)))
            elif end not in OPPOSITES.values():
                pairs.append((folder, (), tuple(paths)))
    return tuple(pairs)


def sample_identity(rng: np.random.Generator) -> Identity:
    """Draws an adult."""
    races = rng.dirichlet([0.5, 0.5, 0.5])
    sex = "female" if rng.random() < 0.5 else "male"
    age = float(rng.beta(1.0, 1.6))
    vertices = base_mesh().vertices.copy()
    macro = makehuman() / "mpfb2" / "targets" / "macrodetails"
    muscle, weight = rng.uniform(-0.7, 0.7), rng.uniform(-0.8, 0.9)
    for stage, share in (("young", 1 - age), ("old", age)):
        for race, amount in zip(RACES, races, strict=True):
            add_target(vertices, macro / f"{race}-{sex}-{stage}.target.gz", share * amount)
        for m, by_muscle in _mixture("muscle", muscle):
            for w, by_weight in _mixture("weight", weight):
                path = macro / f"universal-{sex}-{stage}-{m}-{w}.target.gz"
                add_target(vertices, path, share * by_muscle * by_weight)
    for folder, lessen, add in feature_pairs():
        if rng.random() > 0.45:
            continue
        amount = float(np.clip(rng.normal(0, SPREAD.get(folder, 0.35)), -0.75, 0.75))
        if not lessen:
            amount = 0.6 * abs(amount)
        for path in lessen if amount < 0 else add:
            add_target(vertices, path, abs(amount) * rng.uniform(0.9, 1.1))
    for path in sorted((makehuman() / "mpfb2" / "targets" / "asym").glob("*.target.gz")):
        if rng.random() < 0.2:
            add_target(vertices, path, rng.uniform(0, 0.35))
    shares = (float(races[0]), float(races[1]), float(races[2]))
    return Identity(shares, sex == "female", age, vertices)


def _mixture(name: str, value: float) -> tuple[tuple[str, float], tuple[str, float]]:
    """`value` -1..1 as shares of the targets min, average and max."""
    end = "max" if value > 0 else "min"
    return ((f"average{name}", 1 - abs(value)), (f"{end}{name}", abs(value)))
