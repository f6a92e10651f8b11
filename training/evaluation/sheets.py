"""Contact sheets: for each clip of a set its source, the true mouth and the output over time, the
openings as a strip, and whole faces. Real people are on them: they are for looking, not for docs.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.evaluation.clip import Clip
from training.evaluation.figures import Judgement, number
from training.evaluation.measure.shots import CLOSE_COUNT, close_up, mouth_square
from training.evaluation.strips import BLACK, GREY, WHITE, Canvas, openings_strip, write
from training.grid import read_frames
from training.splits import data_dir
from training.sync_figures import pooled

Rgb = NDArray[np.uint8]
CELL_PX, LABEL_PX, TITLE_PX, STRIP_PX, GAP_PX = 112, 96, 26, 84, 18
PER_SHEET = 4
WIDTH_PX = LABEL_PX + CLOSE_COUNT * CELL_PX


class TrueMouths:
    """Close-ups of the mouths that the sound came from."""

    def __init__(self, faces: dict[str, NDArray[np.float32]]) -> None:
        self._faces = faces
        self._frames: dict[str, Rgb] = {}

    def row(self, clip: Clip, times: NDArray[np.int64]) -> list[Rgb | None]:
        """One picture a time, None in a gap."""
        return [self._at(clip, int(t) % len(clip.drive.opening)) for t in times]

    def _at(self, clip: Clip, t: int) -> Rgb | None:
        if clip.true is not None:
            return _mouth(clip.true.picture.frames[t], clip.true.points[t])
        found = clip.drive.true_frame(t)
        if found is None:
            return None
        sentence, frame = found
        if sentence not in self._frames:
            self._frames[sentence] = read_frames(data_dir() / "grid_s1" / f"{sentence}.mp4")
        return _mouth(self._frames[sentence][frame], self._faces[sentence][frame])


def _mouth(rgb: Rgb, points: NDArray[np.float32]) -> Rgb | None:
    if np.isnan(points).any():
        return None
    return close_up(rgb, *mouth_square(points))


def write_sheets(
    folder: Path, name: str, judgements: list[Judgement], mouths: TrueMouths
) -> list[Path]:
    """NAME.jpg, or NAME-1.jpg, NAME-2.jpg ... of PER_SHEET clips each."""
    paths = []
    groups = [judgements[k : k + PER_SHEET] for k in range(0, len(judgements), PER_SHEET)]
    for k, group in enumerate(groups, 1):
        path = folder / (f"{name}.jpg" if len(groups) == 1 else f"{name}-{k}.jpg")
        blocks = [_block(j, mouths) for j in group]
        width = max(block.shape[1] for block in blocks)
        write(path, np.vstack([_widened(block, width) for block in blocks]))
        paths.append(path)
    return paths


def _block(judgement: Judgement, mouths: TrueMouths) -> Rgb:
    clip, m = judgement
    shots = m.shots
    true = mouths.row(clip, shots.times)
    rows: list[tuple[str, list[Rgb | None]]] = [("source", list(shots.source))]
    if any(picture is not None for picture in true):
        rows.append(("true", true))
    rows.append(("output", list(shots.output)))
    height = TITLE_PX + len(rows) * (CELL_PX + 2) + STRIP_PX + GAP_PX
    faces = _whole_faces(judgement, height - TITLE_PX - GAP_PX)
    canvas = Canvas(height, WIDTH_PX + 8 + faces.shape[1])
    canvas.text((6, 18), f"{clip.name}   {_told(judgement)}", BLACK, 0.5)
    y = TITLE_PX
    for label, pictures in rows:
        canvas.text((8, y + CELL_PX // 2), label, BLACK, 0.45)
        for k, picture in enumerate(pictures):
            x = LABEL_PX + k * CELL_PX
            if picture is None:
                canvas.text((x + CELL_PX // 2 - 14, y + CELL_PX // 2), "gap", GREY, 0.4)
            else:
                canvas.put((x, y), _fitted(picture, CELL_PX - 2))
        y += CELL_PX + 2
    canvas.put((LABEL_PX, y), openings_strip(judgement, WIDTH_PX - LABEL_PX - 2, STRIP_PX))
    canvas.text((8, y + STRIP_PX // 2), "opening", BLACK, 0.45)
    canvas.put((WIDTH_PX + 8, TITLE_PX), faces)
    return canvas.pixels


def _widened(block: Rgb, width: int) -> Rgb:
    missing = ((0, 0), (0, width - block.shape[1]), (0, 0))
    return np.pad(block, missing, constant_values=255)


def _told(judgement: Judgement) -> str:
    clip, m = judgement
    words = [f"sharpness {number(m.sharpness)}", f"seam {number(m.seam)}"]
    if clip.voice:
        words.insert(0, clip.voice)
    elif not clip.segments:
        sync = pooled([judgement.judged])
        words.insert(0, f"r {number(sync.r)}  offset {number(sync.offset_exact, sign=True)}")
    return "  ".join(words)


def _fitted(picture: Rgb, side: int) -> Rgb:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def _whole_faces(judgement: Judgement, height: int) -> Rgb:
    """Source above output, the moment in the middle."""
    shots = judgement.measured.shots
    each = height // 2
    pictures = []
    for whole in (shots.whole_source[1], shots.whole_output[1]):
        scale = each / whole.shape[0]
        size = (round(whole.shape[1] * scale), each - 2)
        picture = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
        pictures.append(np.vstack([picture, np.full((2, size[0], 3), WHITE, np.uint8)]))
    return np.vstack(pictures)
