"""Pictures kept of a clip, for its contact sheet: mouths close up over time, and whole faces."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.evaluation.clip import Clip

CLOSE_PX, WHOLE_PX = 144, 320
CLOSE_COUNT, STEP = 12, 3
REACH = 1.15  # side of a close-up in outer eye distances
DRAWN_REACH = 1.4  # in widths of a drawn mouth's box

Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class Shots:
    """times (N,) of the close-ups, uint8 (N, CLOSE_PX, CLOSE_PX, 3); three whole pictures
    (3, h, w, 3) each.
    """

    times: NDArray[np.int64]
    source: Rgb
    output: Rgb
    whole_source: Rgb
    whole_output: Rgb

    def arrays(self) -> dict[str, NDArray]:
        return {
            "shot_times": self.times,
            "shot_source": self.source,
            "shot_output": self.output,
            "shot_whole_source": self.whole_source,
            "shot_whole_output": self.whole_output,
        }

    @classmethod
    def of(cls, arrays: dict[str, NDArray]) -> Shots:
        return cls(
            arrays["shot_times"],
            arrays["shot_source"],
            arrays["shot_output"],
            arrays["shot_whole_source"],
            arrays["shot_whole_output"],
        )


def shot_times(clip: Clip, count: int) -> NDArray[np.int64]:
    """Frames that show most: where the true mouth moves most, or evenly over segments."""
    truth = clip.drive.opening
    span = CLOSE_COUNT * STEP
    if clip.segments or clip.repeats > 1 or count <= span or np.isnan(truth).all():
        return np.linspace(0, count - 1, CLOSE_COUNT).astype(np.int64)
    starts = np.arange(0, len(truth) - span, 5)
    filled = np.where(np.isnan(truth), 0.0, truth)
    best = int(starts[np.argmax([filled[s : s + span].std() for s in starts])])
    return best + STEP * np.arange(CLOSE_COUNT)


def close_up(rgb: Rgb, centre: NDArray[np.float32], side: float) -> Rgb:
    """A square of the picture round `centre`, CLOSE_PX a side."""
    scale = CLOSE_PX / side
    shift = CLOSE_PX / 2 - scale * centre
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    if scale < 0.7:  # warpAffine takes one sample a pixel
        rgb = cv2.GaussianBlur(rgb, (0, 0), 0.4 / scale)
    return cv2.warpAffine(
        rgb, matrix, (CLOSE_PX, CLOSE_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )


def mouth_square(points: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Centre and side of the close-up of a face (478, 2): nose to chin."""
    eyes = float(np.linalg.norm(points[33] - points[263]))
    centre = points[[13, 14, 61, 291]].mean(0) + np.array([0, 0.08 * eyes], np.float32)
    return centre.astype(np.float32), REACH * eyes


def _place(clip: Clip, source: int) -> tuple[NDArray[np.float32], float]:
    """Centre and side of the close-up of a source frame."""
    mouth = clip.source.picture.mouth
    if mouth is not None:
        x, y, width, height = mouth
        return np.array([x + width / 2, y + height / 2], np.float32), DRAWN_REACH * width
    points = clip.source.points[source]
    if np.isnan(points).any():
        height, width = clip.source.picture.frames.shape[1:3]
        return np.array([width / 2, height / 2], np.float32), float(min(height, width))
    return mouth_square(points)


def take_shots(clip: Clip, frames: Rgb, order: NDArray[np.int64]) -> Shots:
    """frames (T, H, W, 3): the output; order: its source frames."""
    times = shot_times(clip, len(frames))
    pictures = clip.source.picture.frames
    places = [_place(clip, int(order[t])) for t in times]
    scale = min(1.0, WHOLE_PX / max(frames.shape[1:3]))
    extent = (round(frames.shape[2] * scale), round(frames.shape[1] * scale))
    three = times[[1, len(times) // 2, -2]]

    def small(picture: Rgb) -> Rgb:
        return cv2.resize(picture, extent, interpolation=cv2.INTER_AREA)

    return Shots(
        times,
        np.stack([close_up(pictures[order[t]], *p) for t, p in zip(times, places, strict=True)]),
        np.stack([close_up(np.asarray(frames[t]), *p) for t, p in zip(times, places, strict=True)]),
        np.stack([small(pictures[order[t]]) for t in three]),
        np.stack([small(np.asarray(frames[t])) for t in three]),
    )
