"""Plain drawing: a white canvas with text, and the strip of openings over time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.audio import FPS
from training.evaluation.figures import Judgement
from training.phonemes import Kind
from training.sync_figures import z_scored

Rgb = NDArray[np.uint8]
Colour = tuple[int, int, int]
WHITE, BLACK, GREY, PALE = (255, 255, 255), (25, 25, 25), (150, 150, 150), (228, 236, 246)
TRUE, HEARD, OUTPUT = (40, 40, 40), (120, 160, 215), (205, 50, 40)
SHOWN_FRAMES = 250
REACH = 3.0  # deviations from the lower to the upper edge, about the middle


class Canvas:
    def __init__(self, height: int, width: int, colour: Colour = WHITE) -> None:
        self.pixels: Rgb = np.full((height, width, 3), colour, np.uint8)

    def text(self, at: tuple[int, int], words: str, colour: Colour, size: float) -> None:
        cv2.putText(self.pixels, words, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)

    def put(self, at: tuple[int, int], picture: Rgb) -> None:
        x, y = at
        self.pixels[y : y + picture.shape[0], x : x + picture.shape[1]] = picture

    def line(self, track: NDArray[np.float64], colour: Colour, thickness: int) -> None:
        """A z-scored track (T,) across the canvas; gaps where it is NaN."""
        height, width = self.pixels.shape[:2]
        x = np.linspace(0, width - 1, len(track))
        y = np.clip(height * (0.62 - track / (REACH * 2)), 1, height - 2)
        for part in np.ma.clump_unmasked(np.ma.masked_invalid(track)):
            dots = np.stack([x[part], y[part]], 1)
            cv2.polylines(
                self.pixels,
                [np.round(dots * 16).astype(np.int32)],
                False,
                colour,
                thickness,
                cv2.LINE_AA,
                4,
            )


def openings_strip(judgement: Judgement, width: int, height: int) -> Rgb:
    """Opening over time of the true mouth, if known (black), of what is heard (blue) and of the
    output (red), z-scored; the moments of the pictures are shaded, p, b and m marked below.
    """
    clip, m = judgement
    count = len(m.output)
    first = 0
    if not clip.segments and count > SHOWN_FRAMES:
        first = int(np.clip(m.shots.times[0] - SHOWN_FRAMES // 4, 0, count - SHOWN_FRAMES))
        count = SHOWN_FRAMES
    shown = slice(first, first + count)
    canvas = Canvas(height, width, (250, 250, 250))
    for t in m.shots.times:
        x = round((t - first) / max(1, count - 1) * (width - 1))
        if 0 <= x < width:
            cv2.line(canvas.pixels, (x, 0), (x, height), PALE, 3)
    for segment in clip.segments:
        x = round((segment.first - first) / count * width)
        cv2.line(canvas.pixels, (x, 0), (x, height), GREY, 1)
        canvas.text((x + 3, 11), segment.name, GREY, 0.35)
    for phoneme in clip.phonemes:
        if phoneme.kind is Kind.CLOSED:
            x = round(((phoneme.start_s + phoneme.end_s) / 2 * FPS - first) / count * width)
            cv2.line(canvas.pixels, (x, height - 12), (x, height), TRUE, 1)
            canvas.text((x - 3, height - 15), phoneme.symbol, GREY, 0.35)
    tracks = [("heard", m.heard, HEARD, 1), ("output", m.output, OUTPUT, 2)]
    if not (clip.drive.heard or np.isnan(m.truth).all()):
        tracks.insert(1, ("true", m.truth, TRUE, 1))
    for _, track, colour, thickness in tracks:
        canvas.line(z_scored(track)[shown], colour, thickness)
    for k, (name, _, colour, _) in enumerate(tracks):
        canvas.text((width - 150 + 46 * k, 11), name, colour, 0.35)
    return canvas.pixels


def write(path: Path, rgb: Rgb) -> None:
    cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 90])
