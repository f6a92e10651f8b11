"""Things that come between camera and mouth: microphones, hands, cups, phones, hair, cloth, and
lumps that are nothing in particular.

The same one, moving alike, is painted on every mouth track of a clip: what covers the mouth is then
the same in source and target, and the model learns to leave it. What the model is judged on is
drawn elsewhere (`training.evaluation`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.align import MOUTH_CENTRE
from training.occluder_shapes import (
    PATTERNS,
    Field,
    Layer,
    Light,
    Point,
    any_colour,
    bend,
    capsule,
    edge,
    lit,
    lump,
    material,
    noise,
    path,
    slab,
)

Frames = NDArray[np.uint8]
SHARES = {
    "foam": 0.13,
    "mesh": 0.08,
    "boom": 0.06,
    "fingers": 0.15,
    "palm": 0.09,
    "fist": 0.08,
    "cup": 0.09,
    "phone": 0.06,
    "stick": 0.06,
    "hair": 0.06,
    "cloth": 0.06,
    "lump": 0.08,
}
KINDS = tuple(SHARES)
BELOW = {"foam": 0.12, "mesh": 0.12, "fingers": 0.06, "palm": 0.12, "fist": 0.18, "cup": 0.06}
BELOW |= {"phone": 0.1, "cloth": 0.14, "lump": 0.08}
TONES = np.array([[247, 214, 190], [224, 172, 130], [177, 120, 84], [108, 68, 48], [62, 40, 30]])


@dataclass(frozen=True)
class _Scene:
    """What a drawing needs: the picture's side in pixels, its light, and the face's skin, RGB."""

    size: int
    rng: np.random.Generator
    light: Light
    skin: Field

    def solid(self, shape: Field, rim: float, colour: Field, pattern: str | None = None) -> Layer:
        pattern = pattern or str(self.rng.choice(PATTERNS))
        return lit(shape, rim, material(self.size, self.rng, colour, pattern), self.light)

    def flesh(self) -> tuple[Field, Field]:
        """Skin of a hand, RGB (S, S, 3): the face's own or another's; and its creases."""
        rng = self.rng
        tone = self.skin * np.float32(np.exp(rng.normal(0, 0.15)))
        if rng.random() < 0.35:
            k = rng.uniform(0, len(TONES) - 1)
            tone = TONES[int(k)] + (TONES[int(k) + 1] - TONES[int(k)]) * (k % 1)
            tone = tone * rng.uniform(0.5, 1.1)
        red = noise(self.size, rng, self.size / 8)[..., None] * np.array([0.02, -0.03, -0.03])
        rough = rng.uniform(0, 0.05) * noise(self.size, rng, rng.uniform(1, 4))
        colours = tone * (1 + red) * (1 + rough)[..., None] * rng.uniform(0.95, 1.05, 3)
        return colours.astype(np.float32), np.float32(0.001) * noise(self.size, rng, 3.0)


def _at(point: NDArray[np.float64]) -> Point:
    return float(point[0]), float(point[1])


def _stand(s: _Scene, radius: float, colour: Field) -> Layer:
    lean = s.rng.uniform(-0.8, 0.8)
    shape = capsule(s.size, (0.5, 0.5), (0.5 + lean, 1.6), radius, radius * s.rng.uniform(0.7, 1.3))
    return s.solid(shape, radius, colour, "plain")


def _foam(s: _Scene) -> Layer:
    """A windscreen of foam or fur, round or long, with or without a station's cube below it."""
    rng, radius = s.rng, s.rng.uniform(0.08, 0.2)
    colour = any_colour(rng)
    layer = _stand(s, radius * rng.uniform(0.25, 0.6), any_colour(rng) * np.float32(0.6))
    if rng.random() < 0.25:
        box = slab(s.size, (0.5, 0.5 + 1.3 * radius), (0.7 * radius,) * 2, 0.0, 0.005, 0.0)
        layer = s.solid(box, 0.01, any_colour(rng)).over(layer)
    if rng.random() < 0.5:
        long, turn = rng.uniform(0, 0.6) * radius, rng.normal(0, 0.5)
        end = (0.5 + long * float(np.sin(turn)), 0.5 + long * float(np.cos(turn)))
        shape = capsule(s.size, (0.5, 0.5), end, radius, radius * rng.uniform(0.7, 1.0))
    else:
        shape = lump(s.size, (0.5, 0.5), radius, rng, 0.03)
    fur = rng.uniform(0.002, 0.015) * noise(s.size, rng, rng.uniform(1, 4))
    colours = material(s.size, rng, colour, str(rng.choice(("plain", "grain", "dots"))))
    return lit(shape + fur, radius, colours, s.light, 0.5 * fur).over(layer)


def _mesh(s: _Scene) -> Layer:
    """A stage microphone: a ball of wire, a ring, a body."""
    rng, radius = s.rng, s.rng.uniform(0.07, 0.16)
    metal = np.full(3, rng.uniform(40, 210), np.float32)
    dark = any_colour(rng) * np.float32(0.5)
    turn = rng.normal(0, 0.6)
    down = np.array([np.sin(turn), np.cos(turn)])
    neck, foot = (_at(0.5 + down * k * radius) for k in (0.9, 9.0))
    body = capsule(s.size, neck, foot, radius * 0.75, radius * 0.45)
    layer = s.solid(body, radius * 0.7, dark, "plain")
    ball = s.solid(lump(s.size, (0.5, 0.5), radius, rng, 0.01), radius, metal, "mesh")
    side = np.array([down[1], -down[0]]) * 0.9 * radius
    at = 0.5 + down * 0.35 * radius
    ring = capsule(s.size, _at(at - side), _at(at + side), 0.12 * radius, 0.12 * radius)
    return s.solid(ring, 0.1 * radius, metal, "plain").over(ball.over(layer))


def _boom(s: _Scene) -> Layer:
    """The arm of a headset, from a cheek to the mouth."""
    rng = s.rng
    side = 1 if rng.random() < 0.5 else -1
    ear = (0.5 + side * rng.uniform(0.3, 0.5), 0.5 - rng.uniform(-0.1, 0.35))
    knee = (0.5 + side * rng.uniform(0.15, 0.4), 0.5 + rng.uniform(0.0, 0.2))
    width, colour = rng.uniform(0.006, 0.018), any_colour(rng)
    arm = s.solid(path(s.size, bend(ear, knee, (0.5, 0.5)), width, width), width, colour, "plain")
    tip = capsule(s.size, (0.5, 0.5), (0.5 - side * 0.02, 0.51), *(rng.uniform(0.015, 0.05),) * 2)
    return s.solid(tip, 0.03, colour * np.float32(0.7), "grain").over(arm)


def _finger(s: _Scene, flesh: tuple[Field, Field], root: Point, tip: Point, radius: float) -> Layer:
    """One finger, bent at two joints, with or without its nail."""
    rng = s.rng
    r, t = np.array(root), np.array(tip)
    along = t - r
    across = np.array([-along[1], along[0]])
    knee = r + 0.55 * along + across * rng.normal(0, 0.12)
    shape = path(s.size, [root, _at(knee), tip], radius * rng.uniform(1.0, 1.3), radius)
    colours, creases = flesh
    layer = lit(shape, radius, colours * np.float32(rng.uniform(0.92, 1.06)), s.light, creases)
    if rng.random() < 0.4:
        away = (t - knee) / max(1e-6, float(np.linalg.norm(t - knee)))
        first, last = (_at(t + away * radius * k) for k in (-0.5, 0.25))
        nail = capsule(s.size, first, last, 0.6 * radius, 0.55 * radius)
        pink = s.skin * np.array([1.1, 0.95, 0.97], np.float32)
        painted = any_colour(rng) if rng.random() < 0.3 else pink
        layer = s.solid(nail, 0.3 * radius, painted, "plain").over(layer)
    return layer


def _row(s: _Scene, flesh: tuple[Field, Field], count: int, long: float) -> Layer:
    """Fingers side by side, their tips near the middle, from any side but above."""
    rng = s.rng
    angle = rng.uniform(-0.4, np.pi + 0.4)
    away = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-away[1], away[0]])
    radius, spread = rng.uniform(0.035, 0.08), rng.normal(0, 0.15)
    layer: Layer | None = None
    for k in range(count):
        offset = k - (count - 1) / 2
        tip = 0.5 + across * offset * radius * rng.uniform(1.8, 2.3) + away * rng.normal(0, 0.03)
        root = tip + long * (away + across * offset * spread)
        finger = _finger(s, flesh, _at(root), _at(tip), radius * rng.uniform(0.85, 1.1))
        layer = finger if layer is None else finger.over(layer)
    assert layer is not None
    return layer


def _fingers(s: _Scene) -> Layer:
    return _row(s, s.flesh(), int(s.rng.integers(1, 5)), 1.3)


def _palm(s: _Scene) -> Layer:
    """A whole hand: its fingers over its back or palm, an arm or a sleeve."""
    rng, flesh = s.rng, s.flesh()
    angle = rng.uniform(0, np.pi)
    away = np.array([np.cos(angle), np.sin(angle)])
    radius = rng.uniform(0.09, 0.17)
    heart = 0.5 + away * 0.02
    wrist, elbow = (_at(heart + away * k) for k in (1.5 * radius, 1.5))
    colours, creases = flesh
    arm = lit(capsule(s.size, wrist, elbow, 0.7 * radius, radius), radius, colours, s.light)
    if rng.random() < 0.5:
        shape = capsule(s.size, _at(heart + away * 2.5 * radius), elbow, radius, 1.4 * radius)
        arm = s.solid(shape, 0.3 * radius, any_colour(rng)).over(arm)
    back = lump(s.size, _at(heart + away * 0.7 * radius), radius, rng, 0.08)
    layer = lit(back, 0.6 * radius, colours, s.light, creases).over(arm)
    across = np.array([-away[1], away[0]])
    for k in range(4):
        offset = (k - 1.5) * 0.5 * radius
        root = heart + across * offset + away * 0.2 * radius
        tip = (
            root - away * radius * rng.uniform(0.8, 1.5) + across * offset * rng.uniform(-0.2, 0.6)
        )
        layer = _finger(s, flesh, _at(root), _at(tip), radius * 0.26).over(layer)
    return layer


def _fist(s: _Scene) -> Layer:
    """A closed hand, sometimes round the handle of something."""
    rng, flesh = s.rng, s.flesh()
    colours, creases = flesh
    radius, turn = rng.uniform(0.09, 0.17), rng.normal(0, 0.5)
    wrist = (0.5 + rng.uniform(-0.6, 0.6), 1.5)
    layer = lit(capsule(s.size, (0.5, 0.55), wrist, 0.8 * radius, radius), radius, colours, s.light)
    ball = lump(s.size, (0.5, 0.5), radius, rng, 0.06)
    layer = lit(ball, 0.7 * radius, colours, s.light, creases).over(layer)
    if rng.random() < 0.4:
        top = (0.5 + rng.normal(0, 0.15), 0.5 - rng.uniform(0.8, 1.8) * radius)
        shape = capsule(s.size, (0.5, 0.5), top, 0.35 * radius, rng.uniform(0.2, 0.6) * radius)
        layer = layer.over(s.solid(shape, 0.3 * radius, any_colour(rng)))
    along = np.array([np.cos(turn), np.sin(turn)])
    for k in range(4):
        knuckle = 0.5 + along * (k - 1.5) * radius * 0.5
        end = knuckle + np.array([-along[1], along[0]]) * radius * rng.uniform(0.6, 1.0)
        layer = _finger(s, flesh, _at(end), _at(knuckle), radius * 0.27).over(layer)
    return layer


def _cup(s: _Scene) -> Layer:
    """A cup, a glass or a can up to its rim, a lid or a straw at times, a hand round it."""
    rng, size = s.rng, s.size
    half, turn = rng.uniform(0.09, 0.26), rng.normal(0, 0.2)
    colour = any_colour(rng)
    wall = slab(size, (0.5, 1.0), (half, 0.5), turn, rng.uniform(0.005, 0.05), rng.uniform(0, 0.3))
    layer = s.solid(wall, half, colour)
    if rng.random() < 0.5:
        rim = slab(size, (0.5, 0.52), (half * 1.08, 0.02), turn, 0.015, 0.0)
        layer = s.solid(rim, 0.02, any_colour(rng), "plain").over(layer)
    if rng.random() < 0.3:
        straw = capsule(size, (0.5, 0.6), (0.5 + rng.normal(0, 0.1), 0.3), 0.012, 0.012)
        layer = layer.over(s.solid(straw, 0.012, any_colour(rng)))
    if rng.random() < 0.5:
        at = (rng.normal(0, 0.05), rng.uniform(0.1, 0.3))
        hand = _row(s, s.flesh(), 4, 1.0)
        m = np.array([[1, 0, at[0] * size], [0, 1, at[1] * size]])
        moved = (cv2.warpAffine(part, m, (size, size)) for part in (hand.colour, hand.cover))
        layer = Layer(*moved).over(layer)
    return layer


def _phone(s: _Scene) -> Layer:
    """A phone, a book, a card or a sheet: flat, with a frame and something on it."""
    rng = s.rng
    half = (rng.uniform(0.1, 0.3), rng.uniform(0.15, 0.4))
    turn, corner = rng.normal(0, 0.5), rng.uniform(0.002, 0.04)
    middle = (0.5 + rng.normal(0, 0.05), 0.5 + half[1] * 0.9)
    layer = s.solid(slab(s.size, middle, half, turn, corner, 0.0), 0.01, any_colour(rng), "plain")
    if rng.random() < 0.6:
        less = (half[0] * rng.uniform(0.8, 0.96), half[1] * rng.uniform(0.8, 0.96))
        shape = slab(s.size, middle, less, turn, corner, 0.0)
        layer = s.solid(shape, 0.005, any_colour(rng)).over(layer)
    if rng.random() < 0.3:
        eye = capsule(
            s.size, middle, (middle[0] + 0.03, middle[1]), *(rng.uniform(0.01, 0.04),) * 2
        )
        layer = s.solid(eye, 0.02, any_colour(rng), "plain").over(layer)
    return layer


def _stick(s: _Scene) -> Layer:
    """A pen, a fork, a straw, a brush, a wire."""
    rng, angle = s.rng, s.rng.uniform(0, 2 * np.pi)
    width = rng.uniform(0.006, 0.04)
    far = np.array([np.cos(angle), np.sin(angle)])
    start = _at(0.5 - far * rng.uniform(0, 0.4))
    shape = capsule(s.size, start, _at(0.5 + 1.4 * far), width, width * rng.uniform(0.6, 1.6))
    return s.solid(shape, width, any_colour(rng))


def _hair(s: _Scene) -> Layer:
    """Strands that hang or blow across, thin ends."""
    rng = s.rng
    tone = np.array([75, 50, 32]) * rng.uniform(0.2, 3.0) * rng.uniform(0.85, 1.15, 3)
    colour = (any_colour(rng) if rng.random() < 0.15 else tone).astype(np.float32)
    top = rng.uniform(0.1, 0.9)
    layer: Layer | None = None
    for _ in range(int(rng.integers(1, 6))):
        first, last = rng.uniform(0.004, 0.03), rng.uniform(0.002, 0.012)
        a = (top + rng.normal(0, 0.06), -0.2)
        knee = (0.5 + rng.normal(0, 0.15), rng.uniform(0.3, 0.7))
        b = (0.5 + rng.normal(0, 0.2), rng.uniform(0.5, 1.2))
        shape = path(s.size, bend(a, knee, b, 8), first, last)
        strand = s.solid(shape, first, colour * np.float32(rng.uniform(0.7, 1.3)), "grain")
        layer = strand if layer is None else strand.over(layer)
    assert layer is not None
    return layer


def _cloth(s: _Scene) -> Layer:
    """A scarf, a collar or a blanket up to a wavy edge, in folds."""
    rng = s.rng
    folds = rng.uniform(0, 0.02) * noise(s.size, rng, s.size / rng.uniform(3, 15))
    colours = material(s.size, rng, any_colour(rng), str(rng.choice(PATTERNS)))
    return lit(edge(s.size, rng.normal(0, 0.4), rng), 0.03, colours, s.light, folds)


def _lump(s: _Scene) -> Layer:
    """Food, a toy, a mask: any outline, any surface."""
    rng, radius = s.rng, s.rng.uniform(0.05, 0.22)
    shape = lump(s.size, (0.5, 0.5), radius, rng, rng.uniform(0.02, 0.3))
    shape = shape + rng.uniform(0, 0.01) * noise(s.size, rng, rng.uniform(2, 8))
    colour = any_colour(rng) if rng.random() < 0.8 else s.skin
    return s.solid(shape, radius * rng.uniform(0.05, 1.0), colour)


DRAWN: dict[str, Callable[[_Scene], Layer]] = {
    "foam": _foam,
    "mesh": _mesh,
    "boom": _boom,
    "fingers": _fingers,
    "palm": _palm,
    "fist": _fist,
    "cup": _cup,
    "phone": _phone,
    "stick": _stick,
    "hair": _hair,
    "cloth": _cloth,
    "lump": _lump,
}


@dataclass(frozen=True)
class Shadow:
    """What the thing takes of the light beside it: its share, where it falls and how soft, in
    widths of the picture.
    """

    depth: float
    shift: Point
    soft: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Shadow:
        x, y = rng.normal(0, 0.02, 2)
        return cls(
            float(rng.uniform(0, 0.5)), (float(x), float(y)), float(rng.uniform(0.008, 0.05))
        )


@dataclass(frozen=True)
class Occluder:
    """One thing on its way: `start` is where its middle lies, in widths of the picture."""

    kind: str
    layer: Layer
    shadow: Shadow
    start: Point
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
        kind = kind or KINDS[int(rng.choice(len(KINDS), p=list(SHARES.values())))]
        scene = _Scene(size_px, rng, Light.sample(rng), np.array(skin, np.float32))
        layer = _filmed(DRAWN[kind](scene), rng)
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
        return cls(kind, layer, Shadow.sample(rng), start, drift)

    def at(self, frame: int) -> Point:
        """Shift of the layer in frame number `frame`, picture widths."""
        amplitude, cycles, phase = self.drift.T
        x, y = amplitude * np.sin(2 * np.pi * cycles * frame + phase)
        return self.start[0] + float(x), self.start[1] + float(y)

    def paint(self, frames: Frames, first: int = 0) -> tuple[Frames, Field]:
        """frames uint8 (T, S, S, 3) -> the same with the thing before the face as it is from frame
        number `first` on, and its cover float32 (T, S, S).
        """
        size = frames.shape[1]
        out = np.empty_like(frames)
        covers = np.empty(frames.shape[:3], np.float32)
        for t, frame in enumerate(frames):
            dx, dy = self.at(first + t)
            m = np.array([[1, 0, dx * size], [0, 1, dy * size]])
            colour, cover = (
                cv2.warpAffine(part, m, (size, size), borderMode=cv2.BORDER_REPLICATE)
                for part in (self.layer.colour, self.layer.cover)
            )
            m[:, 2] = np.multiply(self.shadow.shift, size)
            shade = cv2.GaussianBlur(cover, (0, 0), size * self.shadow.soft)
            shade = cv2.warpAffine(shade, m, (size, size), borderMode=cv2.BORDER_REPLICATE)
            below = frame * (1 - self.shadow.depth * shade)[..., None]
            mixed = below * (1 - cover[..., None]) + colour * cover[..., None]
            out[t] = np.clip(mixed, 0, 255).astype(np.uint8)
            covers[t] = cover
        return out, covers


def _filmed(layer: Layer, rng: np.random.Generator) -> Layer:
    """As a camera sees it: nearer than the face, so softer at times, and smeared where it moves."""
    size = len(layer.cover)
    kernel = np.ones((1, 1), np.float32)
    if rng.random() < 0.3:
        length = max(1, round(size * rng.uniform(0, 0.05)))
        kernel = np.zeros((2 * length + 1,) * 2, np.float32)
        angle = rng.uniform(0, np.pi)
        x, y = round(length * np.cos(angle)), round(length * np.sin(angle))
        cv2.line(kernel, (length - x, length - y), (length + x, length + y), 1.0)
    if rng.random() < 0.4:
        kernel = np.pad(kernel, 4)
        kernel = cv2.GaussianBlur(kernel, (0, 0), rng.uniform(0.3, 1.5) * size / 192)
    kernel = kernel / kernel.sum()
    cover = cv2.filter2D(layer.cover, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    inked = layer.colour * layer.cover[..., None]
    inked = cv2.filter2D(inked, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return Layer(inked / np.maximum(cover, 1e-3)[..., None], cover)
