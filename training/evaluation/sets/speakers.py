"""Real people: GRID speaker 1 in sentences never trained on, and four speakers never trained on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio import SAMPLES_PER_FRAME
from training.drives import Drive
from training.evaluation.clip import Clip, Group, Picture, Source, there_and_back
from training.evaluation.stock import Plan, Stock
from training.grid import read_frames, read_pcm
from training.lip_pose import opening
from training.splits import data_dir

HERE = Path(__file__)


def whole(stock: Stock, path: Path) -> Source:
    """A clip as it is."""
    return stock.source(f"whole {path.name}", HERE, lambda: Picture(read_frames(path)))


def _reordered(path: Path, order: NDArray[np.int64]) -> Picture:
    return Picture(read_frames(path)[order])


def speaker(stock: Stock, plan: Plan) -> list[Clip]:
    paths = sorted((data_dir() / "clips").glob("grid_s1_*.mpg"))
    return [
        Clip(
            paths[k].stem,
            Group.REALISTIC,
            whole(stock, paths[k]),
            stock.drive(1000 + k, plan.seconds),
            same_person=True,
        )
        for k in plan.some(6, 2)
    ]


def strangers(stock: Stock, plan: Plan) -> list[Clip]:
    """Each speaker with two drives."""
    paths = sorted((data_dir() / "clips").glob("grid_other_*.mpg"))
    return [
        Clip(
            f"{paths[k % 4].stem} {k // 4 + 1}",
            Group.REALISTIC,
            whole(stock, paths[k % 4]),
            stock.drive(1000 + k, plan.seconds),
        )
        for k in plan.some(8, 4)
    ]


def _own_drive(path: Path, points: NDArray[np.float32]) -> Drive:
    """The clip's own sound, which its own mouth, points (T, 478, 2), belongs to."""
    pcm = read_pcm(path)
    pcm = np.pad(pcm, (0, max(0, len(points) * SAMPLES_PER_FRAME - len(pcm))))
    return Drive(f"own {path.stem}", pcm, opening(points).astype(np.float64), points)


def matched(stock: Stock, plan: Plan) -> list[Clip]:
    """Everybody hears himself in step with his picture: what a mouth that is right already adds, or
    a model that copies it gains.
    """
    clips = []
    for path in sorted((data_dir() / "clips").glob("grid_*.mpg")):
        true = whole(stock, path)
        drive = _own_drive(path, true.points)
        clips.append(Clip(path.stem, Group.REALISTIC, true, drive, true=true, same_person=True))
    return clips


def own_sound(stock: Stock, plan: Plan) -> list[Clip]:
    """Each speaker hears itself; the picture runs backwards, or from the middle there and back, so
    that a copy of the source's mouth scores nothing.
    """
    clips = []
    for path in sorted((data_dir() / "clips").glob("grid_other_*.mpg")):
        true = whole(stock, path)
        count, drive = len(true.points), _own_drive(path, true.points)
        middle = np.roll(there_and_back(count, 2 * count - 2), -(count // 2))[:count]
        for name, order in (("backwards", np.arange(count)[::-1]), ("from the middle", middle)):
            source = stock.source(f"{name} {path.name}", HERE, partial(_reordered, path, order))
            clips.append(
                Clip(
                    f"{path.stem} {name}",
                    Group.REALISTIC,
                    source,
                    drive,
                    true=true,
                    same_person=True,
                )
            )
    return clips
