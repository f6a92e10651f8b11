"""Your own clips: each gets a voice it never had."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np

from training.evaluation.clip import Clip, Group, Picture
from training.evaluation.stock import Plan, Stock, shrunk

HERE = Path(__file__)
ENDINGS = {
    ".mp4",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".m4v",
    ".png",
    ".jpg",
    ".jpeg",
}
LONGEST_S = 10


class FolderError(ValueError):
    """The folder of clips cannot be used; one line says why."""


def _frames(path: Path) -> Picture:
    if path.suffix.lower() in {".png", ".jpg", ".jpeg"}:
        picture = cv2.imread(str(path))
        if picture is None:
            raise FolderError(f"{path.name} cannot be read")
        return Picture(shrunk(np.ascontiguousarray(np.asarray(picture)[None, ..., ::-1])))
    frames = []
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                rgb = frame.to_ndarray(format="rgb24").astype(np.uint8)
                frames.append(shrunk(rgb[None])[0])
                if len(frames) == LONGEST_S * 25:
                    break
    except (av.FFmpegError, IndexError) as error:
        raise FolderError(f"{path.name} cannot be read: {error}") from error
    if not frames:
        raise FolderError(f"{path.name} has no pictures")
    return Picture(np.stack(frames))


def clips(stock: Stock, plan: Plan) -> list[Clip]:
    """Raises FolderError."""
    folder = plan.folder
    if folder is None or not folder.is_dir():
        raise FolderError(f"{folder}: no such folder; --clips names one with clips")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS)
    if not paths:
        raise FolderError(f"{folder}: no clips in it")
    made = []
    for k, path in enumerate(paths):
        facts = path.stat()
        recipe = f"{path.resolve()} {facts.st_size} {facts.st_mtime_ns}"
        source = stock.source(recipe, HERE, partial(_frames, path))
        drive = stock.drive(9000 + k, plan.seconds)
        made.append(Clip(path.stem, Group.REALISTIC, source, drive))
    return made
