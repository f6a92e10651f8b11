"""Shapes, materials and light of the things in `occluders`, in units of a square picture's side.

A shape is a signed distance (S, S), below 0 inside. Light falls on it as on a body rounded off at
its rim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Point = tuple[float, float]
PATTERNS = ("plain", "gradient", "grain", "blotches", "stripes", "checks", "dots", "mesh")


@lru_cache(4)
def _grid(size: int) -> tuple[Field, Field]:
    y, x = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / size
    return x, y


def capsule(size: int, a: Point, b: Point, first: float, last: float) -> Field:
    """A thick line from a to b, its radius growing from `first` to `last`."""
    x, y = _grid(size)
    along = np.subtract(b, a).astype(np.float32)
    share = ((x - a[0]) * along[0] + (y - a[1]) * along[1]) / max(1e-8, float(along @ along))
    share = np.clip(share, 0, 1)
    distance = np.hypot(x - a[0] - share * along[0], y - a[1] - share * along[1])
    return (distance - (first + (last - first) * share)).astype(np.float32)


def path(size: int, points: Sequence[Point], first: float, last: float) -> Field:
    """Capsules from point to point."""
    radii = np.linspace(first, last, len(points))
    joints = zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True)
    parts = [capsule(size, a, b, float(r), float(s)) for a, b, r, s in joints]
    return np.minimum.reduce(parts)


def bend(a: Point, middle: Point, b: Point, count: int = 6) -> list[Point]:
    """Points on the quadratic Bezier curve from a to b."""
    t = np.linspace(0, 1, count)[:, None]
    at = (1 - t) ** 2 * np.array(a) + 2 * t * (1 - t) * np.array(middle) + t**2 * np.array(b)
    return [(float(x), float(y)) for x, y in at]


def slab(size: int, middle: Point, half: Point, angle: float, corner: float, taper: float) -> Field:
    """A box with rounded corners, `taper` wider at its upper end."""
    x, y = _grid(size)
    c, s = np.cos(angle), np.sin(angle)
    u = (x - middle[0]) * c + (y - middle[1]) * s
    v = (y - middle[1]) * c - (x - middle[0]) * s
    u = u / (1 - taper * v / half[1])
    du, dv = np.abs(u) - half[0] + corner, np.abs(v) - half[1] + corner
    outside = np.hypot(du.clip(0), dv.clip(0)) + np.minimum(np.maximum(du, dv), 0)
    return (outside - corner).astype(np.float32)


def lump(size: int, middle: Point, radius: float, rng: np.random.Generator, rough: float) -> Field:
    """A closed outline, round but for four waves of `rough` radii."""
    x, y = _grid(size)
    angle = np.arctan2(y - middle[1], x - middle[0])
    wave = np.zeros_like(angle)
    for k in range(1, 5):
        wave += rng.normal(0, rough / k) * np.sin(k * angle + rng.uniform(0, 6.3))
    distance = np.hypot(x - middle[0], (y - middle[1]) * rng.uniform(0.7, 1.4))
    return (distance - radius * (1 + wave)).astype(np.float32)


def edge(size: int, angle: float, rng: np.random.Generator) -> Field:
    """All that lies below a wavy line through the middle."""
    x, y = _grid(size)
    c, s = np.cos(angle), np.sin(angle)
    along, across = (x - 0.5) * c + (y - 0.5) * s, (y - 0.5) * c - (x - 0.5) * s
    for _ in range(3):
        cycles = rng.uniform(0.5, 5)
        across = across + 0.03 / cycles * np.sin(2 * np.pi * cycles * along + rng.uniform(0, 6.3))
    return (-across).astype(np.float32)


def noise(size: int, rng: np.random.Generator, sigma_px: float) -> Field:
    """Smooth noise of deviation 1."""
    small = max(4, round(size / max(1.0, sigma_px)))
    field = rng.normal(0, 1, (small, small)).astype(np.float32)
    return cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC)


def any_colour(rng: np.random.Generator) -> Field:
    """RGB 0..255: black and greys, white, bright colours and dull ones."""
    kind = rng.random()
    if kind < 0.3:
        return (rng.uniform(8, 75) * rng.uniform(0.85, 1.15, 3)).astype(np.float32)
    if kind < 0.45:
        return (rng.uniform(75, 250) * rng.uniform(0.93, 1.07, 3)).astype(np.float32)
    bright = rng.uniform(0.5, 1) if kind < 0.75 else rng.uniform(0.05, 0.5)
    hsv = np.array([[[rng.uniform(0, 360), bright, rng.uniform(0.25, 1)]]], np.float32)
    return 255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0]


def material(size: int, rng: np.random.Generator, colour: Field, pattern: str) -> Field:
    """RGB (S, S, 3) of one of PATTERNS."""
    x, y = _grid(size)
    other = any_colour(rng)
    angle = rng.uniform(0, 6.3)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    cycles = 2 * np.pi * rng.uniform(4, 30)
    match pattern:
        case "gradient":
            share = (u - u.min()) / (u.max() - u.min())
        case "grain":
            relief = 1 + rng.uniform(0.05, 0.3) * noise(size, rng, rng.uniform(1, 3))
            return (colour * relief[..., None]).astype(np.float32)
        case "blotches":
            share = (noise(size, rng, rng.uniform(4, 30)) > rng.uniform(-0.5, 1)).astype(np.float32)
        case "stripes":
            share = (np.sin(cycles * u) > rng.uniform(-0.7, 0.7)).astype(np.float32)
        case "checks":
            share = ((np.sin(cycles * u) > 0).astype(np.float32) + (np.sin(cycles * v) > 0)) / 2
        case "dots":
            share = (np.sin(cycles * u) * np.sin(cycles * v) > 0.5).astype(np.float32)
        case "mesh":
            share = 0.5 + 0.25 * np.sin(4 * cycles * u) + 0.25 * np.sin(4 * cycles * v)
            other = colour * np.float32(rng.uniform(0.2, 0.7))
        case _:
            share = np.zeros_like(x)
    mixed = colour + (other - colour) * share.astype(np.float32)[..., None]
    return (mixed * (1 + 0.03 * noise(size, rng, rng.uniform(2, 20)))[..., None]).astype(np.float32)


@dataclass(frozen=True)
class Light:
    """One light: where it comes from (x, y, towards the viewer), how much of it is everywhere, and
    how much a surface shines.
    """

    towards: tuple[float, float, float]
    ambient: float
    shine: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Light:
        angle, height = rng.uniform(0, 6.3), rng.uniform(0.4, 1.5)
        towards = np.array([np.cos(angle), np.sin(angle), height])
        x, y, z = (float(v) for v in towards / np.linalg.norm(towards))
        shine = float(rng.uniform(10, 120)) if rng.random() < 0.4 else 0.0
        return cls((x, y, z), float(rng.uniform(0.35, 0.8)), shine)


@dataclass(frozen=True)
class Layer:
    """Colour float32 (S, S, 3), 0..255, and cover float32 (S, S), 0..1."""

    colour: Field
    cover: Field

    def over(self, below: Layer) -> Layer:
        cover = self.cover[..., None]
        return Layer(
            below.colour * (1 - cover) + self.colour * cover, np.maximum(below.cover, self.cover)
        )


def lit(
    shape: Field, rim: float, colours: Field, light: Light, relief: Field | None = None
) -> Layer:
    """A shape whose surface curves down over the last `rim` to its outline; relief (S, S) lies on
    it, in the same units.
    """
    size = len(shape)
    inside = np.clip(-shape / rim, 0, 1)
    height = rim * np.sqrt(np.clip(1 - (1 - inside) ** 2, 0, 1))
    if relief is not None:
        height = height + relief
    dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=size / 8)
    dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=size / 8)
    x, y, z = light.towards
    facing = (z - x * dx - y * dy) / np.sqrt(1 + dx * dx + dy * dy)
    bright = light.ambient + (1 - light.ambient) * facing.clip(0) / max(z, 0.6)
    shone = light.shine * facing.clip(0) ** 20
    colour = np.clip(colours * bright[..., None] + shone[..., None], 0, 255)
    return Layer(colour.astype(np.float32), np.clip(0.5 - shape * size, 0, 1))
