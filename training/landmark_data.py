"""What the landmark net learns from: patches of portraits, GRID frames and rendered heads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face.patch import PATCH_PX, Patch
from engine.face.points import LANDMARKS, MIRROR
from training.heads.assets import vector
from training.heads.light import sample_background
from training.splits import data_dir, held_out, refuse_held_out, refuse_test_head

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

STORED_SIDE_PX = 150  # larger faces are shrunk to this patch side when loaded
HIDDEN_WEIGHT = 0.35  # of a point that hair or the head itself covers


@dataclass(frozen=True, slots=True)
class Example:
    """A picture with one face: rgb (H, W, 3), points (39, 2) in pixels, weight (39,)."""

    rgb: U8
    points: F32
    weight: F32


@dataclass(frozen=True, slots=True)
class Sample:
    """What the net sees: patch uint8 (96, 96, 3), points (39, 2) in patch units, weight (39,)."""

    patch: U8
    points: F32
    weight: F32
    is_face: bool


def example(rgb: U8, points: F32, weight: F32 | None = None) -> Example:
    scale = min(1.0, STORED_SIDE_PX / Patch.around(points).side)
    if scale < 0.9:
        height, width = rgb.shape[:2]
        w, h = round(width * scale), round(height * scale)
        rgb = np.asarray(cv2.resize(rgb, (w, h), interpolation=cv2.INTER_AREA), np.uint8)
        points = (points + 0.5) * vector(w / width, h / height) - 0.5
    every = np.ones(len(points), np.float32)
    return Example(np.ascontiguousarray(rgb), points, every if weight is None else weight)


def read_rgb(path: Path) -> U8:
    picture = cv2.imread(str(path))
    if picture is None:
        raise FileNotFoundError(f"cannot read the picture {path}")
    return np.asarray(picture[..., ::-1], np.uint8)


def read_labels(path: Path) -> F32:
    """The 39 points (T, 39, 2) of a label file, pixel centres at integers."""
    points: F32 = np.load(path)["points"][:, list(LANDMARKS)] - np.float32(0.5)
    return points


def load_portraits(labels: Path, names: list[str] | None = None) -> list[Example]:
    """Labelled portraits: `names`, or all that may be trained on."""
    folder = data_dir() / "portraits"
    hidden = held_out("portraits")
    paths = [folder / name for name in names or []]
    if names is None:
        paths = [path for path in sorted(folder.glob("*.jpg")) if path.name not in hidden]
        refuse_held_out(paths)
    found = []
    for path in paths:
        points = read_labels(labels / "portraits" / f"{path.stem}.npz")[0]
        if not np.isnan(points).any():
            found.append(example(read_rgb(path), points))
    return found


def load_clip(path: Path, label: Path, count: int) -> list[Example]:
    """`count` frames of a clip, evenly spread."""
    points = read_labels(label)
    wanted = set(np.linspace(0, len(points) - 1, count).astype(int).tolist())
    capture = cv2.VideoCapture(str(path))
    found = []
    for t in range(len(points)):
        ok, frame = capture.read()
        if not ok:
            break
        if t in wanted and not np.isnan(points[t]).any():
            found.append(example(np.asarray(frame[..., ::-1], np.uint8), points[t]))
    return found


def load_grid(labels: Path, names: list[str] | None = None, count: int = 4) -> list[Example]:
    """Frames of GRID speaker 1: of the clips `names`, or of a third of the training clips."""
    folder = data_dir() / "grid_s1"
    hidden = held_out("grid_s1")
    paths = [folder / f"{name}.mp4" for name in names or []]
    if names is None:
        paths = [path for path in sorted(folder.glob("*.mp4")) if path.stem not in hidden]
        refuse_held_out(paths)
        paths = paths[::3]  # one man: more of him teaches little
    found = []
    for path in paths:
        found += load_clip(path, labels / "grid_s1" / f"{path.stem}.npz", count)
    return found


def load_heads(path: Path, test: bool = False) -> tuple[list[Example], F32]:
    """Pictures of training.heads.stills and their yaw in radians."""
    with np.load(path) as file:
        rgb, points, visible, yaw = (file[k] for k in ("rgb", "points", "visible", "yaw"))
        if not test:
            refuse_test_head(int(file["seeds"].max()))
    weights = np.where(visible, 1.0, HIDDEN_WEIGHT).astype(np.float32)
    return [example(*one) for one in zip(rgb, points, weights, strict=True)], yaw


class PatchSampler:
    """Draws augmented patches from weighted sources; a quarter of them hold no face."""

    def __init__(self, sources: list[tuple[float, list[Example]]], seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._sources = [examples for _, examples in sources]
        shares = np.array([share for share, _ in sources])
        self._shares = shares / shares.sum()

    def draw(self) -> Sample:
        rng = self._rng
        pool = self._sources[int(rng.choice(len(self._sources), p=self._shares))]
        chosen = pool[int(rng.integers(len(pool)))]
        if rng.random() < 0.25:
            return self._negative(chosen)
        around = Patch.around(chosen.points)
        spread = 2.0 if rng.random() < 0.3 else 1.0
        shift = np.clip(rng.normal(0, 0.05 * spread, 2), -0.22, 0.22) * around.side
        scale = np.exp(np.clip(rng.normal(0, 0.09 * spread), -0.4, 0.4))
        turn = np.clip(rng.normal(0, 0.12 * spread), -0.62, 0.62)
        placed = Patch(
            around.x + float(shift[0]),
            around.y + float(shift[1]),
            around.side * float(scale),
            around.angle + float(turn),
        )
        patch, points = placed.cut(chosen.rgb, _border(rng)), placed.to_patch(chosen.points)
        weight = chosen.weight
        if rng.random() < 0.5:
            patch, points, weight = patch[:, ::-1], _mirrored(points), weight[list(MIRROR)]
        patch = np.ascontiguousarray(patch)
        if rng.random() < 0.25:
            self._occlude(patch, chosen.rgb)
        return Sample(disturb(patch, rng), points, weight, True)

    def _negative(self, chosen: Example) -> Sample:
        rng = self._rng
        kind = rng.random()
        face = Patch.around(chosen.points)
        if kind < 0.45:  # beside the face, or far too near or far
            direction = rng.uniform(0, 2 * np.pi)
            away = rng.uniform(0.5, 1.3) * face.side
            side = face.side * float(np.exp(rng.uniform(-1.0, 1.0)))
            if rng.random() < 0.35:
                away, side = 0.1 * away, face.side * float(rng.choice([0.33, 3.0]))
            x, y = face.x + away * np.cos(direction), face.y + away * np.sin(direction)
            placed = Patch(float(x), float(y), side, float(rng.normal(0, 0.3)))
            patch = placed.cut(chosen.rgb, _border(rng))
        elif kind < 0.6:  # upside down or lying
            turn = float(rng.uniform(1.4, 2 * np.pi - 1.4))
            patch = Patch(face.x, face.y, face.side, face.angle + turn).cut(chosen.rgb)
        elif kind < 0.75:  # covered
            patch = face.cut(chosen.rgb)
            for _ in range(4):
                self._occlude(patch, chosen.rgb, 0.75)
        else:
            linear = sample_background(rng, PATCH_PX)
            patch = (255 * np.clip(linear, 0, 1) ** 0.45).astype(np.uint8)
            for _ in range(int(rng.integers(0, 6))):
                self._occlude(patch, chosen.rgb, 0.4)
        blank = np.zeros_like(chosen.points)
        patch = disturb(np.ascontiguousarray(patch), rng)
        return Sample(patch, blank, np.zeros_like(chosen.weight), False)

    def _occlude(self, patch: U8, texture: U8, largest: float = 0.3) -> None:
        """Draws a flat or hand-like blob over the patch, in place, in colours of the picture."""
        rng = self._rng
        mask = np.zeros(patch.shape[:2], np.uint8)
        centre = rng.uniform(0.05, 0.95, 2) * PATCH_PX
        axes = rng.uniform(0.06, largest, 2) * PATCH_PX
        at, size = (int(centre[0]), int(centre[1])), (int(axes[0]), int(axes[1]))
        if rng.random() < 0.5:
            cv2.ellipse(mask, at, size, float(rng.uniform(0, 180)), 0, 360, 255, -1)
        else:
            corners = cv2.boxPoints((at, (2 * size[0], 2 * size[1]), float(rng.uniform(0, 180))))
            cv2.fillPoly(mask, [corners.astype(np.int32)], 255)
        height, width = texture.shape[:2]
        y, x = int(rng.integers(height)), int(rng.integers(width))
        colour = texture[y, x] if rng.random() < 0.7 else rng.integers(0, 256, 3)
        grain = rng.normal(0, rng.uniform(0, 20)) * rng.standard_normal(patch.shape)
        fill = np.broadcast_to(colour, patch.shape) + grain
        patch[mask > 0] = np.clip(fill, 0, 255).astype(np.uint8)[mask > 0]


def _border(rng: np.random.Generator) -> int:
    """What lies beyond the picture's edge: its last pixels, a mirror of it, or black."""
    return int(rng.choice([cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101, cv2.BORDER_CONSTANT]))


def _mirrored(points: F32) -> F32:
    turned = points[list(MIRROR)].copy()
    turned[:, 0] = 1.0 - turned[:, 0]
    return turned


def disturb(patch: U8, rng: np.random.Generator) -> U8:
    """Colour, gamma, resolution, blur, noise and compression of a camera."""
    x: NDArray = patch.astype(np.float32) / 255.0
    x = x ** np.float32(np.exp(rng.normal(0, 0.25)))
    x = x * np.exp(rng.normal(0, 0.08, 3) + rng.normal(0, 0.15)).astype(np.float32)
    x = (x - 0.5) * np.float32(np.exp(rng.normal(0, 0.15))) + np.float32(0.5)
    if rng.random() < 0.1:
        x = np.repeat(x.mean(-1, keepdims=True), 3, axis=-1)
    if rng.random() < 0.3:
        small = int(rng.integers(32, 96))
        x = cv2.resize(x, (small, small), interpolation=cv2.INTER_AREA)
        x = cv2.resize(x, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), float(rng.uniform(0.5, 1.8)))
    if rng.random() < 0.4:
        x = x + np.float32(rng.uniform(0, 0.05)) * rng.standard_normal(x.shape, np.float32)
    out: U8 = np.clip(255 * x, 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        packed = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))])[1]
        out = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return out
