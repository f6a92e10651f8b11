"""What is judged: a source picture or clip, and a voice that it shall speak."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.drives import Drive
from training.phonemes import Phoneme

Box = tuple[float, float, float, float]
Window = tuple[int, int, int, int]  # left, top, right, bottom, pixels


class Group(StrEnum):
    """As AIGC-LipSync groups its clips."""

    REALISTIC = "realistic"
    STYLISED = "stylised"
    ATYPICAL = "atypical"


class Judge(StrEnum):
    """Who reads a mouth's opening."""

    LANDMARKS = "landmarks"  # FaceLandmarker
    DRAWN = "drawn"  # the area that differs from the skin's colour, for faces it does not find


def there_and_back(count: int, length: int) -> NDArray[np.int64]:
    """Frame numbers 0 1 .. n-1 n-2 .. 1 0 1 .., `length` of them: a short clip looped without a
    jump.
    """
    cycle = (
        np.concatenate([np.arange(count), np.arange(count - 2, 0, -1)])
        if count > 1
        else np.zeros(1)
    )
    return np.resize(cycle, length).astype(np.int64)


@dataclass(frozen=True)
class Picture:
    """Source frames uint8 (N, H, W, 3), looped there and back.

    Without a face box the engine looks for the face itself. `cover` uint8 (N, H, W) is what stands
    before the face (255: wholly); `bare` are the frames without it. `mouth` is the box of a drawn
    mouth.
    """

    frames: NDArray[np.uint8]
    face_box: Box | None = None
    cover: NDArray[np.uint8] | None = None
    bare: NDArray[np.uint8] | None = None
    mouth: Box | None = None

    @property
    def window(self) -> Window | None:
        """Where the judge is to look for a face that a box was given for."""
        if self.face_box is None:
            return None
        x, y, width, height = self.face_box
        rows, columns = self.frames.shape[1:3]
        left, top = max(0, round(x - width / 2)), max(0, round(y - height / 2))
        right, bottom = round(x + 1.5 * width), round(y + 1.5 * height)
        return left, top, min(columns, right), min(rows, bottom)


@dataclass(frozen=True)
class Source:
    """A picture in the cache, and what FaceLandmarker finds in it (without what covers it)."""

    key: str
    picture: Picture
    labels: Future[Path]

    @cached_property
    def points(self) -> NDArray[np.float32]:
        """(N, 478, 2) pixels, NaN where no face is found; waits for them."""
        return np.load(self.labels.result())["points"]


@dataclass(frozen=True)
class Segment:
    """Frames first..last-1 of a drive, by name."""

    name: str
    first: int
    last: int


@dataclass(frozen=True)
class Clip:
    """One thing to judge. `repeats`: how often the drive is heard; only its first and last turn
    are looked at. `true`: the face that the sound comes from, frame by frame, where the drive's
    pieces do not tell. `same_person`: the drive's true face is the source's.
    """

    name: str
    group: Group
    source: Source
    drive: Drive
    judge: Judge = Judge.LANDMARKS
    segments: tuple[Segment, ...] = ()
    phonemes: tuple[Phoneme, ...] = ()
    voice: str = ""
    repeats: int = 1
    true: Source | None = None
    same_person: bool = False
