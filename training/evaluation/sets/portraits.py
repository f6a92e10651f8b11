"""Test portraits as users have them, about 475 px; and the same painted or drawn by a filter."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.evaluation.clip import Clip, Group, Picture, Source
from training.evaluation.stock import Plan, Stock
from training.heads.motion import wander
from training.splits import data_dir

HERE = Path(__file__)
Rgb = NDArray[np.uint8]
FRAMES = 100
SWAY = 0.012  # of the picture's width
# Of the test portraits: both sexes, several ages, skins, sizes; mouths closed or smiling.
SHOWN = (500, 651, 881, 963, 1099, 1207, 1393, 1501)
PAINTED = (618, 709, 1078, 1408)


def read_portrait(number: int) -> Rgb:
    path = data_dir() / "portraits" / f"t2i_{number:04d}.jpg"
    return np.ascontiguousarray(np.asarray(cv2.imread(str(path)))[..., ::-1])


def swaying(picture: Rgb, seed: int) -> Rgb:
    """FRAMES frames in which the picture drifts, turns and grows a little, smoothly."""
    rng = np.random.default_rng([seed, 7])
    height, width = picture.shape[:2]
    x, y, turn, zoom = (wander(rng, FRAMES) for _ in range(4))
    frames = []
    for t in range(FRAMES):
        m = cv2.getRotationMatrix2D(
            (width / 2, height / 2), float(2.5 * turn[t]), float(1.02 + 0.015 * zoom[t])
        )
        m[:, 2] += SWAY * width * np.array([x[t], y[t]])
        frames.append(
            cv2.warpAffine(
                picture, m, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
            )
        )
    return np.stack(frames)


def portrait(stock: Stock, number: int, moves: bool) -> Source:
    def make() -> Picture:
        still = read_portrait(number)
        return Picture(swaying(still, number) if moves else still[None])

    return stock.source(f"portrait {number} {moves}", HERE, make)


def portraits(stock: Stock, plan: Plan) -> list[Clip]:
    """Every other one stands still."""
    return [
        Clip(
            f"portrait {SHOWN[k]} {'still' if k % 2 else 'swaying'}",
            Group.REALISTIC,
            portrait(stock, SHOWN[k], k % 2 == 0),
            stock.drive(3000 + k, plan.seconds),
        )
        for k in plan.some(len(SHOWN), 3)
    ]


def as_painting(picture: Rgb) -> Rgb:
    """Flat areas with soft strokes: edge-preserving smoothing, few tones."""
    smooth = cv2.edgePreservingFilter(picture, flags=cv2.RECURS_FILTER, sigma_s=50, sigma_r=0.45)
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB)
    tones = 9
    step = 255 / (tones - 1)
    lab[..., 0] = np.clip(np.round(lab[..., 0] / step) * step, 0, 255)
    flat = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return cv2.bilateralFilter(flat, 7, 30, 3)


def as_drawing(picture: Rgb) -> Rgb:
    """Ink lines on flat, stronger colours."""
    smooth = picture
    for _ in range(3):
        smooth = cv2.bilateralFilter(smooth, 9, 35, 7)
    grey = cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY).astype(np.float32)
    difference = cv2.GaussianBlur(grey, (0, 0), 1.0) - cv2.GaussianBlur(grey, (0, 0), 2.2)
    ink = np.clip(1 + (difference + 1.5) / 4, 0.1, 1)[..., None]
    hsv = cv2.cvtColor(smooth, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 1] = np.clip(hsv[..., 1] * 1.3, 0, 255)
    hsv[..., 2] = np.clip(np.round(hsv[..., 2] / 22) * 22, 0, 255)
    flat = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
    return cv2.GaussianBlur((flat * ink).astype(np.uint8), (0, 0), 0.6)


def _filtered(number: int, filtered: Callable[[Rgb], Rgb]) -> Picture:
    return Picture(swaying(filtered(read_portrait(number)), number))


def painted(stock: Stock, plan: Plan) -> list[Clip]:
    clips = []
    for k in plan.some(len(PAINTED), 2):
        number, filtered = PAINTED[k], (as_painting, as_drawing)[k % 2]
        source = stock.source(
            f"{filtered.__name__} {number}",
            HERE,
            partial(_filtered, number, filtered),
        )
        name = f"{'painted' if k % 2 == 0 else 'drawn'} {number}"
        clips.append(Clip(name, Group.STYLISED, source, stock.drive(3100 + k, plan.seconds)))
    return clips
