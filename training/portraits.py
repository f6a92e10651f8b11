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
from training.lip_pose import LIPS_INNER, opening
from training.splits import data_dir, held_out, refuse_held_out

MARGIN = 24  # canvas pixels around the crop, so that drift has something to show
CANVAS_PX = CROP_PX + 2 * MARGIN
TRACKS, LENGTH = 3, 30
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
RING_GROWTH = 1.35  # a still ring outside the face keeps the background in place


@lru_cache(1)
def mesh_triangles() -> NDArray[np.int32]:
    """Canonical face mesh (F, 3) plus the triangles between the face oval and the still ring around
    it.
    """
    faces = [
        [int(v.split("/")[0]) - 1 for v in line.split()[1:4]]
        for line in (data_dir() / "heads" / "mediapipe_canonical_face_model.obj").open()
        if line.startswith("f ")
    ]
    n = len(OVAL)
    ring = [[OVAL[i], OVAL[(i + 1) % n], 468 + i] for i in range(n)]
    ring += [[OVAL[(i + 1) % n], 468 + (i + 1) % n, 468 + i] for i in range(n)]
    return np.array(faces + ring, np.int32)


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
    px, mouth closed.
    """

    image: NDArray[np.float32]
    points: NDArray[np.float32]


@dataclass(frozen=True)
class Driver:
    """A talking clip on the canvas: frames (T, CANVAS_PX, CANVAS_PX, 3), points (T, 478, 2), its
    closed mouth (478, 2).
    """

    frames: NDArray[np.uint8]
    points: NDArray[np.float32]
    closed: NDArray[np.float32]


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
    placed = [t.apply(p) for p, t in zip(clip.points, transforms, strict=True)]
    points = np.stack(placed) * CANVAS_PX
    closed = points[np.argsort(opening(points))[:5]].mean(0)
    return Driver(frames, points.astype(np.float32), closed)


def load_portrait(path: Path, labels: Path, largest_opening: float = 0.045) -> Portrait | None:
    """A portrait with a closed mouth, aligned; None where there is no face, it is small, or its
    mouth is open.
    """
    points = np.load(labels / "portraits" / f"{path.stem}.npz")["points"][0]
    if np.isnan(points).any() or opening(points) > largest_opening:
        return None
    transform = fit_similarity(points[list(STABLE_INDICES)])
    if transform.side_px < CROP_PX * 0.75:
        return None
    canvas = _on_canvas(transform)
    rgb = np.asarray(cv2.imread(str(path)))[:, :, ::-1]
    image = warp_crop(np.ascontiguousarray(rgb), canvas, CANVAS_PX).astype(np.float32)
    return Portrait(image, canvas.apply(points) * CANVAS_PX)


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
    p, now, closed = portrait.points, driver.points[t], driver.closed
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
        np.concatenate([p[:468], ring]).astype(np.float64),
        mesh_triangles(),
    )
    inner = to[list(LIPS_INNER)]
    if np.linalg.norm(to[13] - to[14]) > 0.8:
        source = now[list(LIPS_INNER)]
        skin = slice(CANVAS_PX // 2, None)
        light = portrait.image[skin].mean() / max(1.0, float(driver.frames[t][skin].mean()))
        mouth = driver.frames[t].astype(np.float32) * np.clip(light, 0.5, 1.3) * inside_tint
        filled = out.copy()
        _raster(
            filled,
            np.clip(mouth, 0, 255),
            np.concatenate([inner, inner.mean(0)[None]]).astype(np.float64),
            np.concatenate([source, source.mean(0)[None]]).astype(np.float64),
            _FAN,
        )
        mask = np.zeros((CANVAS_PX, CANVAS_PX), np.float32)
        cv2.fillPoly(mask, [np.round(inner * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
        mask = cv2.GaussianBlur(mask, (0, 0), 0.7)[..., None]
        out = out * (1 - mask) + filled * mask
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


def talk(job: tuple[Path, int], labels: Path, output: Path, names: list[str]) -> bool:
    """Write one portrait's shard: frames (TRACKS, LENGTH, S, S, 3), clip names and start frames."""
    path, variant = job
    target = output / f"{path.stem}_{variant}.npz"
    if target.exists():
        return True
    portrait = load_portrait(path, labels)
    if portrait is None:
        return False
    seed = int(path.stem.split("_")[1]) * 100 + variant
    rng = np.random.default_rng(seed)
    # A few clips serve a run of portraits: decoding a clip costs more than driving with it.
    pool = [names[i] for i in np.random.default_rng(seed // 600).integers(0, len(names), 40)]
    look, drift = Look.sample(rng), smooth_drift(LENGTH, rng)
    tint = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.05, 3)).astype(np.float32)
    tracks: list[NDArray[np.uint8]] = []
    clips: list[str] = []
    starts: list[int] = []
    while len(tracks) < TRACKS:
        name = pool[int(rng.integers(len(pool)))]
        driver = _driver(name, labels)
        if driver is None:
            continue
        start = int(rng.integers(0, len(driver.frames) - LENGTH))
        canvas = np.stack([drive(portrait, driver, start + t, tint) for t in range(LENGTH)])
        tracks.append(look.apply(canvas, drift, CROP_PX, rng))
        clips.append(name)
        starts.append(start)
    partial_path = output / f"{path.stem}_{variant}.part.npz"
    np.savez(partial_path, frames=np.stack(tracks), clips=np.array(clips), starts=np.array(starts))
    partial_path.rename(target)
    return True


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--variants", type=int, nargs=2, default=(0, 3), help="first and last+1")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args(argv)
    shards = args.output / "portraits"
    shards.mkdir(parents=True, exist_ok=True)
    hidden, hidden_clips = held_out("portraits"), held_out("grid_s1")
    folder = data_dir()
    paths = [p for p in sorted((folder / "portraits").glob("*.jpg")) if p.name not in hidden]
    refuse_held_out(paths)
    names = [
        p.stem for p in sorted((folder / "grid_s1").glob("*.mp4")) if p.stem not in hidden_clips
    ]
    jobs = [(p, v) for v in range(*args.variants) for p in paths]
    with Pool(args.jobs) as pool:
        work = partial(talk, labels=args.labels, output=shards, names=names)
        kept = sum(pool.imap_unordered(work, jobs, chunksize=6))
    print(f"{kept} of {len(jobs)} portrait shards")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
