"""What a head does while it speaks, apart from the mouth: slow turns, blinks, brows, gaze."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.heads.assets import F32
from training.heads.blendshapes import BLENDSHAPES, SHAPE_OF

FPS = 25
BLINK = (0.4, 0.9, 1.0, 0.7, 0.3)


@dataclass(frozen=True, slots=True)
class Motion:
    """T frames: yaw, pitch, roll (T, 3) in radians, sway of the eyes' midpoint (T, 2) in picture
    sizes, zoom (T,) and the coefficients of the upper face (T, 52)."""

    pose: F32
    sway: F32
    zoom: F32
    upper_face: F32

    @staticmethod
    def sample(rng: np.random.Generator, frames: int, frontal: bool) -> Motion:
        """`frontal` heads stay within about 12 degrees of the camera; others go to 40."""
        yaw = rng.normal(0, 5) if frontal else rng.uniform(12, 38) * rng.choice([-1, 1])
        centre = np.radians([yaw, rng.normal(0, 5), rng.normal(0, 4)])
        size = np.radians([rng.uniform(1, 7), rng.uniform(0.5, 4), rng.uniform(0.5, 3)])
        pose = centre + np.stack([wander(rng, frames) for _ in range(3)], 1) * size
        pose[:, 0] = np.clip(pose[:, 0], -np.radians(42), np.radians(42))
        sway = np.stack([wander(rng, frames) for _ in range(2)], 1) * rng.uniform(0.002, 0.012)
        zoom = 1 + rng.uniform(0.002, 0.02) * wander(rng, frames)
        return Motion(
            pose.astype(np.float32),
            sway.astype(np.float32),
            zoom.astype(np.float32),
            _upper_face(rng, frames),
        )


def wander(rng: np.random.Generator, frames: int) -> F32:
    """Smooth random motion (frames,), about -1..1, slower than one cycle a second."""
    t = np.arange(frames) / FPS
    out = np.zeros(frames)
    for _ in range(3):
        out += rng.normal(0, 0.5) * np.sin(2 * np.pi * (rng.uniform(0.1, 0.9) * t + rng.random()))
    return out.astype(np.float32)


def _upper_face(rng: np.random.Generator, frames: int) -> F32:
    out = np.zeros((frames, len(BLENDSHAPES)), np.float32)

    def put(names: tuple[str, ...], values: F32) -> None:
        for name in names:
            out[:, SHAPE_OF[name]] += np.clip(values, 0, 1)

    brows = rng.uniform(0, 0.5) * (wander(rng, frames) + rng.normal(0, 0.3))
    put(("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), brows)
    put(("browDownLeft", "browDownRight"), -brows)
    put(("eyeSquintLeft", "eyeSquintRight"), np.full(frames, rng.uniform(0, 0.4), np.float32))
    side, up = 0.5 * wander(rng, frames), 0.3 * wander(rng, frames)
    put(("eyeLookInLeft", "eyeLookOutRight"), side)
    put(("eyeLookOutLeft", "eyeLookInRight"), -side)
    put(("eyeLookUpLeft", "eyeLookUpRight"), up)
    put(("eyeLookDownLeft", "eyeLookDownRight"), -up)
    lids = np.full(frames, rng.uniform(0, 0.15), np.float32)
    if rng.random() < 0.6:
        start = int(rng.integers(0, max(1, frames - len(BLINK))))
        length = min(len(BLINK), frames - start)
        lids[start : start + length] = np.maximum(lids[start : start + length], BLINK[:length])
    put(("eyeBlinkLeft", "eyeBlinkRight"), lids)
    return out
