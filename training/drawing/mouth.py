"""A drawn mouth: one geometry, many styles, led by what a lip pose says of the lips."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.drawing.sheet import Colour, Outline, Sheet, arc, between, oval, shaded
from training.lip_pose import POSE_POINTS, PoseBasis

HUMAN_WIDTH = 0.85  # of a mouth at rest, eye-centre distances
WIDE_OPEN = 0.22  # gap that few frames pass, eye-centre distances
SLACK = 0.010  # a gap that is none: landmarks of closed lips jitter
LINE = -np.cos(np.linspace(0, np.pi, 41))  # along the mouth, -1..1, dense at the corners
CAVITIES = (
    (60.0, 14.0, 18.0), (95.0, 20.0, 26.0), (28.0, 10.0, 12.0), (12.0, 10.0, 12.0),
    (150.0, 34.0, 40.0), (190.0, 50.0, 50.0), (70.0, 30.0, 40.0), (110.0, 50.0, 40.0),
)  # fmt: skip


@dataclass(frozen=True)
class Articulation:
    """One frame's lips, eye-centre distances against the closed mouth: gap between the inner lips,
    spread of the corners (below 0: pursed), how far the corners went down.
    """

    gap: float
    spread: float
    corners: float


def articulations(basis: PoseBasis, poses: np.ndarray) -> list[Articulation]:
    """Lip poses (T, COMPONENTS) -> their lips."""
    points = basis.points_of(poses)
    at = {p: points[:, POSE_POINTS.index(p)] for p in (13, 14, 61, 291)}
    gap = at[14][:, 1] - at[13][:, 1]
    spread = at[291][:, 0] - at[61][:, 0]
    corners = (at[61][:, 1] + at[291][:, 1]) / 2
    rows = zip(gap.tolist(), spread.tolist(), corners.tolist(), strict=True)
    return [Articulation(max(0.0, g - SLACK), s, c) for g, s, c in rows]


@dataclass(frozen=True)
class Lips:
    colour: Colour
    upper: float  # thickness, shares of the mouth's width
    lower: float
    bow: float  # depth of the cupid's bow, share of the upper lip
    shine: bool


@dataclass(frozen=True)
class Mouth:
    """How one face's mouth is drawn. Lengths are drawing units unless named otherwise."""

    x: float
    y: float
    width: float  # at rest
    gain: float  # drawn gap over a human one of the same width
    upper_share: float  # of an opening that goes up
    powers: tuple[float, float, float, float]  # of the upper and lower edge's roundness
    smile: float  # depth of the rest line, shares of the width; below 0 a frown
    wave: float
    tilt: float
    skew: float
    narrowing: float  # share of the width that a wide opening costs
    pursing: float
    ink: Colour
    weight: float  # of the rest line
    outlined: tuple[bool, bool]  # upper and lower edge of an open mouth
    cavity: Colour
    teeth: float  # height of the upper strip, shares of the width
    lower_teeth: float
    teeth_colour: Colour
    gaps: int  # lines between teeth
    tongue: Colour | None
    lips: Lips | None
    corner_marks: bool
    under_mark: float  # distance of a short line below the lower lip; 0: none

    @classmethod
    def sample(
        cls, rng: np.random.Generator, x: float, y: float, room: float, skin: Colour, ink: Colour
    ) -> Mouth:
        """room: half width of the face at the mouth."""
        small = rng.random() < 0.2
        width = room * (rng.uniform(0.22, 0.5) if small else rng.uniform(0.5, 1.05))
        width = max(width, 0.14)
        lively = rng.uniform(1.0, 1.9)
        relative = width / HUMAN_WIDTH
        gain = lively * np.clip(relative, 0.3, 1.4) ** 0.6
        style = rng.choice(["ellipse", "lens", "smile", "block", "free"])
        powers = {
            "ellipse": (2.0, 2.0, 2.0, 2.0),
            "lens": (2.0, 1.0, 2.0, 1.0),
            "smile": (2.0, 1.0, 2.4, 2.0),
            "block": (4.0, 2.5, 4.0, 2.5),
        }.get(style) or tuple(rng.uniform((1.8, 1.0, 1.8, 1.0), (4, 2.5, 4, 2.5)).tolist())
        upper = 0.0 if style == "smile" else rng.choice([0.1, 0.3, 0.5])
        smile = rng.choice(
            [0.0, rng.uniform(0.03, 0.28), -rng.uniform(0.02, 0.12)], p=(0.2, 0.65, 0.15)
        )
        if style == "smile":
            smile = rng.uniform(0.0, 0.3)
        lips = None
        if rng.random() < 0.35:
            red = np.array([rng.uniform(120, 235), rng.uniform(30, 120), rng.uniform(40, 130)])
            tone = np.array(skin) * np.array([0.92, 0.68, 0.68])
            share = rng.uniform(0, 1)
            r, g, b = (tone + (red - tone) * share).tolist()
            lips = Lips(
                (r, g, b),
                rng.uniform(0.05, 0.14),
                rng.uniform(0.07, 0.2),
                rng.uniform(0, 0.6),
                bool(rng.random() < 0.35),
            )
        weight = rng.uniform(0.012, 0.055) * (0.7 if small else 1.0)
        outlined = [(True, True), (True, False), (False, False)][rng.choice(3, p=(0.6, 0.15, 0.25))]
        cavity = CAVITIES[int(rng.integers(len(CAVITIES)))]
        if rng.random() < 0.12:
            cavity = shaded(skin, 0.3)
        if not any(outlined) and lips is None and rng.random() < 0.6:
            ink = cavity
        white = float(rng.uniform(225, 255))
        r, g, b = (float(c) for c in np.clip(white + rng.normal(0, 8, 3), 0, 255))
        return cls(
            x=x + room * rng.normal(0, 0.03),
            y=y,
            width=width,
            gain=float(gain),
            upper_share=float(upper),
            powers=powers,
            smile=float(smile),
            wave=float(rng.normal(0, 0.03)) if rng.random() < 0.15 else 0.0,
            tilt=float(rng.normal(0, 0.10)) if rng.random() < 0.3 else float(rng.normal(0, 0.015)),
            skew=float(rng.uniform(-0.35, 0.35)) if rng.random() < 0.25 else 0.0,
            narrowing=float(rng.uniform(0.15, 0.5)) if rng.random() < 0.4 else 0.0,
            pursing=float(rng.uniform(1.0, 2.5)),
            ink=ink,
            weight=float(weight),
            outlined=outlined,
            cavity=cavity,
            teeth=float(rng.uniform(0.06, 0.2)) if rng.random() < 0.6 else 0.0,
            lower_teeth=float(rng.uniform(0.04, 0.1)) if rng.random() < 0.15 else 0.0,
            teeth_colour=(r, g, b),
            gaps=int(rng.integers(3, 9)) if rng.random() < 0.15 else 0,
            tongue=shaded((225.0, 110.0, 115.0), rng.uniform(0.65, 1.1))
            if rng.random() < 0.5
            else None,
            lips=lips,
            corner_marks=bool(rng.random() < 0.15),
            under_mark=float(rng.uniform(0.1, 0.25)) if rng.random() < 0.2 else 0.0,
        )

    def as_mascots(self, rng: np.random.Generator, room: float) -> Mouth:
        """The same mouth as an emoji has it: wide, curved, inked, red inside."""
        red = (rng.uniform(90, 215), rng.uniform(8, 60), rng.uniform(8, 60))
        pinker = between(red, (255.0, 150.0, 130.0), rng.uniform(0.4, 1))
        flat = rng.random() < 0.7  # the upper edge stays, as a smile's does
        width = room * rng.uniform(0.5, 1.1)
        return replace(
            self,
            width=width,
            gain=float(rng.uniform(1.2, 2.4) * np.clip(width / HUMAN_WIDTH, 0.4, 1.4) ** 0.6),
            upper_share=0.0 if flat else self.upper_share,
            powers=(2.0, 1.0, *rng.uniform((2.0, 1.2), (3.5, 2.4)).tolist())
            if flat
            else self.powers,
            smile=float(rng.uniform(0.05, 0.4)),
            skew=float(rng.uniform(-0.4, 0.4)) if rng.random() < 0.5 else 0.0,
            tilt=float(rng.normal(0, 0.12)),
            weight=float(rng.uniform(0.02, 0.06)),
            outlined=(True, True) if rng.random() < 0.85 else self.outlined,
            cavity=red if rng.random() < 0.8 else self.cavity,
            tongue=pinker if rng.random() < 0.6 else None,
            teeth=self.teeth if rng.random() < 0.4 else 0.0,
            lips=None,
            under_mark=0.0,
        )

    def drop(self, lips: Articulation) -> float:
        """How far the lower edge's middle goes down."""
        return (1 - self.upper_share) * self.gain * lips.gap

    def edges(self, lips: Articulation) -> tuple[Outline, Outline]:
        """Upper and lower edge of the opening, left to right, (41, 2) each."""
        openness = min(1.0, lips.gap / WIDE_OPEN)
        spread = float(np.clip(1 + self.pursing * lips.spread / HUMAN_WIDTH, 0.45, 1.3))
        half = self.width / 2 * spread * (1 - self.narrowing * openness)
        s = LINE + self.skew * (1 - LINE**2)
        bow = self.smile * self.width * (1 - 0.3 * openness)
        middle = -bow * (LINE**2 - 0.4) + self.tilt * half * LINE
        middle += self.wave * self.width * np.sin(np.pi * LINE)
        middle += 0.6 * self.gain * lips.corners * (LINE**2 - 0.3)
        height = self.gain * lips.gap
        a, b, c, d = self.powers
        up = (1 - np.abs(s) ** a).clip(0) ** (1 / b)
        down = (1 - np.abs(s) ** c).clip(0) ** (1 / d)
        x = self.x + half * LINE
        upper = self.y + middle - self.upper_share * height * up
        lower = self.y + middle + (1 - self.upper_share) * height * down
        return np.stack([x, upper], 1), np.stack([x, lower], 1)

    def draw(self, sheet: Sheet, lips: Articulation) -> None:
        upper, lower = self.edges(lips)
        openness = min(1.0, lips.gap / WIDE_OPEN)
        if self.lips is not None:
            self._draw_lips(sheet, self.lips, upper, lower, openness)
        if lips.gap > 0:
            self._draw_inside(sheet, upper, lower)
        shut = 1 - min(1.0, 4 * openness)  # an opening without outlines starts as a line
        for edge, drawn in zip((upper, lower), self.outlined, strict=True):
            sheet.stroke(edge, self.ink, self.weight * (1.0 if drawn else shut))
        if self.corner_marks:
            for end, way in ((0, -1), (-1, 1)):
                x, y = upper[end]
                mark = np.array([[x + 0.02 * way, y - 0.05], [x + 0.04 * way, y], [x, y + 0.04]])
                sheet.stroke(mark, self.ink, 0.7 * self.weight)
        if self.under_mark:
            below = float(lower[20, 1]) + self.under_mark
            sheet.stroke(arc(self.x, below, 0.18 * self.width, 0.02), self.ink, 0.6 * self.weight)

    def _draw_lips(
        self, sheet: Sheet, lips: Lips, upper: Outline, lower: Outline, openness: float
    ) -> None:
        thin = 1 - 0.25 * openness
        full = (1 - LINE**2) ** 0.6
        bow = 1 - lips.bow * np.exp(-((LINE / 0.16) ** 2))
        above, below = upper.copy(), lower.copy()
        above[:, 1] -= lips.upper * self.width * thin * full * bow
        below[:, 1] += lips.lower * self.width * thin * full
        outer = np.concatenate([above, below[::-1]])
        sheet.fill(outer, lips.colour)
        sheet.fill(np.concatenate([above, upper[::-1]]), shaded(lips.colour, 0.88))
        if any(self.outlined):
            sheet.stroke(outer, self.ink, 0.6 * self.weight, closed=True)
        if lips.shine:
            shine = 0.5 * (lower[20, 1] + below[20, 1])
            light = shaded(lips.colour, 1.3)
            sheet.stroke(arc(self.x, shine, 0.1 * self.width, 0.01), light, 0.02)

    def _draw_inside(self, sheet: Sheet, upper: Outline, lower: Outline) -> None:
        opening = np.concatenate([upper, lower[::-1]])
        inside, rows, columns = sheet.part(opening)
        cover = inside.cover(opening)[..., None]
        inside.pixels[:] = np.array(self.cavity, np.uint8)
        if self.tongue is not None:
            size = 0.3 * self.width
            middle = float(lower[20, 1]) + 0.02 * self.width
            inside.fill(oval(self.x, middle, size, 0.45 * size), self.tongue)
        if self.teeth:
            down = np.array([0.0, self.teeth * self.width])
            inside.fill(np.concatenate([upper, upper[::-1] + down]), self.teeth_colour)
            left, right = upper[0, 0], upper[-1, 0]
            for k in range(self.gaps):
                at = left + (right - left) * (k + 1) / (self.gaps + 1)
                top = float(np.interp(at, upper[:, 0], upper[:, 1]))
                between = np.array([[at, top], [at, top + down[1]]])
                inside.stroke(between, shaded(self.teeth_colour, 0.7), 0.008)
        if self.lower_teeth:
            up = np.array([0.0, self.lower_teeth * self.width])
            strip = np.concatenate([lower, lower[::-1] - up])
            inside.fill(strip, shaded(self.teeth_colour, 0.94))
        below = sheet.pixels[rows, columns]
        mixed = below * (1 - cover) + inside.pixels * cover
        sheet.pixels[rows, columns] = np.round(mixed).astype(np.uint8)
