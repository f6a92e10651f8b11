"""The hands and microphones that the model is judged behind. They are drawn here and nowhere else:
training has its own things (`training.occluders`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.align import MOUTH_CENTRE

Field = NDArray[np.float32]
BELOW = {"microphone": 0.16, "hand": 0.08}  # the mouth, crop units


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


@dataclass(frozen=True)
class JudgedCover:
    """One thing on its way: `start` is where its middle lies, in widths of the picture."""

    layer: _Layer
    start: tuple[float, float]
    drift: NDArray[np.float64]  # (2, 3): amplitude, cycles a frame, phase of x and y

    @classmethod
    def sample(
        cls, rng: np.random.Generator, size_px: int, kind: str, skin: tuple[float, float, float]
    ) -> JudgedCover:
        """A hand or a microphone whose edge lies on the mouth of an aligned picture of `size_px`;
        skin: RGB of the face, for hands.
        """
        hand = kind == "hand"
        layer = (
            _hand(size_px, rng, np.array(skin, np.float32)) if hand else _microphone(size_px, rng)
        )
        start = (
            MOUTH_CENTRE[0] - 0.5 + rng.normal(0, 0.10),
            MOUTH_CENTRE[1] - 0.5 + BELOW[kind] + rng.normal(0, 0.05),
        )
        drift = np.stack(
            [rng.uniform(0, 0.03, 2), rng.uniform(0.005, 0.03, 2), rng.uniform(0, 6.3, 2)], 1
        )
        return cls(layer, start, drift)

    def at(self, frame: int) -> tuple[float, float]:
        """Shift of the layer in frame number `frame`, picture widths."""
        amplitude, cycles, phase = self.drift.T
        x, y = amplitude * np.sin(2 * np.pi * cycles * frame + phase)
        return self.start[0] + float(x), self.start[1] + float(y)
