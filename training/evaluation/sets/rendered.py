"""Rendered test heads (seeds from 1000000) that talk, their mouths on another sentence's track."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.evaluation.clip import Clip, Group, Picture, Source
from training.evaluation.stock import Plan, Stock
from training.heads.assets import F32
from training.heads.head import Framing, Head
from training.heads.motion import Motion
from training.heads.tracks import fit_to_head

HERE = Path(__file__)
Rgb = NDArray[np.uint8]
SIZE_PX = 480
FRAMES = 50
EYE_DISTANCE = 0.155  # of the picture: a face of about 200 px
FIRST_SEED = 1_000_200


def head_motion(seed: int, yaw: float | None, rng: np.random.Generator) -> Motion:
    """How head `seed` moves; a yaw in degrees is kept but for small turns, None looks about the
    camera.
    """
    motion = Motion.sample(rng, FRAMES, frontal=True)
    if yaw is None:
        return motion
    pose = 0.3 * (motion.pose - motion.pose.mean(0))
    pose[:, 0] += np.radians(yaw) * rng.choice([-1, 1])
    return replace(motion, pose=pose.astype(np.float32))


def head_frame(head: Head, motion: Motion, t: int, mouth: F32, noise_seed: int) -> Rgb:
    """The head at frame t of its motion, `mouth` (52,) its coefficients; (SIZE_PX, SIZE_PX, 3)."""
    yaw, pitch, roll = (float(a) for a in motion.pose[t])
    framing = Framing(
        0.5 - 0.3 * np.sin(yaw) * EYE_DISTANCE + float(motion.sway[t, 0]),
        0.42 + float(motion.sway[t, 1]),
        EYE_DISTANCE * float(motion.zoom[t]),
    )
    coefficients = mouth + motion.upper_face[t]
    picture = head.render(
        coefficients, yaw, pitch, roll, SIZE_PX, framing=framing, noise_seed=noise_seed
    )
    return picture.rgb


def head_frames(stock: Stock, seed: int, yaw: float | None) -> Picture:
    rng = np.random.default_rng([seed, 5])
    head, motion = Head.sample(seed), head_motion(seed, yaw, rng)
    mouth = fit_to_head(head, stock.tracks.sample(rng, FRAMES))
    frames = [head_frame(head, motion, t, mouth[t], seed * 1000 + t) for t in range(FRAMES)]
    return Picture(np.stack(frames))


def head_source(stock: Stock, seed: int, yaw: float | None) -> Source:
    return stock.source(f"head {seed} {yaw}", HERE, lambda: head_frames(stock, seed, yaw))


def _clips(
    stock: Stock, plan: Plan, first: int, count: int, yaw: float | None, group: Group
) -> list[Clip]:
    name = "head" if yaw is None else f"head {yaw:g} degrees,"
    return [
        Clip(
            f"{name} {first + k}",
            group,
            head_source(stock, first + k, yaw),
            stock.drive(4000 + first % 1000 + k, plan.seconds),
        )
        for k in plan.some(count, 3)
    ]


def frontal(stock: Stock, plan: Plan) -> list[Clip]:
    return _clips(stock, plan, FIRST_SEED, 6, None, Group.REALISTIC)


def turned30(stock: Stock, plan: Plan) -> list[Clip]:
    return _clips(stock, plan, FIRST_SEED + 20, 4, 30.0, Group.ATYPICAL)


def turned45(stock: Stock, plan: Plan) -> list[Clip]:
    return _clips(stock, plan, FIRST_SEED + 40, 4, 45.0, Group.ATYPICAL)
