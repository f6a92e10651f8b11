"""Things that come between camera and mouth: a microphone, a hand or a fist, a cup, a pen, a scarf,
a strand of hair.

The same one, moving alike, is painted on every mouth track of a clip: what covers the mouth is then
the same in source and target, and the model learns to leave it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.align import MOUTH_CENTRE

Frames = NDArray[np.uint8]
Field = NDArray[np.float32]
KINDS = ("microphone", "hand", "cup", "strand", "fist", "pen", "scarf")
SHARES = (0.22, 0.24, 0.13, 0.1, 0.13, 0.1, 0.08)
BELOW = {"microphone": 0.16, "hand": 0.08, "cup": 0.08, "fist": 0.2, "scarf": 0.12}
SHADOW = 0.25  # how much darker the skin is beside it


@dataclass(frozen=True)
class _Layer:
    """One shape on a square of `size_px`: colour float32 (S, S, 3), cover float32 (S, S) 0..1."""

    colour: Field
    cover: Field


def _capsule(size: int, a: Field, b: Field, radius: float) -> tuple[Field, Field]:
    """Cover and roundness (0 at the rim, 1 at the axis) of a thick line from a to b, crop units."""
    y, x = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / size
    along = b - a
    share = ((x - a[0]) * along[0] + (y - a[1]) * along[1]) / max(1e-6, float(along @ along))
    share = np.clip(share, 0, 1)
    distance = np.hypot(x - a[0] - share * along[0], y - a[1] - share * along[1])
    cover = np.clip((radius - distance) * size / 1.5 + 0.5, 0, 1)
    return cover, np.sqrt(np.clip(1 - (distance / radius) ** 2, 0, 1))


def _grain(size: int, rng: np.random.Generator, sigma: float) -> Field:
    noise = cv2.GaussianBlur(rng.normal(0, 1, (size, size)).astype(np.float32), (0, 0), sigma)
    return noise / noise.std()


def _over(below: _Layer, above: _Layer) -> _Layer:
    cover = above.cover[..., None]
    return _Layer(
        below.colour * (1 - cover) + above.colour * cover,
        np.maximum(below.cover, above.cover),
    )


def _painted(size: int, colour: Field, shape: tuple[Field, Field], relief: Field | float) -> _Layer:
    cover, round_ = shape
    lit = (0.55 + 0.45 * round_ + relief)[..., None]
    return _Layer(np.clip(colour * lit, 0, 255).astype(np.float32), cover)


def _microphone(size: int, rng: np.random.Generator) -> _Layer:
    ball = np.array([0.5, 0.5], np.float32)
    radius = rng.uniform(0.10, 0.19)
    lean = rng.uniform(-0.5, 0.5)
    foot = ball + np.array([lean, 1.2], np.float32)
    dark = np.full(3, rng.uniform(15, 70), np.float32)
    stick = _painted(size, dark * 1.3, _capsule(size, ball, foot, radius * 0.45), 0.0)
    tint = rng.uniform(0.8, 1.2, 3).astype(np.float32)
    foam = _painted(
        size,
        (dark if rng.random() < 0.7 else rng.uniform(60, 200, 3).astype(np.float32)) * tint,
        _capsule(size, ball, ball + 1e-3, radius),
        0.12 * _grain(size, rng, rng.uniform(0.6, 1.6)),
    )
    return _over(stick, foam)


def _hand(size: int, rng: np.random.Generator, skin: Field) -> _Layer:
    """Fingers side by side from one edge, tips near the middle."""
    angle = rng.uniform(-0.9, 0.9) + (np.pi / 2 if rng.random() < 0.7 else 0.0)
    away = np.array([np.cos(angle), np.sin(angle)], np.float32)
    across = np.array([-away[1], away[0]], np.float32)
    radius, count = rng.uniform(0.045, 0.075), int(rng.integers(2, 5))
    colour = skin * rng.uniform(0.8, 1.15)
    relief = 0.04 * _grain(size, rng, 2.0)
    layer: _Layer | None = None
    for k in range(count):
        offset = (k - (count - 1) / 2) * radius * 1.9
        tip = np.float32(0.5) + across * offset + away * rng.uniform(-0.05, 0.05)
        bent = away + across * rng.normal(0, 0.06)
        shape = _capsule(
            size, tip.astype(np.float32), (tip + 1.3 * bent).astype(np.float32), radius
        )
        finger = _painted(size, colour * rng.uniform(0.94, 1.06), shape, relief)
        if rng.random() < 0.5:  # the back of the hand shows nails
            nail = (tip + away * radius * 0.3).astype(np.float32)
            pink = np.clip(colour * np.array([1.08, 0.98, 0.98]) + 12, 0, 255).astype(np.float32)
            end = (nail + away * radius * 0.7).astype(np.float32)
            finger = _over(
                finger, _painted(size, pink, _capsule(size, nail, end, radius * 0.55), 0.05)
            )
        layer = finger if layer is None else _over(layer, finger)
    assert layer is not None
    return layer


def _cup(size: int, rng: np.random.Generator) -> _Layer:
    """A cup, a phone, a sheet: a plain block from below or the side."""
    y, x = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / size
    angle = rng.normal(0, 0.25)
    u = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle)
    v = (y - 0.5) * np.cos(angle) - (x - 0.5) * np.sin(angle)
    half = rng.uniform(0.12, 0.3)
    inside = np.minimum(half - np.abs(u), v + 0.02)
    cover = np.clip(inside * size / 1.5 + 0.5, 0, 1)
    round_ = (
        np.sqrt(np.clip(1 - (u / half) ** 2, 0, 1)) if rng.random() < 0.6 else np.full_like(u, 1)
    )
    colour = rng.uniform(10, 245, 3).astype(np.float32)
    relief = 0.08 * _grain(size, rng, rng.uniform(1, 12))
    return _painted(size, colour, (cover, round_.astype(np.float32)), relief)


def _strand(size: int, rng: np.random.Generator) -> _Layer:
    a = np.array([rng.uniform(0.2, 0.8), -0.2], np.float32)
    b = np.array([0.5, 0.5], np.float32)
    c = np.array([rng.uniform(0.2, 0.8), 1.2], np.float32)
    colour = np.array([70, 50, 35], np.float32) * rng.uniform(0.3, 3.0)
    radius = rng.uniform(0.008, 0.03)
    relief = 0.15 * _grain(size, rng, 1.0)
    first = _painted(size, colour, _capsule(size, a, b, radius), relief)
    return _over(first, _painted(size, colour, _capsule(size, b, c, radius), relief))


def _fist(size: int, rng: np.random.Generator, skin: Field) -> _Layer:
    """The back of a hand with its knuckles, an arm below."""
    colour = skin * rng.uniform(0.8, 1.15)
    relief = 0.04 * _grain(size, rng, 3.0)
    middle, radius = np.array([0.5, 0.5], np.float32), rng.uniform(0.10, 0.16)
    wrist = middle + np.array([rng.uniform(-0.4, 0.4), 0.9], np.float32)
    layer = _painted(size, colour * 0.95, _capsule(size, middle, wrist, 0.8 * radius), relief)
    turn = rng.normal(0, 0.4)
    along = np.array([np.cos(turn), np.sin(turn)], np.float32)
    for k in range(4):
        knuckle = middle + along * np.float32((k - 1.5) * radius * 0.55)
        end = knuckle + np.array([-along[1], along[0]], np.float32) * radius
        shape = _capsule(size, knuckle, end, radius * rng.uniform(0.4, 0.5))
        layer = _over(layer, _painted(size, colour * rng.uniform(0.94, 1.06), shape, relief))
    return layer


def _pen(size: int, rng: np.random.Generator) -> _Layer:
    angle = rng.uniform(0, np.pi)
    away = np.array([np.cos(angle), np.sin(angle)], np.float32)
    tip = np.array([0.5, 0.5], np.float32) - away * np.float32(rng.uniform(0.0, 0.3))
    colour = rng.uniform(10, 245, 3).astype(np.float32)
    shape = _capsule(size, tip, tip + away * 1.4, rng.uniform(0.012, 0.04))
    return _painted(size, colour, shape, 0.0)


def _scarf(size: int, rng: np.random.Generator) -> _Layer:
    """Cloth up to a wavy edge, in stripes or checks."""
    y, x = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / size
    wave = 0.02 * np.sin(2 * np.pi * rng.uniform(1, 4) * x + rng.uniform(0, 6.3))
    cover = np.clip((y - 0.5 - wave - 0.3 * (x - 0.5) * rng.normal(0, 1)) * size / 1.5 + 0.5, 0, 1)
    one, other = rng.uniform(10, 245, (2, 3)).astype(np.float32)
    stripes = np.sin(2 * np.pi * rng.uniform(3, 20) * (x * rng.normal() + y * rng.normal())) > 0
    colour = np.where(stripes[..., None], one, other) if rng.random() < 0.6 else one
    relief = 0.1 * _grain(size, rng, rng.uniform(1, 8))
    return _painted(size, colour, (cover.astype(np.float32), np.ones_like(x)), relief)


@dataclass(frozen=True)
class Occluder:
    """One thing on its way: `path` is where its middle lies, in widths of the picture."""

    kind: str
    layer: _Layer
    start: tuple[float, float]
    drift: NDArray[np.float64]  # (2, 3): amplitude, cycles a frame, phase of x and y

    @classmethod
    def sample(
        cls,
        rng: np.random.Generator,
        size_px: int,
        kind: str | None = None,
        skin: tuple[float, float, float] = (205.0, 160.0, 135.0),
        lively: bool = False,
    ) -> Occluder:
        """One whose edge lies on the mouth of an aligned picture of `size_px`; skin: RGB of the
        face, for hands. lively: some come from further off and move faster.
        """
        kind = kind or KINDS[int(rng.choice(len(KINDS), p=SHARES))]
        make = {
            "microphone": _microphone,
            "cup": _cup,
            "strand": _strand,
            "pen": _pen,
            "scarf": _scarf,
        }
        if kind in ("hand", "fist"):
            limb = _hand if kind == "hand" else _fist
            layer = limb(size_px, rng, np.array(skin, np.float32))
        else:
            layer = make[kind](size_px, rng)
        start = (
            MOUTH_CENTRE[0] - 0.5 + rng.normal(0, 0.10),
            MOUTH_CENTRE[1] - 0.5 + BELOW.get(kind, 0.0) + rng.normal(0, 0.05),
        )
        drift = np.stack(
            [rng.uniform(0, 0.03, 2), rng.uniform(0.005, 0.03, 2), rng.uniform(0, 6.3, 2)], 1
        )
        if lively and rng.random() < 0.4:
            start = (start[0] + rng.normal(0, 0.12), start[1] + rng.normal(0, 0.08))
            drift = drift * np.array([rng.uniform(1, 5), rng.uniform(1, 2), 1.0])
        return cls(kind, layer, start, drift)

    def at(self, frame: int) -> tuple[float, float]:
        """Shift of the layer in frame number `frame`, picture widths."""
        amplitude, cycles, phase = self.drift.T
        x, y = amplitude * np.sin(2 * np.pi * cycles * frame + phase)
        return self.start[0] + float(x), self.start[1] + float(y)

    def paint(self, frames: Frames) -> tuple[Frames, Field]:
        """frames uint8 (T, S, S, 3) -> the same with the thing before the face, and its cover
        float32 (T, S, S).
        """
        size = frames.shape[1]
        out = np.empty_like(frames)
        covers = np.empty(frames.shape[:3], np.float32)
        for t, frame in enumerate(frames):
            dx, dy = self.at(t)
            m = np.array([[1, 0, dx * size], [0, 1, dy * size]])
            colour, cover = (
                cv2.warpAffine(part, m, (size, size), borderMode=cv2.BORDER_REPLICATE)
                for part in (self.layer.colour, self.layer.cover)
            )
            shade = cv2.GaussianBlur(cover, (0, 0), size / 40)
            below = frame * (1 - SHADOW * shade)[..., None]
            mixed = below * (1 - cover[..., None]) + colour * cover[..., None]
            out[t] = np.clip(mixed, 0, 255).astype(np.uint8)
            covers[t] = cover
        return out, covers
