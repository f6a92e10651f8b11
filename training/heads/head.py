"""One random MakeHuman head: sampled once from a seed, rendered with any mouth in any pose."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.face import points as face_points
from training.heads import light as lighting
from training.heads.assets import F32, I32, base_mesh, vector
from training.heads.blendshapes import SHAPE_OF, Coefficients, as_array, face_units
from training.heads.identity import Identity, sample_identity
from training.heads.raster import blend, fill, vertex_normals
from training.heads.skin import sample_skin
from training.heads.wear import sample_garments

SUPERSAMPLE = 2
LOWEST_DM = 2.9  # what hangs farther than this below the eyes is left out


@lru_cache(1)
def landmark_vertices() -> I32:
    """Base-mesh vertex of each point of engine.face.points, from training.heads.find_vertices."""
    table = json.loads((Path(__file__).parent / "vertices.json").read_text())
    return np.array([table[str(point)] for point in face_points.LANDMARKS], np.int32)


class Picture(NamedTuple):
    """A rendered head."""

    rgb: NDArray[np.uint8]  # (size, size, 3)
    points: F32  # (39, 2) pixels, in the order of engine.face.points
    visible: NDArray[np.bool_]  # (39,)


@dataclass(frozen=True, slots=True)
class Framing:
    """Where the head is in the picture, in picture sizes: midpoint of the eyes, and the distance of
    the eyes of a head that looks into the camera."""

    eyes_x: float = 0.5
    eyes_y: float = 0.42
    eye_distance: float = 0.2


@dataclass(frozen=True, slots=True)
class Part:
    """Triangles that share a texture; vertices `first`... of the head's vertex list."""

    first: int
    count: int
    faces: I32
    uv: F32
    faces_uv: I32
    texture: F32
    label: int  # 0: translucent
    cull: bool = False
    bias: float = 0.0


@dataclass(frozen=True)
class Head:
    """Vertices in decimetres, origin between the eyes, x to the picture's right, y up."""

    seed: int
    who: Identity
    vertices: F32  # (V, 3), neutral
    shifts: F32  # (52, V, 3)
    body_vertices: I32  # base-mesh numbers of the first vertices, ascending
    marks: I32  # (39,) vertices that are landmarks
    parts: tuple[Part, ...]
    light: lighting.Light
    camera: lighting.Camera
    eye_distance_dm: float
    distance_dm: float  # of the camera

    @staticmethod
    def sample(seed: int, hair: str | None = None) -> Head:
        """Draws everything that stays with a person; the same seed gives the same head."""
        rng = np.random.default_rng(seed)
        who = sample_identity(rng)
        return _assemble(seed, who, hair, rng)

    def shape(self, coefficients: Coefficients) -> F32:
        """Vertices (V, 3) with the face units applied."""
        amounts = as_array(coefficients)
        used = np.flatnonzero(np.abs(amounts) > 1e-4)
        moved = np.tensordot(amounts[used], self.shifts[used], 1) if len(used) else 0.0
        return (self.vertices + moved).astype(np.float32)

    def render(
        self,
        coefficients: Coefficients,
        yaw: float = 0.0,
        pitch: float = 0.0,
        roll: float = 0.0,
        size: int = 192,
        *,
        framing: Framing | None = None,
        background_seed: int | None = None,
        noise_seed: int = 0,
        light: lighting.Light | None = None,
        camera: lighting.Camera | None = None,
    ) -> Picture:
        """Renders the head; angles in radians (yaw > 0 turns the nose to the picture's right)."""
        framing = framing or Framing()
        light = light or self.light
        turn = rotation(yaw, pitch, roll)
        posed = self.shape(coefficients) @ turn.T
        big = size * SUPERSAMPLE
        scale = big * framing.eye_distance / self.eye_distance_dm  # pixels a decimetre at the eyes
        near = scale * self.distance_dm / (self.distance_dm - posed[:, 2:3])
        screen = posed.copy()
        screen[:, :2] = posed[:, :2] * near * vector(1, -1)
        screen[:, :2] += vector(framing.eyes_x, framing.eyes_y) * big
        image, depth = self._draw(posed, screen, light, big, scale, background_seed)
        small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        linear = np.asarray(small, np.float32)
        rgb = (camera or self.camera).film(linear, np.random.default_rng(noise_seed))
        at = screen[self.marks]
        points = (at[:, :2] / SUPERSAMPLE - 0.5).astype(np.float32)
        return Picture(rgb, points, _seen(at, depth))

    def _draw(
        self,
        posed: F32,
        screen: F32,
        light: lighting.Light,
        big: int,
        scale: float,
        background_seed: int | None,
    ) -> tuple[F32, F32]:
        albedo, normal = np.zeros((2, big, big, 3), np.float32)
        depth = np.full((big, big), -1e9, np.float32)
        label = np.zeros((big, big), np.uint8)
        translucent: list[tuple[Part, F32, F32]] = []
        for part in self.parts:
            own = slice(part.first, part.first + part.count)
            normals = vertex_normals(posed[own], part.faces)
            if not part.label:
                translucent.append((part, screen[own], normals))
                continue
            at = screen[own] + vector(0, 0, part.bias)
            fill(
                *(at, normals, part.faces, part.uv, part.faces_uv, part.texture),
                *(part.label, part.cull, albedo, normal, depth, label),
            )
        reach = lighting.occlusion(depth, scale)
        seed = self.seed if background_seed is None else background_seed
        image = _background(seed, big).copy()
        lamps = light.table()
        lighting.light_surface(albedo, normal, label, reach, lamps, image)
        for part, at, normals in translucent:
            order = np.argsort(at[part.faces, 2].mean(1), kind="stable")
            lit = lighting.diffuse(normals, lamps)
            blend(
                *(at, lit, order, part.faces, part.uv, part.faces_uv, part.texture),
                *(part.bias, image, depth),
            )
        return image, depth


@lru_cache(maxsize=4)
def _background(seed: int, size: int) -> F32:
    return lighting.sample_background(np.random.default_rng(seed + 7), size)


def _seen(at: F32, depth: F32) -> NDArray[np.bool_]:
    """Which landmarks (n, 3) nothing covers; a vertex may lie a little under its own pixel."""
    size = len(depth)
    x, y = at[:, 0].astype(int), at[:, 1].astype(int)
    inside = (x >= 1) & (y >= 1) & (x < size - 1) & (y < size - 1)
    x, y = x.clip(1, size - 2), y.clip(1, size - 2)
    window = [depth[y + j, x + i] for j in (-1, 0, 1) for i in (-1, 0, 1)]
    return inside & (at[:, 2] > np.min(window, axis=0) - 0.06)


def rotation(yaw: float, pitch: float, roll: float) -> F32:
    """Rotation (3, 3): roll in the picture plane after pitch after yaw."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (about_z @ about_x @ about_y).astype(np.float32)


def _assemble(seed: int, who: Identity, hair: str | None, rng: np.random.Generator) -> Head:
    base, mesh = who.vertices, base_mesh()
    eyes = [base[slice(*span)].mean(0) for span in ((14598, 14670), (14670, 14742))]
    origin = ((eyes[0] + eyes[1]) / 2).astype(np.float32)
    body = mesh.faces[mesh.groups == "body"]
    body_uv = mesh.faces_uv[mesh.groups == "body"]
    near = (base[body][..., 1] - origin[1] > -LOWEST_DM).all(1)
    near &= (np.abs(base[body][..., 0]) < 2.4).all(1)
    kept, faces = np.unique(body[near], return_inverse=True)
    number = np.full(len(base), -1, np.int32)
    number[kept] = np.arange(len(kept))
    units = face_units()
    vertices, shifts, parts = [base[kept]], [units[:, kept]], []
    skin = sample_skin(who, rng)
    shaped = faces.reshape(-1, 3).astype(np.int32)
    parts.append(Part(0, len(kept), shaped, mesh.uv, body_uv[near], skin, lighting.SKIN, cull=True))
    for garment in sample_garments(who, units, SHAPE_OF["jawOpen"], hair, rng):
        first, mesh_of = sum(len(v) for v in vertices), garment.mesh
        vertices.append(garment.vertices)
        shifts.append(garment.shifts)
        parts.append(
            Part(
                *(first, len(mesh_of.vertices), mesh_of.faces, mesh_of.uv, mesh_of.faces_uv),
                *(garment.texture, garment.label),
                bias=garment.bias,
            )
        )
    return Head(
        seed,
        who,
        np.concatenate(vertices) - origin,
        np.concatenate(shifts, axis=1),
        kept.astype(np.int32),
        number[landmark_vertices()],
        tuple(parts),
        lighting.Light.sample(rng),
        lighting.Camera.sample(rng),
        float(np.linalg.norm(eyes[0] - eyes[1])),
        float(rng.uniform(6, 16)),
    )
