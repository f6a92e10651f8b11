"""A drawn face but for its mouth: head, hair, eyes, nose, and how its maker shades and inks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from training.drawing.sheet import (
    Colour,
    Field,
    Outline,
    Sheet,
    arc,
    between,
    oval,
    shaded,
)

SKINS: tuple[Colour, ...] = (
    (255, 224, 196), (250, 210, 180), (241, 194, 150), (224, 172, 125), (198, 134, 90),
    (160, 100, 65), (120, 74, 50), (86, 54, 40), (255, 205, 70), (250, 235, 220),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (30, 24, 24), (70, 45, 30), (120, 75, 40), (190, 130, 60), (235, 200, 120), (170, 60, 35),
    (150, 150, 155), (235, 235, 235), (230, 90, 140), (80, 130, 210), (110, 60, 160), (60, 150, 90),
)  # fmt: skip
SHADINGS = ("flat", "gradient", "cel", "halftone", "hatch", "soft")
EYES = ("dot", "oval", "round", "anime", "line", "half", "stick")
BRIGHT: tuple[Colour, ...] = (
    (255, 222, 52), (252, 196, 60), (250, 160, 60), (240, 96, 90), (250, 150, 190), (150, 210, 90),
    (90, 180, 230), (170, 130, 220), (245, 245, 240), (120, 215, 200),
)  # fmt: skip
MASCOT = 0.35  # share of faces that are
NOSES = ("none", "dot", "bow", "corner", "ball", "nostrils", "snout", "ridge")
HAIR = ("none", "cap", "fringe", "spikes", "side", "long", "curls")


def _any_colour(rng: np.random.Generator, saturation: tuple[float, float]) -> Colour:
    hsv = np.array([[[rng.uniform(0, 360), rng.uniform(*saturation), rng.uniform(0.45, 1.0)]]])
    r, g, b = (255 * cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2RGB))[0, 0].tolist()
    return r, g, b


@dataclass(frozen=True)
class Face:
    """Lengths are drawing units: the eyes lie on y = 0, the head is about two units wide."""

    half_width: float
    top: float  # of the skull, above the eyes
    chin: float
    powers: tuple[float, float]  # of the skull's and the jaw's roundness
    taper: float  # 0 round or square, above 0 a pointed chin, below 0 jowls
    skin: Colour
    hair_colour: Colour
    clothes: Colour
    ground: tuple[Colour, Colour]
    ink: Colour
    weight: float  # of outlines; 0: none
    shading: str
    light: float  # radians, where it comes from
    depth: float  # of shadows
    eyes: str
    eye_x: float
    eye_size: float
    iris: Colour
    brows: float  # thickness; 0: none
    glasses: float
    nose: str
    nose_y: float
    nose_size: float
    hair: str
    ears: str  # none, round, pointed (an animal's)
    neck: bool
    blush: bool
    muzzle: float  # size of a lighter patch round the mouth; 0: none
    beard: float  # 0: none
    moustache: float
    freckles: bool
    folds: bool
    mouth_y: float
    seed: int  # of hatching and curls
    mascot: bool = False  # an emoji's face: bright, bare, all mouth
    shadow: Colour | None = None  # of a hue of its own; None: the skin's, darker

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Face:
        face = cls._person(rng)
        return face._as_mascot(rng) if rng.random() < MASCOT else face

    def _as_mascot(self, rng: np.random.Generator) -> Face:
        skin = BRIGHT[int(rng.integers(len(BRIGHT)))]
        r, g, b = np.clip(np.array(skin) + rng.normal(0, 10, 3), 0, 255).tolist()
        skin = (r, g, b)
        warm = between(skin, (r, 0.62 * g, 0.2 * b), rng.uniform(0.4, 1))
        eye_size = rng.uniform(0.14, 0.3)
        chin = rng.uniform(0.85, 1.4)
        return replace(
            self,
            chin=chin,
            mouth_y=chin * rng.uniform(0.42, 0.62),
            powers=(rng.uniform(1.9, 2.8), rng.uniform(1.9, 2.8)),
            taper=0.0,
            skin=skin,
            ink=(rng.uniform(0, 60), rng.uniform(0, 35), rng.uniform(0, 30)),
            weight=rng.uniform(0.02, 0.065) if rng.random() < 0.85 else 0.0,
            shading=str(rng.choice(["flat", "cel", "gradient"], p=(0.45, 0.4, 0.15))),
            shadow=warm if rng.random() < 0.5 else None,
            eyes=str(rng.choice(["dot", "oval", "round", "stick"])),
            eye_size=eye_size,
            iris=(20.0, 16.0, 18.0),
            brows=self.brows if rng.random() < 0.4 else 0.0,
            nose=str(rng.choice(["none", "dot"], p=(0.85, 0.15))),
            nose_y=0.22 * chin,
            hair=self.hair if rng.random() < 0.15 else "none",
            ears="none",
            neck=bool(rng.random() < 0.35),
            muzzle=0.0,
            beard=0.0,
            moustache=0.0,
            folds=False,
            mascot=True,
        )

    @classmethod
    def _person(cls, rng: np.random.Generator) -> Face:
        half_width = rng.uniform(0.8, 1.3)
        chin = rng.uniform(1.15, 1.95)
        kind = rng.choice(["natural", "any", "line art", "grey"], p=(0.62, 0.22, 0.08, 0.08))
        skin = SKINS[int(rng.integers(len(SKINS)))]
        hair = HAIRS[int(rng.integers(len(HAIRS)))]
        clothes = _any_colour(rng, (0.1, 0.9))
        ground = _any_colour(rng, (0.0, 0.7))
        ink = [(15.0, 12.0, 14.0), shaded(skin, 0.4), shaded(hair, 0.5)][
            rng.choice(3, p=(0.6, 0.25, 0.15))
        ]
        weight = rng.uniform(0.012, 0.05) if rng.random() < 0.72 else 0.0
        if kind == "any":
            skin = _any_colour(rng, (0.1, 0.8))
        elif kind in ("line art", "grey"):
            white = float(rng.uniform(235, 255))
            low = 235.0 if kind == "line art" else 60.0
            skin, hair, clothes, ground = (
                (v, v, v) for v in (white, *rng.uniform(low, 255, 3).tolist())
            )
            if kind == "grey":
                v = float(rng.uniform(120, 245))
                skin = (v, v, v)
            ink = (float(rng.uniform(0, 80)),) * 3
            weight = rng.uniform(0.012, 0.045)
        animal = rng.random() < 0.14
        shading = str(rng.choice(SHADINGS, p=(0.34, 0.2, 0.2, 0.07, 0.07, 0.12)))
        if kind == "line art":
            shading = str(rng.choice(["flat", "hatch"]))
        nose = "snout" if animal and rng.random() < 0.7 else str(rng.choice(NOSES))
        nose_y = rng.uniform(0.3, 0.62)
        low = max(nose_y + 0.22, 0.45 * chin)
        other = _any_colour(rng, (0.0, 0.7)) if kind not in ("line art", "grey") else ground
        return cls(
            half_width=half_width,
            top=rng.uniform(0.8, 1.5),
            chin=chin,
            powers=(rng.uniform(1.8, 3.2), rng.uniform(1.7, 3.4)),
            taper=float(rng.choice([0.0, rng.uniform(0.05, 0.4), -rng.uniform(0.0, 0.12)])),
            skin=skin,
            hair_colour=hair,
            clothes=clothes,
            ground=(ground, other if rng.random() < 0.4 else ground),
            ink=ink,
            weight=float(weight),
            shading=shading,
            light=float(rng.uniform(-2.6, -0.5)),
            depth=float(rng.uniform(0.1, 0.35)),
            eyes=str(rng.choice(EYES[:-1])),
            eye_x=half_width * rng.uniform(0.3, 0.5),
            eye_size=rng.uniform(0.08, 0.24),
            iris=_any_colour(rng, (0.2, 0.9)),
            brows=float(rng.uniform(0.02, 0.09)) if rng.random() < 0.75 else 0.0,
            glasses=float(rng.uniform(0.015, 0.04)) if rng.random() < 0.12 else 0.0,
            nose=nose,
            nose_y=nose_y,
            nose_size=rng.uniform(0.06, 0.2),
            hair=str(rng.choice(HAIR)),
            ears="pointed" if animal else str(rng.choice(["none", "round"], p=(0.35, 0.65))),
            neck=bool(rng.random() < 0.75),
            blush=bool(rng.random() < 0.2),
            muzzle=float(rng.uniform(0.4, 0.7)) if animal else 0.0,
            beard=float(rng.uniform(0.2, 0.5)) if rng.random() < 0.06 else 0.0,
            moustache=float(rng.uniform(0.05, 0.16)) if rng.random() < 0.1 else 0.0,
            freckles=bool(rng.random() < 0.06),
            folds=bool(rng.random() < 0.12),
            mouth_y=low + (0.84 * chin - low) * rng.uniform(0.1, 0.95),
            seed=int(rng.integers(1 << 30)),
        )

    def outline(self, grown: float = 0.0) -> Outline:
        angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
        c, s = np.cos(angle), np.sin(angle)
        power = np.where(s < 0, *self.powers)
        height = np.where(s < 0, self.top, self.chin) + grown
        x = (self.half_width + grown) * np.sign(c) * np.abs(c) ** (2 / power)
        y = height * np.sign(s) * np.abs(s) ** (2 / power)
        x *= 1 - self.taper * np.clip(y / self.chin, 0, 1) ** 1.5
        return np.stack([x, y], 1)

    def width_at(self, y: float) -> float:
        """Half the head's width at a height."""
        right = self.outline()
        right = right[(right[:, 0] > 0) & (right[:, 1] > 0)]
        order = np.argsort(right[:, 1])
        return float(np.interp(y, right[order, 1], right[order, 0]))

    def draw(self, sheet: Sheet, blink: bool) -> None:
        self._ground(sheet)
        if self.hair == "long":
            back = oval(0, 0.5, self.half_width * 1.25, self.top + 1.0, 2.6)
            sheet.shape(back, shaded(self.hair_colour, 0.9), self.ink, self.weight)
        if self.neck:
            self._body(sheet)
        if self.ears == "round":
            for side in (-1, 1):
                ear = oval(side * self.half_width, 0.2, 0.16, 0.24)
                sheet.shape(ear, shaded(self.skin, 0.95), self.ink, self.weight)
        elif self.ears == "pointed":
            self._animal_ears(sheet)
        head = self.outline()
        sheet.fill(head, self.skin)
        self._shade(sheet, sheet.cover(head))
        sheet.stroke(head, self.ink, self.weight, closed=True)
        self._marks(sheet)
        self._beard(sheet)
        self._nose(sheet)
        for side in (-1, 1):
            self._eye(sheet, side, blink)
        self._hair(sheet)

    def _ground(self, sheet: Sheet) -> None:
        size = sheet.pixels.shape[0]
        share = np.linspace(0, 1, size, dtype=np.float32)[:, None]
        one, other = (np.array(c, np.float32) for c in self.ground)
        sheet.pixels[:] = np.round(one + (other - one) * share)[:, None].astype(np.uint8)

    def _body(self, sheet: Sheet) -> None:
        chin, neck = self.chin, 0.42 * self.half_width
        throat = np.array(
            [[-neck, 0.5], [neck, 0.5], [neck, chin + 0.5], [-neck, chin + 0.5]], np.float64
        )
        sheet.shape(throat, shaded(self.skin, 0.85), self.ink, self.weight)
        body = oval(0, chin + 1.35, 1.75 * self.half_width, 1.05, 2.6)
        sheet.shape(body, self.clothes, self.ink, self.weight)

    def _animal_ears(self, sheet: Sheet) -> None:
        for side in (-1, 1):
            x = side * self.half_width
            ear = np.array([[0.35 * x, -0.75 * self.top], [1.05 * x, -1.5 * self.top], [x, -0.2]])
            sheet.shape(ear, self.skin, self.ink, self.weight)

    def _shade(self, sheet: Sheet, cover: Field) -> None:
        if self.shading == "flat":
            return
        size = sheet.pixels.shape[0]
        y, x = np.mgrid[0:size, 0:size].astype(np.float32)
        u = (x - sheet.origin[0]) / sheet.scale / self.half_width
        v = (y - sheet.origin[1]) / sheet.scale / self.chin
        toward = np.cos(self.light) * u + np.sin(self.light) * (v - 0.2)
        if self.shading == "gradient":
            shadow = np.clip(0.5 - 0.5 * toward, 0, 1)
        elif self.shading == "soft":
            shadow = np.clip(1.2 * (u**2 + (v - 0.1) ** 2) - 0.35 * toward, 0, 1.2)
        else:
            edge = np.hypot(u + 0.25 * np.cos(self.light), v + 0.25 * np.sin(self.light) - 0.1)
            shadow = np.clip((edge - 0.88) * 60, 0, 1)
        if self.shading == "halftone":
            step = 0.07 * sheet.scale
            dots = np.cos(2 * np.pi * x / step) * np.cos(2 * np.pi * y / step)
            shadow = shadow * np.clip(dots * 6 + 3, 0, 1)
        elif self.shading == "hatch":
            step = 0.06 * sheet.scale
            lines = np.cos(2 * np.pi * (x + y + 2 * np.sin(y / 9)) / step)
            shadow = shadow * np.clip(lines * 5 - 2, 0, 1)
        depth = (0.55 if self.shading == "hatch" else self.depth) * cover * shadow
        tint = np.array(self.shadow or shaded(self.skin, 0.45), np.float32)
        strength = cover * shadow if self.shadow else 1.4 * depth
        mixed = sheet.pixels + (tint - sheet.pixels) * strength.clip(0, 1)[..., None]
        sheet.pixels[:] = np.round(mixed).clip(0, 255).astype(np.uint8)

    def _marks(self, sheet: Sheet) -> None:
        if self.muzzle:
            patch = oval(0, self.mouth_y - 0.05, self.muzzle * 1.2, self.muzzle * 0.75)
            sheet.fill(patch, between(self.skin, (255, 250, 240), 0.6))
        if self.blush:
            for side in (-1, 1):
                cheek = oval(side * 0.62 * self.half_width, 0.55, 0.2, 0.13)
                sheet.fill(cheek, between(self.skin, (255, 110, 120), 0.3))
        if self.freckles:
            for x, y in np.random.default_rng(self.seed).normal(0, 0.1, (14, 2)):
                spot = oval(np.sign(x) * 0.5 * self.half_width + x, 0.45 + 0.6 * y, 0.018, 0.018)
                sheet.fill(spot, shaded(self.skin, 0.75))
        if self.folds:
            for side in (-1, 1):
                start = np.array([side * 0.22, self.nose_y + 0.02])
                end = np.array([side * 0.5, self.mouth_y - 0.03])
                bent = (start + end) / 2 + np.array([side * 0.06, -0.04])
                t = np.linspace(0, 1, 12)[:, None]
                fold = (1 - t) ** 2 * start + 2 * t * (1 - t) * bent + t**2 * end
                sheet.stroke(fold, shaded(self.skin, 0.65), max(0.012, 0.5 * self.weight))

    def _beard(self, sheet: Sheet) -> None:
        if self.beard:
            rng = np.random.default_rng(self.seed)
            head = self.outline(0.04)
            low = head[head[:, 1] > self.mouth_y - self.beard]
            low = low[np.argsort(low[:, 0])]
            top = np.stack([low[::-1, 0], np.full(len(low), self.mouth_y - 0.1 * self.beard)], 1)
            inner = 0.5 * self.half_width
            top[:, 1] += 0.12 * (1 - (top[:, 0] / inner) ** 2).clip(0) - 0.2 * (
                np.abs(top[:, 0]) > inner
            )
            low = low + np.array([0.0, 0.05]) * rng.uniform(0, 2, (len(low), 1))
            sheet.shape(np.concatenate([low, top]), self.hair_colour, self.ink, self.weight)
        if self.moustache:
            y = max(self.mouth_y - 0.16 - self.moustache, self.nose_y + 0.06)
            for side in (-1, 1):
                half = oval(side * 0.2, y + 0.04, 0.24, self.moustache, 2.0, side * 0.25)
                sheet.shape(half, self.hair_colour, self.ink, 0.6 * self.weight)

    def _nose(self, sheet: Sheet) -> None:
        y, size = self.nose_y, self.nose_size
        ink = self.ink if self.weight else shaded(self.skin, 0.6)
        weight = max(0.014, 0.8 * self.weight)
        if self.nose == "dot":
            sheet.fill(oval(0, y, 0.3 * size, 0.25 * size), ink)
        elif self.nose == "bow":
            sheet.stroke(arc(0, y, size, 0.7 * size), ink, weight)
        elif self.nose == "corner":
            line = np.array([[0.0, y - 1.6 * size], [size, y], [-0.1 * size, y + 0.1 * size]])
            sheet.stroke(line, ink, weight)
        elif self.nose == "ball":
            ball = oval(0, y, 1.2 * size, size)
            sheet.shape(ball, between(self.skin, (235, 110, 90), 0.35), ink, 0.8 * self.weight)
        elif self.nose == "nostrils":
            for side in (-1, 1):
                sheet.fill(oval(side * 0.5 * size, y, 0.22 * size, 0.14 * size), ink)
        elif self.nose == "snout":
            tip = np.array(
                [[-1.1 * size, y - 0.5 * size], [1.1 * size, y - 0.5 * size], [0, y + size]]
            )
            sheet.fill(tip, shaded(ink, 0.9))
            sheet.stroke(np.array([[0.0, y + size], [0.0, self.mouth_y - 0.06]]), ink, weight)
        elif self.nose == "ridge":
            shadow = np.array(
                [[0.0, 0.05], [1.1 * size, y + 0.2 * size], [-0.6 * size, y + 0.3 * size]]
            )
            sheet.fill(shadow, shaded(self.skin, 0.82))

    def _eye(self, sheet: Sheet, side: int, blink: bool) -> None:
        x, size = side * self.eye_x, self.eye_size
        ink = self.ink if sum(self.ink) < 300 else (30.0, 25.0, 25.0)
        weight = max(0.014, self.weight)
        if self.brows:
            brow = arc(x, -1.5 * size - 0.12, 1.2 * size, 0.12 * size)
            sheet.stroke(brow, shaded(self.hair_colour, 0.8), self.brows)
        if self.eyes == "line" or blink:
            sheet.stroke(arc(x, 0.2 * size, size, 0.4 * size), ink, weight)
        elif self.eyes == "stick":
            stick = np.array([[x, -size], [x + 0.1 * size, 0.0], [x, size]])
            sheet.stroke(stick, ink, 1.3 * weight)
        elif self.eyes == "dot":
            sheet.fill(oval(x, 0, 0.4 * size, 0.5 * size), ink)
        elif self.eyes == "oval":
            sheet.fill(oval(x, 0, 0.5 * size, size), ink)
            sheet.fill(oval(x - 0.15 * size, -0.4 * size, 0.15 * size, 0.2 * size), (255, 255, 255))
        else:
            tall = {"round": 1.0, "anime": 1.5, "half": 0.6}[self.eyes]
            sheet.shape(oval(x, 0, size, tall * size), (252, 252, 250), ink, 0.7 * weight)
            wide = 0.72 if self.eyes == "anime" else 0.5
            sheet.fill(oval(x, 0.05, wide * size, 0.8 * tall * wide * size * 1.4), self.iris)
            sheet.fill(oval(x, 0.05, 0.3 * size, 0.4 * tall * size), ink)
            shine = oval(x - 0.2 * size, -0.35 * tall * size, 0.18 * size, 0.2 * size)
            sheet.fill(shine, (255, 255, 255))
            lid = arc(x, -tall * size, size, -0.5 * tall * size)
            sheet.stroke(lid, ink, 1.6 * weight)
        if self.glasses:
            sheet.stroke(
                oval(x, 0.03, 1.5 * size + 0.1, 1.4 * size + 0.1, 2.6), ink, self.glasses, True
            )

    def _hair(self, sheet: Sheet) -> None:
        if self.hair == "none":
            return
        rng = np.random.default_rng(self.seed)
        top, wide = self.top, self.half_width
        line = -rng.uniform(0.35, 0.6) * top
        ends = np.linspace(-1, 1, 15)
        skull = self.outline(0.08)
        above = skull[skull[:, 1] < line * 0.4]
        above = above[np.argsort(above[:, 0])]
        if self.hair == "spikes":
            fringe = line + 0.25 * (np.arange(15) % 2) + 0.1 * rng.normal(0, 1, 15)
        elif self.hair == "side":
            fringe = line + 0.3 * ends * rng.choice([-1, 1])
        elif self.hair in ("fringe", "long"):
            fringe = np.minimum(line + 0.35 * (1 - ends**2) * rng.uniform(0, 1), -0.28)
        else:
            fringe = line - 0.25 * (1 - ends**2)
        front = np.stack([ends[::-1] * wide * 0.98, fringe], 1)
        sheet.shape(np.concatenate([above, front]), self.hair_colour, self.ink, self.weight)
        if self.hair == "long":
            for side in (-1, 1):
                lock = oval(side * wide * 1.02, 0.6, 0.2, 1.1 + 0.5 * self.chin, 2.4)
                sheet.shape(lock, self.hair_colour, self.ink, self.weight)
        elif self.hair == "curls":
            for at in above[:: max(1, len(above) // 11)]:
                curl = oval(float(at[0]), float(at[1]), 0.22, 0.22)
                sheet.shape(curl, self.hair_colour, self.ink, 0.6 * self.weight)
