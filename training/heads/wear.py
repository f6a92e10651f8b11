"""What a head wears: teeth and tongue seated behind its lips, eyes, brows, lashes and hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.heads import light as lighting
from training.heads.assets import F32, Mesh, Worn, load_texture, load_worn, makehuman, vector
from training.heads.identity import Identity
from training.heads.skin import HAIR, sample_hair_colour, texture_of, tinted

UPPER_TEETH = (15060, 15128)  # base-mesh vertices that carry them
UPPER_LIP, LOWER_LIP = 474, 493  # base-mesh vertices where the lips meet, middle line
# The jawOpen unit drops lip and chin farther than the teeth: these would climb out of the mouth.
JAW_GAIN = np.array([1.0, 1.3, 1.6], np.float32)
BEHIND_LIPS = -0.06  # depth bias that keeps gums from showing through the chin


@dataclass(frozen=True, slots=True)
class Garment:
    """A mesh on a head: vertices (V, 3), their shifts (52, V, 3) by the face units, a texture."""

    mesh: Mesh
    vertices: F32
    shifts: F32
    texture: F32
    label: int  # of lighting; 0 = translucent
    bias: float = 0.0  # decimetres by which it is drawn nearer


def sample_garments(
    who: Identity, units: F32, jaw_open: int, hair: str | None, rng: np.random.Generator
) -> list[Garment]:
    """Draws what the head wears; `units` (52, 19158, 3), `jaw_open` their row of that name."""
    geometry = makehuman() / "assets_geometry"

    def put_on(worn: Worn, texture: F32, label: int = 0, bias: float = 0.0) -> Garment:
        shifts = np.stack([worn.move(unit) for unit in units])
        return Garment(worn.mesh, worn.fit(who.vertices), shifts, texture, label, bias)

    folders = sorted(p for p in (geometry / "teeth").iterdir() if p.name != "materials")
    teeth_folder = folders[int(rng.integers(len(folders)))]
    teeth_worn = load_worn(teeth_folder)
    enamel = load_texture(texture_of("teeth", teeth_folder.name)).copy()
    enamel[..., :3] *= vector(1.0, rng.uniform(0.85, 1.0), rng.uniform(0.65, 0.95))
    enamel[..., :3] *= np.float32(rng.uniform(0.6, 1.0))
    teeth = put_on(teeth_worn, enamel, lighting.TEETH, BEHIND_LIPS)
    flesh = load_texture(texture_of("tongue", "tongue01")).copy()
    flesh[..., :3] *= vector(0.7, 0.45, 0.45) * np.float32(rng.uniform(0.6, 1.1))
    tongue_worn = load_worn(geometry / "tongue" / "tongue01")
    tongue = put_on(tongue_worn, flesh, lighting.TONGUE, BEHIND_LIPS)
    upper = np.isin(teeth_worn.anchors[:, 0], np.arange(*UPPER_TEETH))
    _seat(teeth, tongue, upper, who.vertices, jaw_open, rng)

    colour = sample_hair_colour(who, rng)
    brow = f"eyebrow{int(rng.integers(1, 13)):03d}"
    dark = (colour * rng.uniform(0.4, 1.0)).astype(np.float32)
    lash = f"eyelashes{int(rng.integers(1, 5)):02d}"
    lash_texture = load_texture(texture_of("eyelashes", lash)).copy()
    lash_texture *= vector(0.3, 0.3, 0.3, rng.uniform(0.3, 1.0))
    worn = [
        teeth,
        tongue,
        put_on(load_worn(makehuman() / "eyes_highpoly"), _iris(who, rng), lighting.EYE),
        put_on(
            load_worn(geometry / "eyebrows" / brow),
            tinted(texture_of("eyebrows", brow), dark),
            bias=0.04,
        ),
        put_on(load_worn(geometry / "eyelashes" / lash), lash_texture, bias=0.01),
    ]
    style = hair or HAIR[who.female][int(rng.integers(len(HAIR[who.female])))]
    bald = not who.female and rng.random() < 0.12
    if hair is not None or not bald:
        cover = load_worn(geometry / "hair" / style)
        worn.append(put_on(cover, tinted(texture_of("hair", style), colour)))
    return worn


def _iris(who: Identity, rng: np.random.Generator) -> F32:
    folder = makehuman() / "textures" / "eyes" / "HighPolyEyes" / "textures"
    paths = sorted(folder.glob("*.png"))
    brown = 4.0 if who.race == "caucasian" else 30.0
    weights = np.array([brown if "brown" in path.name else 1.0 for path in paths])
    return load_texture(paths[int(rng.choice(len(paths), p=weights / weights.sum()))])


def _seat(
    teeth: Garment,
    tongue: Garment,
    upper: NDArray[np.bool_],
    base: F32,
    jaw_open: int,
    rng: np.random.Generator,
) -> None:
    """Moves teeth and tongue to where speech shows them: the upper incisors 2-3 mm below the upper
    lip's edge, the lower ones level with the lower lip, all close behind the lips; in place."""
    v = teeth.vertices
    middle = np.abs(v[:, 0] - base[UPPER_LIP, 0]) < 0.05
    upper_edge = v[upper & middle, 1].min()
    lower_edge = v[~upper & middle, 1].max()
    back = base[UPPER_LIP, 2] - rng.uniform(0.06, 0.09) - v[upper & middle, 2].max()
    rise_upper = base[UPPER_LIP, 1] - rng.uniform(0.015, 0.05) - upper_edge
    rise_lower = base[LOWER_LIP, 1] - rng.uniform(-0.02, 0.03) - lower_edge
    v[upper] += vector(0, rise_upper, back)
    v[~upper] += vector(0, rise_lower, back)
    tongue.vertices[:] += vector(0, rise_lower - rng.uniform(0.03, 0.08), back - 0.06)
    teeth.shifts[jaw_open][~upper] *= JAW_GAIN
    tongue.shifts[jaw_open] *= JAW_GAIN
