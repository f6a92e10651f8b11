"""Portraits made to talk: landmark motion of a GRID sentence moves a portrait's face mesh; the
mouth's inside comes from the
sentence's own frames. Several sentences on one portrait and one head motion are exact pairs, as
MEAD is for OmniSync.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.face.align import STABLE_INDICES, Similarity, fit_similarity, warp_crop
from training.augment import Look, smooth_drift
from training.grid import CROP_PX, Clip, load_clip, smooth_stable
from training.landmarker import canonical_mesh
from training.lip_pose import LIPS_INNER, opening
from training.mouth_inside import (
    Palette,
    cover_and_shade,
    palette_of,
    recoloured,
    teeth_light,
)
from training.occluders import Occluder
from training.splits import data_dir, held_out, refuse_held_out
from training.window_config import FRAMES_USED

MARGIN = CROP_PX * 3 // 16  # canvas pixels around the crop, so that drift has something to show
CANVAS_PX = CROP_PX + 2 * MARGIN
TRACKS, LENGTH = 3, FRAMES_USED["portraits"]
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
UPPER_INNER = (191, 80, 81, 82, 13, 312, 311, 310, 415)  # inner lips, left to right
LOWER_INNER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
SHARPEN = 0.8  # of the mouth's inside
WITHIN = 0.9  # share of GRID's inner lip that is taken: its rim is lip
WIDER = 1.15  # than the inner lips is what fills them, for a soft edge
UPPER_SHARE = 0.3  # of an opening that the upper lip makes
# Share of shards in which something hides part of the mouth.
COVERED = {"portraits": 0.15, "moments": 0.35}
OTHERS = 0.025, 5  # how far another face's features lie from the portrait's, crop units, and knots
RING_GROWTH = 1.35  # a still ring outside the face keeps the background in place


@lru_cache(1)
def mesh_triangles() -> NDArray[np.int32]:
    """Canonical face mesh (F, 3) plus the triangles between the face oval and the still ring around
    it.
    """
    n = len(OVAL)
    ring = [[OVAL[i], OVAL[(i + 1) % n], 468 + i] for i in range(n)]
    ring += [[OVAL[(i + 1) % n], 468 + (i + 1) % n, 468 + i] for i in range(n)]
    return np.concatenate([canonical_mesh(), np.array(ring, np.int32)])


@njit(cache=True)
def _raster(out, image, to, at, triangles):  # type: ignore[no-untyped-def]
    """Piecewise-affine warp: every triangle of `to` (output) is filled from the triangle `at`
    (image), bilinear.
    """
    height, width = out.shape[0], out.shape[1]
    h, w = image.shape[0], image.shape[1]
    for k in range(triangles.shape[0]):
        a, b, c = triangles[k, 0], triangles[k, 1], triangles[k, 2]
        x0, y0, x1, y1, x2, y2 = to[a, 0], to[a, 1], to[b, 0], to[b, 1], to[c, 0], to[c, 1]
        area = (y1 - y2) * (x0 - x2) + (x2 - x1) * (y0 - y2)
        if abs(area) < 1e-6:
            continue
        left, right = (
            max(0, int(np.floor(min(x0, x1, x2)))),
            min(width - 1, int(np.ceil(max(x0, x1, x2)))),
        )
        top, bottom = (
            max(0, int(np.floor(min(y0, y1, y2)))),
            min(height - 1, int(np.ceil(max(y0, y1, y2)))),
        )
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                u = ((y1 - y2) * (x - x2) + (x2 - x1) * (y - y2)) / area
                v = ((y2 - y0) * (x - x2) + (x0 - x2) * (y - y2)) / area
                s = 1 - u - v
                if u < -1e-3 or v < -1e-3 or s < -1e-3:
                    continue
                sx = min(max(u * at[a, 0] + v * at[b, 0] + s * at[c, 0], 0.0), w - 1.001)
                sy = min(max(u * at[a, 1] + v * at[b, 1] + s * at[c, 1], 0.0), h - 1.001)
                i, j = int(sx), int(sy)
                fx, fy = sx - i, sy - j
                for ch in range(3):
                    upper = image[j, i, ch] * (1 - fx) + image[j, i + 1, ch] * fx
                    lower = image[j + 1, i, ch] * (1 - fx) + image[j + 1, i + 1, ch] * fx
                    out[y, x, ch] = upper * (1 - fy) + lower * fy


_FAN = np.array([[i, (i + 1) % 20, 20] for i in range(20)], np.int32)


@dataclass(frozen=True)
class Portrait:
    """A still face on the canvas: image float32 (CANVAS_PX, CANVAS_PX, 3), points (478, 2) canvas
    px, where they would lie with the mouth closed, and the colours of its mouth's inside.
    """

    image: NDArray[np.float32]
    points: NDArray[np.float32]
    closed: NDArray[np.float32]
    inside: Palette


@dataclass(frozen=True)
class Driver:
    """A talking clip on the canvas: frames (T, CANVAS_PX, CANVAS_PX, 3), points (T, 478, 2), its
    closed mouth (478, 2), and its teeth's luma, 0..255.
    """

    frames: NDArray[np.uint8]
    points: NDArray[np.float32]
    closed: NDArray[np.float32]
    teeth: float


def _on_canvas(transform: Similarity) -> Similarity:
    """The same alignment with the crop in the middle of the canvas."""
    k = CROP_PX / CANVAS_PX
    shift = MARGIN / CANVAS_PX
    return Similarity(
        transform.a * k, transform.b * k, transform.tx * k + shift, transform.ty * k + shift
    )


def driver_of(clip: Clip) -> Driver:
    stable = smooth_stable(clip.points)
    transforms = [_on_canvas(fit_similarity(s)) for s in stable]
    frames = np.stack(
        [warp_crop(f, t, CANVAS_PX) for f, t in zip(clip.frames, transforms, strict=True)]
    )
    # The clip is softer than a portrait: teeth need an edge.
    soft = np.stack([cv2.GaussianBlur(f, (0, 0), CROP_PX / 90) for f in frames])
    frames = cv2.addWeighted(frames, 1 + SHARPEN, soft, -SHARPEN, 0)
    placed = [t.apply(p) for p, t in zip(clip.points, transforms, strict=True)]
    points = np.stack(placed) * CANVAS_PX
    closed = points[np.argsort(opening(points))[:5]].mean(0)
    points = points.astype(np.float32)
    return Driver(frames, points, closed, teeth_light(frames, points))


def with_closed_mouth(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Landmarks (478, 2) of a smile or a half-open mouth, moved to where its closed mouth would
    put them: the inner lips meet, chin and cheeks follow less the further away they are.
    """
    upper, lower = points[list(UPPER_INNER)], points[list(LOWER_INNER)]
    order = np.argsort(upper[:, 0])
    gap = np.maximum(lower[:, 1] - upper[:, 1], 0)[order]
    x = points[:, 0]
    here = np.interp(x, upper[order, 0], gap, left=0, right=0)
    width = np.linalg.norm(points[61] - points[291])
    line = np.interp(x, upper[order, 0], (upper[order, 1] + lower[order, 1]) / 2)
    above, below = line - here / 2 - points[:, 1], points[:, 1] - line - here / 2
    moved = points.copy()
    moved[:, 1] += np.where(
        points[:, 1] < line,
        UPPER_SHARE * here * np.exp(-np.maximum(above, 0) / (0.3 * width)),
        -(1 - UPPER_SHARE) * here * np.exp(-np.maximum(below, 0) / width),
    )
    return moved


def load_portrait(path: Path, labels: Path, largest_opening: float = 0.2) -> Portrait | None:
    """A portrait, aligned; None where there is no face, it is small, or its mouth is wide open."""
    points = np.load(labels / "portraits" / f"{path.stem}.npz")["points"][0]
    if np.isnan(points).any() or opening(points) > largest_opening:
        return None
    transform = fit_similarity(points[list(STABLE_INDICES)])
    if transform.side_px < CROP_PX * 0.6:
        return None
    canvas = _on_canvas(transform)
    rgb = np.asarray(cv2.imread(str(path)))[:, :, ::-1]
    image = warp_crop(np.ascontiguousarray(rgb), canvas, CANVAS_PX).astype(np.float32)
    placed = canvas.apply(points) * CANVAS_PX
    return Portrait(image, placed, with_closed_mouth(placed), palette_of(image, placed))


def as_another(portrait: Portrait, rng: np.random.Generator) -> Portrait:
    """The portrait with a face of other proportions: a smooth warp of picture and points."""
    amount, knots = OTHERS
    size = len(portrait.image)
    grid = rng.normal(0, amount * CROP_PX, (knots, knots, 2)).astype(np.float32)
    shift = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    image = cv2.remap(
        portrait.image, x + shift[..., 0], y + shift[..., 1], cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip

    def moved(points: NDArray[np.float32]) -> NDArray[np.float32]:
        # The picture looks up at x + shift(x): points go the other way, found by iteration.
        out = points.copy()
        for _ in range(8):
            at = np.clip(np.round(out).astype(int), 0, size - 1)
            out = points - shift[at[:, 1], at[:, 0]]
        return out

    return Portrait(image, moved(portrait.points), moved(portrait.closed), portrait.inside)


def _follow(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far each landmark follows the driver: 0 at the eyes, 1 from the base of the nose down."""
    eyes = (points[33, 1] + points[263, 1]) / 2
    start = (eyes + points[2, 1]) / 2
    return np.clip((points[:, 1] - start) / (points[2, 1] - start + 1e-6), 0, 1)[:, None]


def drive(
    portrait: Portrait, driver: Driver, t: int, inside_tint: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """The portrait with the mouth of frame `t` of `driver`, uint8 canvas. `inside_tint` (3,) scales
    the mouth's inside.
    """
    p, now, closed = portrait.closed, driver.points[t], driver.closed
    wide = np.linalg.norm(p[61] - p[291]) / np.linalg.norm(closed[61] - closed[291])
    tall = (p[152, 1] - p[2, 1]) / max(1.0, closed[152, 1] - closed[2, 1])
    moved = now - closed
    moved = (moved - moved[list(STABLE_INDICES)].mean(0)) * np.array([wide, tall], np.float32)
    to = p + moved * _follow(p)
    centre = p[list(OVAL)].mean(0)
    ring = centre + (p[list(OVAL)] - centre) * RING_GROWTH
    out = portrait.image.copy()
    _raster(
        out,
        portrait.image,
        np.concatenate([to[:468], ring]).astype(np.float64),
        np.concatenate([portrait.points[:468], ring]).astype(np.float64),
        mesh_triangles(),
    )
    inner = to[list(LIPS_INNER)]
    if np.linalg.norm(to[13] - to[14]) > 0.8:
        source = now[list(LIPS_INNER)]
        source = source.mean(0) + WITHIN * (source - source.mean(0))
        wider = inner.mean(0) + (inner - inner.mean(0)) * WIDER
        mouth = recoloured(driver.frames[t].astype(np.float32), driver.teeth, portrait.inside)
        filled = out.copy()
        _raster(
            filled,
            np.clip(mouth * inside_tint, 0, 255),
            np.concatenate([wider, wider.mean(0)[None]]).astype(np.float64),
            np.concatenate([source, source.mean(0)[None]]).astype(np.float64),
            _FAN,
        )
        share, shade = cover_and_shade(inner, CANVAS_PX)
        out = out * (1 - share) + filled * shade * share
    return np.clip(out, 0, 255).astype(np.uint8)


_drivers: dict[str, Driver] = {}


def _driver(name: str, labels: Path) -> Driver | None:
    if name not in _drivers:
        clip = load_clip(name, labels)
        if clip is None:
            return None
        if len(_drivers) > 60:
            _drivers.clear()
        _drivers[name] = driver_of(clip)
    return _drivers[name]


def talk(
    job: tuple[Path, int], labels: Path, output: Path, names: list[str], kind: str = "portraits"
) -> bool:
    """Write one portrait's shard into `output`: frames (TRACKS, T, S, S, 3), clip names and start
    frames. Of "moments", every variant but the first is a face of other proportions.
    """
    path, variant = job
    target = output / f"{path.stem}_{variant}.npz"
    if target.exists():
        return True
    portrait = load_portrait(path, labels)
    if portrait is None:
        return False
    seed = int(path.stem.split("_")[1]) * 100 + variant
    moment, length = kind == "moments", FRAMES_USED[kind]
    rng = np.random.default_rng([seed, 6] if moment else seed)
    if moment and variant:
        portrait = as_another(portrait, rng)
    # A few clips serve a run of portraits: decoding a clip costs more than driving with it.
    run = seed // (6000 if moment else 600)
    pool = [names[i] for i in np.random.default_rng(run).integers(0, len(names), 40)]
    look, drift = Look.sample(rng), smooth_drift(length, rng)
    tint = np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.02, 3)).astype(np.float32)
    cover = None
    if rng.random() < COVERED[kind]:
        skin = portrait.image[CANVAS_PX // 3 : CANVAS_PX // 2, CANVAS_PX // 3 : -CANVAS_PX // 3]
        tone = tuple(skin.mean((0, 1)).tolist())
        cover = Occluder.sample(rng, CANVAS_PX, skin=tone, lively=moment)
    tracks: list[NDArray[np.uint8]] = []
    clips: list[str] = []
    starts: list[int] = []
    while len(tracks) < TRACKS:
        name = pool[int(rng.integers(len(pool)))]
        driver = _driver(name, labels)
        if driver is None:
            continue
        start = int(rng.integers(0, len(driver.frames) - length))
        canvas = np.stack([drive(portrait, driver, start + t, tint) for t in range(length)])
        if cover is not None:
            canvas, _ = cover.paint(canvas)
        tracks.append(look.apply(canvas, drift, CROP_PX, rng))
        clips.append(name)
        starts.append(start)
    partial_path = output / f"{path.stem}_{variant}.part.npz"
    np.savez(
        partial_path,
        frames=np.stack(tracks),
        clips=np.array(clips),
        starts=np.array(starts),
        covered=cover is not None,
    )
    partial_path.rename(target)
    return True


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--variants", type=int, nargs=2, default=(0, 3), help="first and last+1")
    parser.add_argument(
        "--moments",
        action="store_true",
        help=f"{FRAMES_USED['moments']} frames of each mouth track instead of {LENGTH}, other "
        "proportions, more things before the mouth",
    )
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args(argv)
    kind = "moments" if args.moments else "portraits"
    shards = args.output / kind
    shards.mkdir(parents=True, exist_ok=True)
    hidden, hidden_clips = held_out("portraits"), held_out("grid_s1")
    folder = data_dir()
    paths = [p for p in sorted((folder / "portraits").glob("*.jpg")) if p.name not in hidden]
    refuse_held_out(paths)
    names = [
        p.stem for p in sorted((folder / "grid_s1").glob("*.mp4")) if p.stem not in hidden_clips
    ]
    # Moments of one portrait together: its clips are decoded once.
    jobs = [(p, v) for v in range(*args.variants) for p in paths]
    if args.moments:
        jobs.sort()
    with Pool(args.jobs) as pool:
        work = partial(talk, labels=args.labels, output=shards, names=names, kind=kind)
        kept = sum(pool.imap_unordered(work, jobs, chunksize=6))
    print(f"{kept} of {len(jobs)} portrait shards")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
