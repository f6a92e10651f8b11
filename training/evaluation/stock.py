"""What all sets are made from, kept on disk: labelled GRID sentences, mouth tracks, pictures."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp

import cv2
import numpy as np
from numpy.typing import NDArray

from training.drives import Drive, make_drive
from training.evaluation.clip import Box, Picture, Source
from training.evaluation.labeller import Labeller
from training.evaluation.own_clips import OwnClip
from training.heads.tracks import TrackLibrary
from training.splits import data_dir, held_out, judged_names

TRAINING_SENTENCES = 32  # for source mouths of rendered heads and for reading openings off poses
LONGEST_SIDE_PX = 960


@dataclass(frozen=True)
class Plan:
    """How much is judged, and of your own clips, which."""

    seconds: float = 20.0
    quick: bool = False
    own: tuple[OwnClip, ...] = ()
    drift_minutes: float = 30.0

    def some(self, count: int, quick: int) -> range:
        """Numbers of the clips of a set that has `count`, or `quick` in a hurry."""
        return range(quick if self.quick else count)


def key_of(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


class Stock:
    """Everything that does not depend on the judged weights. `folder` may be shared by runs;
    `labels` may hold labels of grid_s1 that were made before.
    """

    def __init__(self, folder: Path, labeller: Labeller, labels: Path | None = None) -> None:
        self._folder, self._labeller, self._labels = folder, labeller, labels
        for part in ("grid_s1", "sources"):
            (folder / part).mkdir(parents=True, exist_ok=True)

    @cached_property
    def judged(self) -> dict[str, NDArray[np.float32]]:
        """Points (T, 478, 2) of GRID speaker 1's test sentences."""
        return self._grid(judged_names("grid_s1"))

    @cached_property
    def validated(self) -> dict[str, NDArray[np.float32]]:
        """Points of the validation sentences: no network learns from them, no drive is made of
        them.
        """
        names = sorted(held_out("grid_s1") - set(judged_names("grid_s1")))
        return self._grid(names)

    @cached_property
    def trained(self) -> dict[str, NDArray[np.float32]]:
        """Points of a few training sentences."""
        return self._grid(self._training_names())

    @cached_property
    def tracks(self) -> TrackLibrary:
        """Mouths of training sentences: what a source picture says by itself."""
        self._grid(self._training_names())
        return TrackLibrary(self._folder / "grid_s1")

    @staticmethod
    def _training_names() -> list[str]:
        hidden = held_out("grid_s1")
        names = sorted(p.stem for p in (data_dir() / "grid_s1").glob("*.mp4"))
        names = [n for n in names if n not in hidden]
        return names[:: max(1, len(names) // TRAINING_SENTENCES)]

    def _grid(self, names: list[str]) -> dict[str, NDArray[np.float32]]:
        """Points (T, 478, 2) of grid_s1's clips."""
        clips, folder = data_dir() / "grid_s1", self._folder / "grid_s1"
        if self._labels is not None:
            for name in names:
                made, wanted = self._labels / f"{name}.npz", folder / f"{name}.npz"
                if made.exists() and not wanted.exists():
                    shutil.copyfile(made, wanted)
        waiting = {n: self._labeller.submit(clips / f"{n}.mp4", folder / f"{n}.npz") for n in names}
        return {name: np.load(path.result())["points"] for name, path in waiting.items()}

    def drive(self, seed: int, seconds: float) -> Drive:
        return make_drive(self.judged, seed, seconds)

    def source(self, recipe: str, maker: Path, make: Callable[[], Picture]) -> Source:
        """The picture that `make` makes, made once for this recipe and this text of `maker`, the
        file that says how.
        """
        key = key_of(recipe, maker.read_bytes())
        folder = self._folder / "sources" / key
        if not folder.exists():
            _save(folder, make())
        judged = folder / ("bare.npy" if (folder / "bare.npy").exists() else "frames.npy")
        picture = _load(folder)
        labels = self._labeller.submit(judged, folder / "labels.npz", picture.window)
        return Source(key, picture, labels)


PARTS = ("frames", "face_box", "cover", "bare", "mouth")


def _save(folder: Path, picture: Picture) -> None:
    partial = Path(mkdtemp(dir=folder.parent))
    for name in PARTS:
        value = getattr(picture, name)
        if value is not None:
            np.save(partial / f"{name}.npy", value)
    try:
        partial.rename(folder)
    except OSError:  # another evaluation made the same meanwhile
        shutil.rmtree(partial)


def _load(folder: Path) -> Picture:
    """Frames stay on disk until they are looked at."""
    found = {
        name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))
        for name in PARTS
        if (folder / f"{name}.npy").exists()
    }
    return Picture(
        found["frames"],
        _box(found.get("face_box")),
        found.get("cover"),
        found.get("bare"),
        _box(found.get("mouth")),
    )


def _box(array: NDArray | None) -> Box | None:
    if array is None:
        return None
    x, y, width, height = (float(v) for v in array)
    return x, y, width, height


def shrunk(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames whose longer side is at most LONGEST_SIDE_PX."""
    height, width = frames.shape[1:3]
    scale = LONGEST_SIDE_PX / max(height, width)
    if scale >= 1:
        return frames
    size = (round(width * scale), round(height * scale))
    return np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames])
