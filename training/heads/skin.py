"""What a head looks like: skin, lips and stubble painted into one texture; eyes, brows and hair."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from training.heads.assets import F32, base_mesh, load_target, load_texture, makehuman, vector
from training.heads.identity import RACES, Identity
from training.heads.raster import paint_uv

SKIN_PX = 1024
HAIR = {
    # bob01, bob02 and short03 hang over an eye.
    True: ("afro01", "braid01", "long01", "long01", "ponytail01", "short01", "short02", "short04"),
    False: ("afro01", "short01", "short02", "short04"),
}
# Linear-light colours: black, browns, blonds, red, greys.
HAIR_COLOURS = (
    *((0.010, 0.008, 0.007), (0.02, 0.012, 0.008), (0.05, 0.027, 0.015), (0.10, 0.055, 0.03)),
    *((0.30, 0.19, 0.09), (0.45, 0.33, 0.18), (0.16, 0.045, 0.02), (0.25, 0.25, 0.26)),
)
GREYS = ((0.25, 0.25, 0.26), (0.5, 0.5, 0.5))


def noise(rng: np.random.Generator, size: int, cells: int) -> F32:
    """Smooth noise (size, size), zero mean, unit spread, with about `cells` blobs a side."""
    small = rng.standard_normal((cells + 3, cells + 3)).astype(np.float32)
    out = cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)
    return (out - out.mean()) / (out.std() + 1e-6)


@lru_cache(1)
def _masks() -> tuple[F32, F32]:
    """Where lips and beard are in the skin texture, each (SKIN_PX, SKIN_PX) in 0..1."""
    mesh = base_mesh()
    v = mesh.vertices
    lips = np.zeros(len(v), np.float32)
    for part in ("upperlip", "lowerlip"):
        path = makehuman() / "mpfb2" / "targets" / "mouth" / f"mouth-{part}-volume-incr.target.gz"
        at, shift = load_target(path)
        lips[at] += np.linalg.norm(shift, axis=1)
    lips = np.clip(lips / np.percentile(lips[lips > 0], 70), 0, 1)
    corner = v[lips > 0.5]
    low, high = corner[:, 1].min(), corner[:, 1].max()
    x, y, z = v.T
    below = np.clip((high + 0.22 - y) / 0.12, 0, 1) * np.clip((y - (low - 0.75)) / 0.25, 0, 1)
    sides = np.where(y > low, np.abs(x) < 0.45, np.abs(x) < 0.75)
    beard = below * sides * (z > 0.45) * (1 - lips)
    body = mesh.groups == "body"
    painted = []
    for value in (lips, beard):
        out = np.zeros((SKIN_PX, SKIN_PX), np.float32)
        paint_uv(mesh.uv, mesh.faces[body], mesh.faces_uv[body], value.astype(np.float32), out)
        painted.append(np.asarray(cv2.GaussianBlur(out, (0, 0), 3), np.float32))
    return painted[0], painted[1]


def sample_skin(who: Identity, rng: np.random.Generator) -> F32:
    """A skin texture (SKIN_PX, SKIN_PX, 4), linear light."""
    folder = makehuman() / "textures" / "skins"
    sex = "female" if who.female else "male"
    ages = ("young", "middleage") if who.age < 0.45 else ("middleage", "old")
    skin = np.zeros((512, 512, 3), np.float32)
    for race, share in zip(RACES, who.races, strict=True):
        age = ages[int(rng.integers(2))]
        paths = sorted((folder / f"{age}_{race}_{sex}" / "textures").glob("*.png"))
        # A cooler mean keeps mixed skins from turning grey.
        skin += share * np.log(load_texture(paths[int(rng.integers(len(paths)))])[..., :3] + 1e-3)
    large = cv2.resize(np.exp(skin), (SKIN_PX, SKIN_PX), interpolation=cv2.INTER_CUBIC)
    skin = np.asarray(large, np.float32)
    lips, beard = _masks()
    tone = np.exp(rng.normal(0, 0.16) + rng.normal(0, 0.05, 3)).astype(np.float32)
    skin *= tone
    blotches = 0.05 * noise(rng, SKIN_PX, 60) * rng.uniform(0.2, 1)
    pores = 0.045 * rng.standard_normal((SKIN_PX, SKIN_PX)).astype(np.float32)
    pores = cv2.GaussianBlur(pores, (0, 0), 0.8) * rng.uniform(0.5, 2.0)
    skin *= np.exp(blotches[..., None] * vector(0.6, 1.2, 1.0) + pores[..., None])
    if rng.random() < 0.3:
        spots = np.clip(noise(rng, SKIN_PX, 260) - rng.uniform(2.0, 2.6), 0, 0.6)[..., None]
        skin *= np.exp(-spots * vector(0.5, 0.8, 0.9))
    paint = rng.uniform(0.0, 0.75 if who.female and rng.random() < 0.5 else 0.2)
    colour = vector(rng.uniform(0.25, 0.6), rng.uniform(0.03, 0.16), rng.uniform(0.04, 0.16))
    amount = (lips * paint)[..., None]
    skin = skin * (1 - amount) + colour * amount
    if not who.female and rng.random() < 0.5:
        grain = np.clip(0.65 + 0.35 * rng.standard_normal((SKIN_PX, SKIN_PX)), 0, 1.4)
        density = rng.uniform(0.1, 0.75) * cv2.GaussianBlur(grain.astype(np.float32), (0, 0), 0.7)
        amount = np.clip(beard * density, 0, 0.9)[..., None]
        skin = skin * (1 - amount) + skin * np.float32(rng.uniform(0.1, 0.35)) * amount
    rgba = np.ones((SKIN_PX, SKIN_PX, 4), np.float32)
    rgba[..., :3] = np.clip(skin, 0, 1)
    return rgba


def sample_hair_colour(who: Identity, rng: np.random.Generator) -> F32:
    dark = who.race != "caucasian" and rng.random() < 0.85
    choices: tuple[tuple[float, float, float], ...] = HAIR_COLOURS[: 3 if dark else None]
    if rng.random() < who.age * 0.8:
        choices = GREYS
    colour = np.array(choices[int(rng.integers(len(choices)))], np.float32)
    return colour * np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.05, 3)).astype(np.float32)


def tinted(path: Path, colour: F32) -> F32:
    """A hair or brow texture with its brightness kept and its colour replaced."""
    texture = load_texture(path).copy()
    grey = texture[..., :3].mean(-1, keepdims=True)
    covered = texture[..., 3] > 0.3
    mean = float(grey[covered].mean()) if covered.any() else 0.1
    texture[..., :3] = np.clip(colour * np.clip(grey / (mean + 1e-3), 0.1, 4.0) ** 0.6, 0, 1)
    return texture


def texture_of(kind: str, name: str) -> Path:
    """The one texture of a folder, e.g. ("hair", "bob01")."""
    folder = makehuman() / "textures" / kind
    match = next(p for p in sorted(folder.iterdir()) if p.name.lower() == name.lower())
    return next((match / "textures").glob("*.png"))
