"""Drawn faces that talk: illustrations, avatars, cartoons and animals from a seed, their mouths led
by GRID's lip poses; shards of the same form as driven portraits.

Where no face is found people drag a box over it, and are not exact: half of the crops are placed as
such a box places them, the others as landmarks would.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import lru_cache, partial
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.align import SPAN, TOP, Similarity, similarity_from_box
from training.augment import Look, smooth_drift
from training.drawing.face import Face
from training.drawing.mouth import Articulation, Mouth, articulations
from training.drawing.sheet import Field, Sheet
from training.grid import CROP_PX
from training.lip_pose import PoseBasis
from training.occluders import Occluder
from training.portraits import CANVAS_PX, LENGTH, MARGIN, TRACKS
from training.sound import grid_names
from training.splits import HeldOutError, held_out
from training.window_config import FRAMES_USED

FINER = 2  # drawn so many times larger than shown
BY_BOX = 0.6  # share of faces placed by a box
INEXACT = 0.1  # how far a box by hand is off, shares of its size
SIZES = (0.65, 1.2)  # of boxes, shares of the head: round the features alone, or hair and all
EYES_TO_MOUTH = 1.13  # of a human face, eye-centre distances
WITHIN = (0.32, 0.72)  # where a crop may show the mouth's middle, from its upper edge
COVERED = 0.08  # share of faces with something before the mouth
FIRST_TEST = 1_000_000  # seeds from here on are not for training


def placed(face: Face, rng: np.random.Generator) -> Similarity:
    """Drawing units to crop units, with the mouth where the model may edit it."""
    while True:
        if rng.random() < BY_BOX:
            ears = 0.1 if face.ears == "round" else 0.0
            width, height = 2 * (face.half_width + ears), face.top + face.chin
            dx, dy = rng.normal(0, INEXACT / 2, 2) * (width, height)
            grown = np.exp(rng.normal(0, INEXACT / 2, 2) + rng.uniform(*np.log(SIZES)))
            w, h = (width, height) * grown
            box = (dx - w / 2, dy + (face.chin - face.top) / 2 - h / 2, w, h)
            found = similarity_from_box(box)
        else:
            unit = face.mouth_y / EYES_TO_MOUTH * np.exp(rng.normal(0, INEXACT / 2))
            eyes = max(unit, 2 * face.eye_x * 0.8)
            scale = 1 / (SPAN * eyes)
            shift = rng.normal(0, INEXACT / 4, 2)
            found = Similarity(scale, 0.0, 0.5 + shift[0], scale * -TOP * eyes + shift[1])
        x, y = found.apply(np.array([[0.0, face.mouth_y]], np.float32))[0]
        if abs(x - 0.5) < 0.12 and WITHIN[0] < y < WITHIN[1]:
            return found


def blank(face: Similarity) -> Sheet:
    """A sheet for the canvas of `training.augment.Look`, FINER times as large."""
    size, scale = CANVAS_PX * FINER, face.scale * CROP_PX * FINER
    origin = tuple((np.array([face.tx, face.ty]) * CROP_PX + MARGIN) * FINER - 0.5)
    return Sheet(np.zeros((size, size, 3), np.uint8), scale, origin)


def jaw_field(face: Face, sheet: Sheet) -> Field:
    """How much of the lower lip's way each pixel goes down, float32 (S, S) 0..1: the chin and what
    hangs on it.
    """
    size = sheet.pixels.shape[0]
    at = (np.arange(size, dtype=np.float32) - sheet.origin[1]) / sheet.scale
    down = np.interp(at, [face.mouth_y, face.chin, face.chin + 0.1, face.chin + 0.8], [0, 1, 1, 0])
    x = (np.arange(size, dtype=np.float32) - sheet.origin[0]) / sheet.scale / face.half_width
    across = np.clip(2.5 - 2 * np.abs(x), 0, 1)
    return (down[:, None] * across).astype(np.float32)


def paper(rng: np.random.Generator, size: int) -> Field:
    """What the ground adds, a factor (size, size, 1) about 1: nothing, paper, canvas, grain."""
    kind = rng.choice(["none", "paper", "weave", "strokes"], p=(0.6, 0.2, 0.1, 0.1))
    if kind == "none":
        return np.ones((size, size, 1), np.float32)
    noise = rng.normal(0, 1, (size, size)).astype(np.float32)
    if kind == "paper":
        field = cv2.GaussianBlur(noise, (0, 0), float(rng.uniform(0.6, 2.5)))
    elif kind == "strokes":
        field = cv2.GaussianBlur(noise, (0, 0), sigmaX=4.0, sigmaY=0.7)
    else:
        y, x = np.mgrid[0:size, 0:size]
        field = (np.sin(2 * np.pi * x / 4) + np.sin(2 * np.pi * y / 4)).astype(np.float32)
    return (1 + rng.uniform(0.01, 0.04) * field / field.std())[..., None].astype(np.float32)


def _look(rng: np.random.Generator) -> Look:
    """Drawings are files more often than they are filmed."""
    look = Look.sample(rng, mild=True)
    if rng.random() < 0.2:
        return look
    return replace(look, noise=0.0, shade=(0.0, 0.0), gamma=1.0, blur=look.blur * 0.7)


def drawn_tracks(seed: int, tracks: list[list[Articulation]]) -> tuple[NDArray[np.uint8], bool]:
    """The face of a seed speaks each track of lips over one head motion: crops
    (K, T, CROP_PX, CROP_PX, 3), and whether something stands before it.
    """
    rng = np.random.default_rng([seed, 5])
    face = Face.sample(rng)
    room = face.width_at(face.mouth_y)
    mouth = Mouth.sample(rng, 0.0, face.mouth_y, room, face.skin, face.ink)
    if face.mascot:
        mouth = mouth.as_mascots(rng, room)
    sheet = blank(placed(face, rng))
    stills = []
    for blink in (False, True):
        face.draw(sheet, blink)
        stills.append(sheet.pixels.copy())
    jaw = rng.uniform(0.4, 1.0) if rng.random() < 0.35 else 0.0
    hanging = jaw_field(face, sheet)
    size = sheet.pixels.shape[0]
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    length = len(tracks[0])
    blinks = set(rng.integers(0, length, 2).tolist())
    ground, look = paper(rng, CANVAS_PX), _look(rng)
    drift = smooth_drift(length, rng, 0.012)
    if rng.random() < 0.3:
        drift[:] = drift[:1]  # a still picture
    cover = Occluder.sample(rng, CANVAS_PX) if rng.random() < COVERED else None
    out = []
    for track in tracks:
        canvas = np.empty((length, CANVAS_PX, CANVAS_PX, 3), np.uint8)
        for t, lips in enumerate(track):
            still = stills[t in blinks or t - 1 in blinks]
            fall = jaw * mouth.drop(lips) * sheet.scale
            if fall > 0:
                still = cv2.remap(
                    still, x, y - fall * hanging, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
                )
            sheet.pixels[:] = still
            mouth.draw(sheet, lips)
            small = cv2.resize(sheet.pixels, (CANVAS_PX, CANVAS_PX), interpolation=cv2.INTER_AREA)
            canvas[t] = np.clip(small * ground, 0, 255)
        if cover is not None:
            canvas, _ = cover.paint(canvas)
        out.append(look.apply(canvas, drift, CROP_PX, rng))
    return np.stack(out), cover is not None


@lru_cache(1)
def _poses(folder: Path) -> tuple[PoseBasis, dict[str, NDArray[np.float32]]]:
    """The basis, and the poses (T, COMPONENTS) of GRID's training sentences."""
    with np.load(folder / "sound.npz") as stored:
        poses = {n: stored[f"pose/{n}"] for n in grid_names("train") if f"pose/{n}" in stored}
    return PoseBasis.load(folder / "pose_basis.npz"), poses


def build(seed: int, folder: Path, kind: str = "drawn") -> bool:
    """Write one face's shard of a kind, "drawn" or "sketches": frames (TRACKS, T, S, S, 3), clip
    names and start frames.

    Raises:
        HeldOutError: the seed is not for training.
    """
    if seed >= FIRST_TEST:
        raise HeldOutError(f"drawn face {seed} is a test face; training draws below {FIRST_TEST}")
    length = LENGTH if kind == "drawn" else FRAMES_USED[kind]
    target = folder / kind / f"drawn_{seed:05d}.npz"
    if target.exists():
        return False
    basis, poses = _poses(folder)
    rng = np.random.default_rng([seed, 4])
    names = sorted(poses.keys() - held_out("grid_s1"))
    clips = [names[i] for i in rng.choice(len(names), TRACKS, replace=False)]
    starts = [int(rng.integers(0, len(poses[c]) - length + 1)) for c in clips]
    spoken = [poses[c][s : s + length] for c, s in zip(clips, starts, strict=True)]
    frames, covered = drawn_tracks(seed, [articulations(basis, pose) for pose in spoken])
    part = target.with_suffix(".part.npz")
    np.savez(part, frames=frames, clips=np.array(clips), starts=np.array(starts), covered=covered)
    part.rename(target)
    return True


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output", type=Path, required=True, help="folder with sound.npz of the grid stage"
    )
    parser.add_argument("--faces", type=int, default=250)
    parser.add_argument(
        "--sketches",
        action="store_true",
        help=f"{FRAMES_USED['sketches']} frames of each mouth track instead of {LENGTH}",
    )
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args(argv)
    kind = "sketches" if args.sketches else "drawn"
    (args.output / kind).mkdir(parents=True, exist_ok=True)
    seeds = range(args.first_seed, args.first_seed + args.faces)
    try:
        with Pool(args.jobs) as pool:
            one = partial(build, folder=args.output, kind=kind)
            made = sum(pool.imap_unordered(one, seeds, chunksize=4))
    except (FileNotFoundError, HeldOutError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(f"{made} drawn faces made, {args.faces - made} were there")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
