"""What calls are like: glasses, beards, little and much light, faces of 24 to 400 px, voices that
are loud, quiet or whispered. One clip each.
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
from training.evaluation.clip import Clip, Group, Picture, Source
from training.evaluation.sets.portraits import portrait, read_portrait, swaying
from training.evaluation.stock import Plan, Stock
from training.revoice import revoice

HERE = Path(__file__)
Rgb = NDArray[np.uint8]
CANVAS_PX = (640, 480)
FACE_SHARE = 0.42  # of the plain portrait's width, brow to chin
PLAIN = 500


def _exposed(number: int, gain: float, noise: float) -> Picture:
    """The portrait in more or less light, as a sensor of 8 bits and `noise` grey levels sees it."""
    frames, rng = swaying(read_portrait(number), number), np.random.default_rng(number)
    linear = (frames / 255.0) ** 2.2 * gain
    seen = 255 * np.clip(linear, 0, 1) ** (1 / 2.2) + noise * rng.standard_normal(frames.shape)
    return Picture(np.clip(np.round(seen), 0, 255).astype(np.uint8))


def _sized(number: int, face_px: int) -> Picture:
    """The portrait's face of `face_px`, in a camera's picture unless it fills more than that. The
    detector looks for faces of an eighth of the picture's height: smaller ones have a box.
    """
    frames = swaying(read_portrait(number), number)
    scale = face_px / (FACE_SHARE * frames.shape[2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    sized = np.stack([cv2.resize(f, None, fx=scale, fy=scale, interpolation=way) for f in frames])
    side, (width, height) = sized.shape[1], CANVAS_PX
    if side > height:
        return Picture(sized)
    behind = cv2.GaussianBlur(cv2.resize(frames[0], CANVAS_PX), (0, 0), 40)
    out = np.repeat(behind[None], len(sized), 0)
    x, y = (width - side) // 2, (height - side) // 2
    out[:, y : y + side, x : x + side] = sized
    box = (x + 0.25 * side, y + 0.1 * side, 0.5 * side, 0.65 * side)
    return Picture(out, box if face_px < height / 8 else None)


def _scaled(drive: Drive, name: str, gain: float) -> Drive:
    pcm = np.clip(drive.pcm * gain, -32768, 32767).astype(np.int16)
    return replace(drive, name=f"{drive.name}, {name}", pcm=pcm)


def _as_it_is(drive: Drive) -> Drive:
    return drive


def _whispered(drive: Drive) -> Drive:
    pcm = revoice(drive.pcm, np.random.default_rng(0), whisper=1.0)
    return replace(drive, name=f"{drive.name}, whispered", pcm=pcm)


def conditions(stock: Stock, plan: Plan) -> list[Clip]:
    def shown(recipe: str, make: Callable[[], Picture]) -> Source:
        return stock.source(recipe, HERE, make)

    plain = partial(portrait, stock, PLAIN, moves=True)
    pictures: dict[str, Callable[[], Source]] = {
        "glasses": partial(portrait, stock, 759, moves=True),
        "beard": partial(portrait, stock, 1519, moves=True),
        "dark": lambda: shown("dark", partial(_exposed, PLAIN, 0.06, 4.0)),
        "bright": lambda: shown("bright", partial(_exposed, PLAIN, 3.0, 1.0)),
    }
    for px in (24, 48, 100, 400):
        pictures[f"face of {px} px"] = partial(shown, f"{px} px", partial(_sized, PLAIN, px))
    voices: dict[str, Callable[[Drive], Drive]] = {
        "loud voice, clipped": lambda d: _scaled(d, "loud", 12.0),
        "quiet voice": lambda d: _scaled(d, "quiet", 0.03),
        "whispered": _whispered,
    }
    names, clips = [*pictures, *voices], []
    for k in plan.some(len(names), 0):
        name, drive = names[k], stock.drive(8000 + k, plan.seconds)
        source = pictures.get(name, plain)()
        clips.append(Clip(name, Group.REALISTIC, source, voices.get(name, _as_it_is)(drive)))
    return clips
