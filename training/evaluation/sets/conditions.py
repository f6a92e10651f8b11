"""What calls are like: glasses, beards, little and much light, faces of 24 to 400 px, voices that
are clipped, quiet or whispered. Three clips each, on different faces and drives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.drives import Drive
from training.evaluation.clip import Box, Clip, Group, Picture, Source
from training.evaluation.sets.portraits import portrait, read_portrait, swaying
from training.evaluation.sets.whispers import recorded_whispers
from training.evaluation.stock import Plan, Stock
from training.revoice import revoice

HERE = Path(__file__)
EACH = 3
# Of the test portraits. In 738, whose beard hides the mouth, the judge finds no face at times.
PLAIN, LIT = (500, 1207, 1393), (500, 1207, 881)
GLASSES, BEARDS = (759, 651, 1377), (1519, 881, 1099)
CANVAS_PX = (640, 480)
# The judge finds faces of 24 px in no larger picture. True mouths of rendered heads that small it
# reads at r .81 here (.97 at 200 px, .95 of them in little light, .97 in much).
SMALL_PX, SMALL_CANVAS_PX = 24, (256, 192)
HAIRLINE, CHIN = 10, 152
FOUND = 1 / 8  # of the picture's height: smaller faces the detector does not look for


def _exposed(number: int, gain: float, noise: float) -> Picture:
    """The portrait in more or less light, as a sensor of 8 bits and `noise` grey levels sees it."""
    frames, rng = swaying(read_portrait(number), number), np.random.default_rng(number)
    linear = (frames / 255.0) ** 2.2 * gain
    seen = 255 * np.clip(linear, 0, 1) ** (1 / 2.2) + noise * rng.standard_normal(frames.shape)
    return Picture(np.clip(np.round(seen), 0, 255).astype(np.uint8))


def _sized(number: int, face_px: int, points: NDArray[np.float32]) -> Picture:
    """The portrait's face, `face_px` from hairline to chin, amid a camera's picture; with a box
    where the detector does not look for faces so small. points (478, 2): of the portrait.
    """
    width, height = SMALL_CANVAS_PX if face_px <= SMALL_PX else CANVAS_PX
    ends = points[[HAIRLINE, CHIN]]
    scale = face_px / float(np.linalg.norm(ends[0] - ends[1]))
    left, top = np.round(np.array([width, height]) / 2 - scale * ends.mean(0)).astype(int)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    frames = swaying(read_portrait(number), number)
    behind = cv2.GaussianBlur(cv2.resize(frames[0], (width, height)), (0, 0), width / 16)
    out = np.repeat(behind[None], len(frames), 0)
    for shown, frame in zip(out, frames, strict=True):
        sized = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=way)
        here = shown[max(0, top) : top + sized.shape[0], max(0, left) : left + sized.shape[1]]
        here[:] = sized[max(0, -top) :, max(0, -left) :][: here.shape[0], : here.shape[1]]
    return Picture(out, _by_hand(width, height, face_px) if face_px <= FOUND * height else None)


def _by_hand(width: int, height: int, face_px: int) -> Box:
    """Forehead to chin and ear to ear of a face amid the picture."""
    across, down = face_px, 1.15 * face_px
    return (width - across) / 2, (height - down) / 2, across, down


def _scaled(drive: Drive, name: str, gain: float) -> Drive:
    pcm = np.clip(drive.pcm * gain, -32768, 32767).astype(np.int16)
    return replace(drive, name=f"{drive.name}, {name}", pcm=pcm)


def _whispered(drive: Drive) -> Drive:
    pcm = revoice(drive.pcm, np.random.default_rng(0), whisper=1.0)
    return replace(drive, name=f"{drive.name}, whispered", pcm=pcm)


def _pictures(stock: Stock) -> dict[str, Callable[[int], Source]]:
    """The source of clip 0..EACH-1 of each condition of the picture."""

    def lit(name: str, gain: float, noise: float, k: int) -> Source:
        return stock.source(
            f"{name} {LIT[k]}", HERE, partial(_exposed, number=LIT[k], gain=gain, noise=noise)
        )

    def sized(face_px: int, k: int) -> Source:
        number = PLAIN[k]
        still = portrait(stock, number, False)
        return stock.source(
            f"{face_px} px {number}", HERE, lambda: _sized(number, face_px, still.points[0])
        )

    made: dict[str, Callable[[int], Source]] = {
        "glasses": lambda k: portrait(stock, GLASSES[k], True),
        "beard": lambda k: portrait(stock, BEARDS[k], True),
        "dark": partial(lit, "dark", 0.06, 4.0),
        "bright": partial(lit, "bright", 3.0, 1.0),
    }
    return made | {f"face of {px} px": partial(sized, px) for px in (SMALL_PX, 48, 100, 400)}


VOICES: dict[str, Callable[[Drive], Drive]] = {
    "clipped voice": lambda drive: _scaled(drive, "loud", 12.0),
    "quiet voice": lambda drive: _scaled(drive, "quiet", 0.03),
    "whisper": _whispered,
}


def conditions(stock: Stock, plan: Plan) -> list[Clip]:
    """A condition's clips are numbered from 1; the last whisper is recorded, the others are GRID's
    voice without its tone.
    """
    pictures, clips = _pictures(stock), []
    names = [*pictures, *VOICES]
    for c in plan.some(len(names), 0):
        name = names[c]
        for k in range(EACH):
            drive = stock.drive(8000 + c + 100 * k, plan.seconds)
            if name in VOICES:
                source, drive = portrait(stock, PLAIN[k], True), VOICES[name](drive)
            else:
                source = pictures[name](k)
            clips.append(Clip(f"{name} {k + 1}", Group.REALISTIC, source, drive))
    return [_recorded(clip, plan) if clip.name == f"whisper {EACH}" else clip for clip in clips]


def _recorded(clip: Clip, plan: Plan) -> Clip:
    drive, phonemes = recorded_whispers(plan.seconds)
    return replace(clip, drive=drive, phonemes=phonemes, voice="recorded whispers")
