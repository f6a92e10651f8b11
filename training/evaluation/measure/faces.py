"""Geometry of labelled faces: the mouth's box, lips against true lips, where a mouth shows."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.lip_pose import LIPS_INNER, LIPS_OUTER, align_points

Points = NDArray[np.float32]
Box = tuple[int, int, int, int]
GROW = 0.2  # of the mouth's width on each side
HIDDEN = 0.3  # share of the lips under something from which their opening is not judged


def lips_box(points: Points, height: int, width: int) -> Box | None:
    """Left, top, right, bottom of the mouth of one face (478, 2), or None without a face."""
    lips = points[list(LIPS_OUTER)]
    if np.isnan(lips).any():
        return None
    (left, top), (right, bottom) = lips.min(0), lips.max(0)
    edge = GROW * (right - left)
    return (
        int(np.clip(left - edge, 0, width - 2)),
        int(np.clip(top - edge, 0, height - 2)),
        int(np.clip(right + edge + 1, 1, width)),
        int(np.clip(bottom + edge + 1, 1, height)),
    )


def lip_distance(output: Points, truth: Points) -> float:
    """Mean distance of the lips' landmarks (T, 478, 2) after similarity alignment, in eye-centre
    distances; NaN where no frame has both.
    """
    known = ~(np.isnan(output).any((1, 2)) | np.isnan(truth).any((1, 2)))
    if not known.any():
        return float("nan")
    lips = [*LIPS_OUTER, *LIPS_INNER]
    a, b = align_points(output[known])[:, lips], align_points(truth[known])[:, lips]
    return float(np.linalg.norm(a - b, axis=-1).mean())


GAPS = ((13, 14), (81, 178), (311, 402), (0, 17), (61, 291), (78, 308))
HEIGHTS = (0, 17)


def lip_features(points: Points) -> NDArray[np.float64]:
    """Shape of the mouth, (T, 8) of points (T, 478, 2): inner gap in the middle, left and right,
    outer height, widths, heights of the upper and lower lip; in eye-centre distances, NaN without a
    face.
    """
    features = np.full((len(points), len(GAPS) + len(HEIGHTS)), np.nan)
    known = ~np.isnan(points).any((1, 2))
    if known.any():
        at = align_points(points[known])
        gaps = [np.linalg.norm(at[:, a] - at[:, b], axis=-1) for a, b in GAPS]
        features[known] = np.stack([*gaps, *(at[:, k, 1] for k in HEIGHTS)], 1)
    return features


def hidden_share(points: Points, cover: NDArray[np.uint8]) -> float:
    """Share of the mouth of one face (478, 2) that `cover` (H, W) hides; 1 without a face."""
    lips = points[list(LIPS_OUTER)]
    if np.isnan(lips).any():
        return 1.0
    inside = np.zeros(cover.shape, np.uint8)
    cv2.fillPoly(inside, [np.round(lips).astype(np.int32)], 1)
    return float(cover[inside > 0].mean() / 255) if inside.any() else 1.0


def mouth_region(points: Points, height: int, width: int) -> NDArray[np.bool_]:
    """(H, W): the circle round the mouth in which an edit may be expected."""
    lips = points[list(LIPS_OUTER)]
    disc = np.zeros((height, width), np.uint8)
    if not np.isnan(lips).any():
        reach = float(np.ptp(lips[:, 0]))
        centre = np.round(lips.mean(0)).astype(int)
        cv2.circle(disc, (int(centre[0]), int(centre[1])), round(reach), 1, -1)
    return disc > 0
