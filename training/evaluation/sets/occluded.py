"""Rendered heads and portraits with a hand or a microphone before part of the mouth, drifting."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.align import STABLE_INDICES, fit_similarity
from training.evaluation.clip import Clip, Group, Picture, Source
from training.evaluation.judged_covers import JudgedCover
from training.evaluation.sets.portraits import portrait
from training.evaluation.sets.rendered import FIRST_SEED, head_source
from training.evaluation.stock import Plan, Stock

HERE = Path(__file__)
# Kind, cover's seed and face, a head's seed or a portrait's number. The third and the sixth cover
# the lips throughout: only their pixels are judged. Of the last four lips are to show: theirs are
# the first seeds from 6 on that leave .7 of the lips free in nine frames of ten (as much as is
# judged) and cover .05 in half of them.
THINGS = (
    *(("hand", 0, FIRST_SEED), ("microphone", 1, FIRST_SEED + 1)),
    *(("hand", 2, FIRST_SEED + 2), ("microphone", 3, FIRST_SEED + 3)),
    *(("hand", 4, 1056), ("microphone", 5, 1487)),
    *(("hand", 7, FIRST_SEED + 4), ("microphone", 7, FIRST_SEED + 5)),
    *(("hand", 6, 1393), ("microphone", 10, 881)),
)


def _before(
    frame: NDArray[np.uint8], field: NDArray[np.float32], matrix: NDArray[np.float64]
) -> NDArray[np.float32]:
    height, width = frame.shape[:2]
    return cv2.warpAffine(field, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def covered(bare: Source, kind: str, seed: int) -> Picture:
    """The source with one thing before it that moves slowly and by itself."""
    frames, points = bare.picture.frames, bare.points
    transform = fit_similarity(np.nanmedian(points[:, list(STABLE_INDICES)], axis=0))
    side = round(transform.side_px)
    corner = np.linalg.inv(np.vstack([transform.matrix(side), [0, 0, 1]]))[:2, 2]
    skin = np.nanmedian(points[:, 50], axis=0).astype(int)  # a cheek
    colour = tuple(float(v) for v in frames[0][skin[1], skin[0]])
    thing = JudgedCover.sample(np.random.default_rng([seed, 11]), side, kind, colour)  # type: ignore[arg-type]
    out, covers = [], []
    for t, frame in enumerate(frames):
        shift = corner + side * np.array(thing.at(t))
        matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
        cover = np.clip(_before(frame, thing.layer.cover, matrix), 0, 1)
        colours = _before(frame, thing.layer.colour, matrix)
        mixed = frame * (1 - cover[..., None]) + colours * cover[..., None]
        out.append(np.clip(mixed, 0, 255).astype(np.uint8))
        covers.append(np.round(255 * cover).astype(np.uint8))
    return Picture(np.stack(out), cover=np.stack(covers), bare=frames)


def occluded(stock: Stock, plan: Plan) -> list[Clip]:
    clips = []
    for k in plan.some(len(THINGS), 2):
        kind, seed, face = THINGS[k]
        bare = head_source(stock, face, None) if face >= FIRST_SEED else portrait(stock, face, True)
        recipe = f"{kind} {seed} {bare.key}"
        source = stock.source(recipe, HERE, partial(covered, bare, kind, seed))
        drive = stock.drive(5000 + k, plan.seconds)
        clips.append(Clip(f"{kind} {k + 1}", Group.ATYPICAL, source, drive))
    return clips
