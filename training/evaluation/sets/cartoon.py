"""Drawn faces that no detector finds: pytoon's, their mouth sprites talking otherwise, with a face
box as a user would drag it.
"""

from __future__ import annotations

import json
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.evaluation.clip import Box, Clip, Group, Judge, Picture
from training.evaluation.stock import Plan, Stock
from training.splits import data_dir

HERE = Path(__file__)
Rgb = NDArray[np.uint8]
SCALE = 0.5
FRAMES = 75
# Emotion and number of poses that look ahead and have nothing near the mouth.
POSES = (("explain", 4), ("happy", 1), ("happy", 2))
SPRITES = ("9", "2", "1", "3", "6", "5")  # from a line to wide open
SKIN = ((200, 140, 0), (255, 255, 90))  # lowest and highest RGB, in light and in shadow
OUTLINE_PX = 12  # of the head, outside of its skin, before scaling
MOUTH_PX = (-90.0, -45.0, 180.0, 120.0)  # the area that is judged, from the mouth's place


def _assets() -> Path:
    return data_dir() / "heads" / "pytoon2d" / "pytoon" / "assets"


def read_sprite(name: str) -> NDArray[np.float32]:
    """Mouth sprite float32 (150, 300, 4), RGBA, 0..255."""
    path = _assets() / "visemes" / "positive" / f"{name}.png"
    picture = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    return picture[..., [2, 1, 0, 3]].astype(np.float32)


@lru_cache(4)
def _pose(emotion: str, number: int) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """The picture without a mouth, and where its mouth belongs."""
    entry = json.loads((_assets() / "pose_data.json").read_text())["emotions"][emotion][number]
    path = _assets().parent / entry["image_files"]["open"].lstrip("/")
    rgba = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))[..., [2, 1, 0, 3]]
    rgba = rgba.astype(np.float32)
    cover = rgba[..., 3:] / np.float32(255)
    wall = np.array([205, 214, 222], np.float32)
    at = entry["mouth_coordinates"]
    face = rgba[..., :3] * cover + wall * (1 - cover)
    return face.astype(np.float32), (float(at["x"]), float(at["y"]))


def face_with(sprite: NDArray[np.float32], emotion: str, number: int) -> Rgb:
    """The face with this mouth, at SCALE."""
    face, (x, y) = _pose(emotion, number)
    out = face.copy()
    height, width = sprite.shape[:2]
    top, left = round(y - height / 2), round(x - width / 2)
    part = out[top : top + height, left : left + width]
    cover = sprite[..., 3:] / 255
    part[:] = part * (1 - cover) + sprite[..., :3] * cover
    small = cv2.resize(out, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_AREA)
    return np.clip(small, 0, 255).astype(np.uint8)


def boxes(emotion: str, number: int) -> tuple[Box, Box]:
    """The face box as a user drags it round the head, outline and all, and the mouth's box."""
    face, (x, y) = _pose(emotion, number)
    low, high = (np.array(v, np.float32) for v in SKIN)
    skin = ((face >= low) & (face <= high)).all(2)
    left, top, width, height = cv2.boundingRect(skin.astype(np.uint8))
    grown = 2 * OUTLINE_PX
    head = (left - OUTLINE_PX, top - OUTLINE_PX, width + grown, height + grown)
    mouth = (x + MOUTH_PX[0], y + MOUTH_PX[1], *MOUTH_PX[2:])
    a, b = (tuple(SCALE * v for v in box) for box in (head, mouth))
    return a, b  # type: ignore[return-value]


def _talking(stock: Stock, emotion: str, number: int, seed: int) -> Picture:
    openings = stock.tracks.sample(np.random.default_rng([seed, 3]), FRAMES).opening
    ranks = np.searchsorted(np.quantile(openings, [0.3, 0.5, 0.65, 0.8, 0.92]), openings)
    faces = [face_with(read_sprite(name), emotion, number) for name in SPRITES]
    face_box, mouth = boxes(emotion, number)
    return Picture(np.stack([faces[k] for k in ranks]), face_box=face_box, mouth=mouth)


def cartoon(stock: Stock, plan: Plan) -> list[Clip]:
    clips = []
    for k in plan.some(len(POSES), 1):
        emotion, number = POSES[k]
        source = stock.source(
            f"toon {emotion} {number}",
            HERE,
            partial(_talking, stock, emotion, number, k),
        )
        drive = stock.drive(6000 + k, plan.seconds)
        clips.append(Clip(f"toon {emotion} {number}", Group.STYLISED, source, drive, Judge.DRAWN))
    return clips
