"""Your own clips: each gets a voice it never had."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from engine.audio import FPS
from engine.face.align import MOUTH_CENTRE, similarity_from_box
from engine.media import Picture as Film
from training.evaluation.clip import Box, Clip, Judge, Picture, Source
from training.evaluation.own_clips import LONGEST_S, OwnClip
from training.evaluation.stock import Plan, Stock, shrunk

HERE = Path(__file__)
SEEN = 0.5  # share of frames with landmarks below which a face in a box is judged as a drawing
# Of a drawn mouth, what is judged: with skin all round it, which says what is not mouth.
DRAWN_WIDTH, DRAWN_UP, DRAWN_DOWN = 1.8, 0.5, 0.7  # in eye distances
BOX_EYES = 2.95  # of them in a box's height


def clips(stock: Stock, plan: Plan) -> list[Clip]:
    """Raises LabellingError."""
    sources = [_source(stock, own) for own in plan.own]
    return [
        _clip(own, source, stock, plan, k)
        for k, (own, source) in enumerate(zip(plan.own, sources, strict=True))
    ]


def _source(stock: Stock, own: OwnClip) -> Source:
    facts = own.path.stat()
    recipe = f"{own.path.resolve()} {facts.st_size} {facts.st_mtime_ns} {own.face_box}"
    return stock.source(recipe, HERE, partial(_picture, own))


def _picture(own: OwnClip) -> Picture:
    """The clip's first LONGEST_S at 25 frames a second, by time."""
    film = Film(own.path)
    frames = np.stack([shrunk(rgb[None])[0] for rgb in islice(film.once(), LONGEST_S * FPS)])
    if own.face_box is None:
        return Picture(frames)
    scale = frames.shape[2] / film.look.width
    x, y, width, height = (float(round(scale * value)) for value in own.face_box)
    return Picture(frames, face_box=(x, y, width, height))


def _clip(own: OwnClip, source: Source, stock: Stock, plan: Plan, number: int) -> Clip:
    drive, judge = own.drive or stock.drive(9000 + number, plan.seconds), Judge.LANDMARKS
    box = source.picture.face_box
    if box is not None and _seen(source) < SEEN:
        source = replace(source, picture=replace(source.picture, mouth=drawn_mouth(box)))
        judge = Judge.DRAWN
    return Clip(own.name, own.group, source, drive, judge)


def _seen(source: Source) -> float:
    """Share of the frames in which FaceLandmarker finds a face."""
    return 1.0 - float(np.isnan(source.points[:, 0, 0]).mean())


def drawn_mouth(face: Box) -> Box:
    """Box of a drawing's mouth, by the one round its face: where the engine takes it to be."""
    crop, eyes = similarity_from_box(face), face[3] / BOX_EYES
    x, y = (
        (at - shift) * crop.side_px
        for at, shift in zip(MOUTH_CENTRE, (crop.tx, crop.ty), strict=True)
    )
    width, height = DRAWN_WIDTH * eyes, (DRAWN_UP + DRAWN_DOWN) * eyes
    return x - width / 2, y - DRAWN_UP * eyes, width, height


def unseen(made: list[Clip]) -> list[str]:
    """Names of the clips without a box in which the judge finds no face at all."""
    return [c.name for c in made if c.judge is Judge.LANDMARKS and not _seen(c.source)]


def notes(made: list[Clip]) -> dict[str, str]:
    """What a reader of the report has to know of these clips."""
    told = {
        "no true mouth: r, leak, amplitude and offset are against the opening that the model hears,"
        " which tells nothing about whether it hears right:": [
            c.name for c in made if c.drive.heard
        ],
        "judged as drawings, by the mouth's colour:": [
            c.name for c in made if c.judge is Judge.DRAWN
        ],
        "no face found:": unseen(made),
    }
    return {
        words: "all clips" if len(names) == len(made) else ", ".join(names)
        for words, names in told.items()
        if names
    }
