"""Mouth tracks: GRID's labelled mouths carried over to a rendered head, opening for opening."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.face import points as face_points
from training.heads.assets import F32
from training.heads.blendshapes import BLENDSHAPES, SHAPE_OF
from training.heads.head import Head
from training.splits import HeldOutError, held_out

EYE_CORNERS = (33, 263)
CLOSED = 0.012  # FaceLandmarker's |p13 - p14| / |p33 - p263| of lips that touch
# FaceLandmarker reads these off the whole face or confuses them with each other; jaw and width are
# solved from the points instead.
IGNORED = ("mouthClose", "mouthShrugLower", "mouthShrugUpper", "mouthFrownLeft", "mouthFrownRight")
KEPT = tuple(
    k
    for k, name in enumerate(BLENDSHAPES)
    if name.startswith(("mouth", "jaw", "cheekPuff", "noseSneer")) and name not in IGNORED
)
LIMITS = {"jawOpen": 1.0, "mouthClose": 0.9, "mouthPucker": 1.0}


@dataclass(frozen=True, slots=True)
class MouthTrack:
    """Consecutive frames of one clip: coefficients (T, 52), lip opening and mouth width (T,), in
    units of the outer eye corners' distance; the width is a ratio to the clip's median."""

    clip: str
    start: int
    coefficients: F32
    opening: F32
    width: F32


def opening_of(points: F32) -> F32:
    """|p13 - p14| / |p33 - p263| of FaceLandmarker points (T, 478, 2)."""
    a, b = EYE_CORNERS
    eyes = np.linalg.norm(points[:, a] - points[:, b], axis=-1)
    return np.linalg.norm(points[:, 13] - points[:, 14], axis=-1) / eyes


def mouth_width(points: F32) -> F32:
    """|p61 - p291| / |p33 - p263| of FaceLandmarker points (T, 478, 2)."""
    a, b = EYE_CORNERS
    eyes = np.linalg.norm(points[:, a] - points[:, b], axis=-1)
    return np.linalg.norm(points[:, 61] - points[:, 291], axis=-1) / eyes


def smooth(values: F32) -> F32:
    """A light filter over time (axis 0): the labels jitter from frame to frame."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    return (0.15 * padded[:-2] + 0.7 * padded[1:-1] + 0.15 * padded[2:]).astype(np.float32)


class TrackLibrary:
    """The labelled clips that may be trained on."""

    def __init__(self, labels: Path) -> None:
        """Reads every label file of `labels` but the held-out ones.

        Raises:
            FileNotFoundError: the folder holds no labels.
        """
        hidden = held_out("grid_s1")
        paths = [path for path in sorted(labels.glob("*.npz")) if path.stem not in hidden]
        self.clips = {path.stem: _read(path) for path in paths if ".part" not in path.name}
        self.names = [name for name, (points, _) in self.clips.items() if len(points) >= 40]
        if not self.names:
            raise FileNotFoundError(f"no labels of training clips in {labels}")
        # What the coefficients say of this speaker's face at rest belongs to him, not to speech.
        every = np.concatenate([c[:, KEPT] for _, c in self.clips.values()])
        self.rest = np.zeros(len(BLENDSHAPES), np.float32)
        self.rest[list(KEPT)] = np.nanpercentile(every, 15, axis=0)

    def cut(self, clip: str, start: int, length: int) -> MouthTrack | None:
        """One stretch of a clip, or None where a face was lost. Raises HeldOutError."""
        if clip in held_out("grid_s1"):
            raise HeldOutError(f"{clip} is held out by split.json and may not be trained on")
        points, raw = self.clips[clip]
        window = slice(start, start + length)
        if len(points[window]) < length or np.isnan(points[window]).any():
            return None
        width = mouth_width(points)
        coefficients = np.zeros((length, len(BLENDSHAPES)), np.float32)
        kept = np.clip(smooth(raw[window]) - self.rest, 0, 1)
        coefficients[:, KEPT] = kept[:, KEPT]
        return MouthTrack(
            clip,
            start,
            coefficients,
            smooth(opening_of(points[window])),
            smooth(width[window] / np.nanmedian(width)),
        )

    def sample(self, rng: np.random.Generator, length: int) -> MouthTrack:
        while True:
            clip = self.names[int(rng.integers(len(self.names)))]
            frames = len(self.clips[clip][0])
            # Sentences begin and end in silence: starts near the middle speak more.
            start = int(rng.integers(0, frames - length + 1))
            track = self.cut(clip, start, length)
            if track is not None:
                return track


def _read(path: Path) -> tuple[F32, F32]:
    with np.load(path) as file:
        return file["points"].astype(np.float32), file["blendshapes"].astype(np.float32)


def fit_to_head(head: Head, track: MouthTrack) -> F32:
    """Coefficients (T, 52) with which `head` opens its lips as far as the track's speaker did.

    Vertices are linear in the coefficients, so the mouth's width and the lip opening are solved
    exactly: by pucker or stretch, then by jaw and lower lip (or mouthClose).
    """
    marks = head.vertices[head.marks]
    moves = head.shifts[:, head.marks]
    upper, lower = face_points.INNER_LIPS
    left, right = face_points.MOUTH_CORNERS
    outer = (face_points.LEFT_EYE_CORNERS[0], face_points.RIGHT_EYE_CORNERS[1])
    eyes = float(np.linalg.norm(marks[outer[0]] - marks[outer[1]]))
    gap_rest = marks[upper, 1] - marks[lower, 1]
    gap_of = moves[:, upper, 1] - moves[:, lower, 1]  # (52,)
    span_rest = marks[right, 0] - marks[left, 0]
    span_of = moves[:, right, 0] - moves[:, left, 0]
    out = track.coefficients.copy()
    wanted_span = span_rest * track.width
    wanted_gap = np.where(track.opening < CLOSED, 0.0, track.opening) * eyes
    for t, amounts in enumerate(out):
        missing = float(wanted_span[t] - span_rest - amounts @ span_of)
        narrow = "mouthPucker" if missing < 0 else "mouthStretchLeft"
        pair = ("mouthPucker",) if missing < 0 else ("mouthStretchLeft", "mouthStretchRight")
        step = 0.8 * missing / (len(pair) * span_of[SHAPE_OF[narrow]])
        for name in pair:
            _raise(amounts, name, step)
        # The jaw takes the most; lips alone would bare the teeth without moving the chin.
        missing = float(wanted_gap[t] - gap_rest - amounts @ gap_of)
        if missing > 0:
            for name, share in (("mouthLowerDownLeft", 0.12), ("mouthLowerDownRight", 0.12)):
                _raise(amounts, name, share * missing / gap_of[SHAPE_OF[name]])
        else:
            k = SHAPE_OF["jawOpen"]
            amounts[k] = max(0.3 * amounts[k], amounts[k] + missing / gap_of[k])
            left_over = float(wanted_gap[t] - gap_rest - amounts @ gap_of)
            _raise(amounts, "mouthClose", left_over / gap_of[SHAPE_OF["mouthClose"]])
        missing = float(wanted_gap[t] - gap_rest - amounts @ gap_of)
        _raise(amounts, "jawOpen", missing / gap_of[SHAPE_OF["jawOpen"]])
    return out


def _raise(amounts: NDArray[np.float32], name: str, step: float) -> None:
    k = SHAPE_OF[name]
    low = -0.15 if name == "jawOpen" else 0.0
    amounts[k] = np.clip(amounts[k] + step, low, LIMITS.get(name, 0.9))
