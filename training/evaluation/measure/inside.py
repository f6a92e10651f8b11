"""Whether the inside of a mouth is the person's own: its colour against that of the source's mouth
at the same opening, beside how far that mouth is from itself at another time.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from training.lip_pose import LIPS_INNER, opening

Rgb = NDArray[np.uint8]
Points = NDArray[np.float32]
EVERY = 3  # frames
OPEN = 0.05  # eye distances: below, no inside shows
ALIKE = 0.02  # of two openings
APART = 5  # frames between two moments of the source
LEAST_PX = 12


class Inside(NamedTuple):
    """Colour distances (CIELAB units): the output's to the source's, and the source's to its own
    at another time; NaN where the source shows no mouth as open.
    """

    own: float
    itself: float


def inside_colour(rgb: Rgb, points: Points) -> NDArray[np.float64]:
    """Mean CIELAB colour (3,) between the lips of one face; NaN where hardly a pixel shows."""
    lips = points[list(LIPS_INNER)]
    left, top = np.floor(lips.min(0)).astype(int).clip(0)
    right, bottom = np.ceil(lips.max(0)).astype(int) + 1
    part = np.ascontiguousarray(rgb[top:bottom, left:right])
    inside = np.zeros(part.shape[:2], np.uint8)
    if inside.size:
        cv2.fillPoly(inside, [np.round(lips - (left, top)).astype(np.int32)], 1)
    if inside.sum() < LEAST_PX:
        return np.full(3, np.nan)
    lab = cv2.cvtColor(part.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(cv2.mean(lab, inside)[:3])


def inside(frames: Rgb, points: Points, sources: Rgb, at_source: Points) -> Inside:
    """frames (T, H, W, 3) of the output and sources (N, H, W, 3), each with its points."""
    made = _Mouths(frames, points, EVERY)
    own = _Mouths(sources, at_source, 1)
    if not len(own.openings):
        return Inside(float("nan"), float("nan"))
    return Inside(_mean(made, own, 0), _mean(own, own, APART))


class _Mouths:
    """Open mouths: frame numbers, openings (K,) and colours (K, 3)."""

    def __init__(self, frames: Rgb, points: Points, every: int) -> None:
        chosen = np.arange(0, len(frames), every)
        openings = opening(points[chosen]).astype(np.float64)
        chosen, openings = chosen[openings >= OPEN], openings[openings >= OPEN]
        colours = np.array([inside_colour(frames[t], points[t]) for t in chosen]).reshape(-1, 3)
        known = ~np.isnan(colours).any(1)
        self.times, self.openings, self.colours = chosen[known], openings[known], colours[known]


def _mean(some: _Mouths, others: _Mouths, apart: int) -> float:
    """Mean distance of each mouth to that of `others` whose opening is nearest, `apart` frames
    away.
    """
    found = []
    for time, width, colour in zip(some.times, some.openings, some.colours, strict=True):
        off = np.abs(others.openings - width)
        if apart:
            off = np.where(np.abs(others.times - time) < apart, np.inf, off)
        nearest = int(np.argmin(off))
        if off[nearest] <= ALIKE:
            found.append(float(np.linalg.norm(others.colours[nearest] - colour)))
    return float(np.mean(found)) if found else float("nan")
