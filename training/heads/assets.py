"""MakeHuman's files: meshes, shape targets, and what is worn on the base mesh (eyes, hair)."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.splits import data_dir

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


def vector(*values: float) -> F32:
    return np.array(values, np.float32)


def makehuman() -> Path:
    """Folder of MakeHuman's assets. Raises FileNotFoundError with one clear line."""
    folder = data_dir() / "heads" / "makehuman"
    if not folder.is_dir():
        raise FileNotFoundError(f"no MakeHuman assets at {folder}; set OMNISYNC_DATA")
    return folder


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles of an .obj: vertices (V, 3) in decimetres, uv (U, 2), corners (F, 3) of both."""

    vertices: F32
    uv: F32
    faces: I32
    faces_uv: I32
    groups: NDArray[np.str_]


@lru_cache(maxsize=64)
def load_mesh(path: Path) -> Mesh:
    """Reads an .obj; polygons become fans of triangles."""
    vertices, uv, faces, faces_uv, groups = [], [], [], [], []
    group = ""
    for line in path.read_text().splitlines():
        kind, *fields = line.split() or [""]
        if kind == "v":
            vertices.append([float(x) for x in fields[:3]])
        elif kind == "vt":
            uv.append([float(x) for x in fields[:2]])
        elif kind == "g":
            group = fields[0] if fields else ""
        elif kind == "f":
            corners = [field.split("/") for field in fields]
            at = [int(c[0]) - 1 for c in corners]
            at_uv = [int(c[1]) - 1 if len(c) > 1 and c[1] else 0 for c in corners]
            for k in range(1, len(at) - 1):
                faces.append([at[0], at[k], at[k + 1]])
                faces_uv.append([at_uv[0], at_uv[k], at_uv[k + 1]])
                groups.append(group)
    return Mesh(
        np.array(vertices, np.float32),
        np.array(uv, np.float32),
        np.array(faces, np.int32),
        np.array(faces_uv, np.int32),
        np.array(groups),
    )


def base_mesh() -> Mesh:
    return load_mesh(makehuman() / "mpfb2" / "3dobjs" / "base.obj")


@lru_cache(maxsize=1024)
def load_target(path: Path) -> tuple[I32, F32]:
    """A shape target: vertex numbers (n,) of the base mesh and their shifts (n, 3)."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = [line.split() for line in text.decode().splitlines() if line and line[0].isdigit()]
    table = np.array(rows, np.float64).reshape(-1, 4)
    return table[:, 0].astype(np.int32), table[:, 1:].astype(np.float32)


def add_target(vertices: F32, path: Path, amount: float) -> None:
    """Adds `amount` of a target to `vertices` in place."""
    at, shift = load_target(path)
    vertices[at] += np.float32(amount) * shift


@dataclass(frozen=True, slots=True)
class Worn:
    """A mesh bound to the base mesh: each vertex is a weighted sum of three base vertices."""

    mesh: Mesh
    anchors: I32  # (V, 3)
    weights: F32  # (V, 3)
    offsets: F32  # (V, 3) at scale 1
    scales: tuple[tuple[int, int, float], ...]  # per axis: two base vertices and their distance

    def fit(self, base: F32) -> F32:
        """Vertices (V, 3) on a shaped base mesh (19158, 3)."""
        scale = np.ones(3, np.float32)
        for axis, (a, b, unit) in enumerate(self.scales):
            scale[axis] = abs(base[a, axis] - base[b, axis]) / unit
        return self.move(base) + self.offsets * scale

    def move(self, shift: F32) -> F32:
        """The part that is linear in the base mesh, for blend shapes."""
        moved: F32 = np.einsum("vk,vkc->vc", self.weights, shift[self.anchors])
        return moved


@lru_cache(maxsize=64)
def load_worn(folder: Path) -> Worn:
    """Reads a proxy folder (.mhclo and its .obj)."""
    binding = next(folder.glob("*.mhclo"))
    mesh = load_mesh(next(folder.glob("*.obj")))
    scales: dict[str, tuple[int, int, float]] = {}
    rows: list[list[float]] = []
    inside = False
    for line in binding.read_text().splitlines():
        fields = line.split()
        if not fields:
            continue
        if fields[0] in {"x_scale", "y_scale", "z_scale"}:
            scales[fields[0][0]] = (int(fields[1]), int(fields[2]), float(fields[3]))
        elif fields[0] == "verts":
            inside = True
        elif inside and fields[0].isdigit() and len(rows) < len(mesh.vertices):
            numbers = [float(x) for x in fields[:9]]
            exact = [numbers[0]] * 3 + [1.0, 0.0, 0.0] + [0.0] * 3
            rows.append(exact if len(numbers) == 1 else (numbers + [0.0] * 3)[:9])
    table = np.array(rows, np.float32)
    return Worn(
        mesh,
        table[:, :3].astype(np.int32),
        table[:, 3:6],
        table[:, 6:9],
        tuple(scales[axis] for axis in "xyz"),
    )


@lru_cache(maxsize=32)
def load_texture(path: Path) -> F32:
    """A texture in linear light, RGBA float32 (h, w, 4) in 0..1."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise FileNotFoundError(f"cannot read the texture {path}")
    rgba = np.ones((*picture.shape[:2], 4), np.float32)
    rgba[..., :3] = (picture[..., 2::-1].astype(np.float32) / 255.0) ** 2.2
    if picture.shape[2] == 4:
        rgba[..., 3] = picture[..., 3] / 255.0
    return rgba
