"""A z-buffer rasteriser: opaque triangles to a geometry buffer, hair and brows blended over it."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@njit(cache=True)
def vertex_normals(vertices: F32, faces: I32) -> F32:
    """Unit normals (V, 3), weighted by area."""
    normals = np.zeros_like(vertices)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = vertices[b] - vertices[a]
        vx, vy, vz = vertices[c] - vertices[a]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in (a, b, c):
            normals[k, 0] += nx
            normals[k, 1] += ny
            normals[k, 2] += nz
    for k in range(normals.shape[0]):
        x, y, z = normals[k]
        length = np.sqrt(x * x + y * y + z * z) + 1e-12
        normals[k] /= length
    return normals


@njit(cache=True)
def sample(texture: F32, u: float, v: float, out: F32) -> None:
    """Bilinear lookup of a texture (h, w, 4) at uv, v upwards, into `out` (4,)."""
    h, w = texture.shape[0], texture.shape[1]
    x = min(max(u * w - 0.5, 0.0), w - 1.001)
    y = min(max((1.0 - v) * h - 0.5, 0.0), h - 1.001)
    i, j = int(x), int(y)
    fx, fy = x - i, y - j
    for k in range(4):
        top = texture[j, i, k] * (1 - fx) + texture[j, i + 1, k] * fx
        bottom = texture[j + 1, i, k] * (1 - fx) + texture[j + 1, i + 1, k] * fx
        out[k] = top * (1 - fy) + bottom * fy


@njit(cache=True)
def fill(
    screen: F32,  # (V, 3): x, y in pixels, z towards the camera
    normals: F32,  # (V, 3)
    faces: I32,
    uv: F32,
    faces_uv: I32,
    texture: F32,
    part: int,
    cull: bool,
    albedo: F32,  # (H, W, 3), written
    normal: F32,  # (H, W, 3), written
    depth: F32,  # (H, W), written
    label: NDArray[np.uint8],  # (H, W), written
) -> None:
    """Draws opaque triangles; texels with alpha under one half are holes."""
    height, width = depth.shape
    texel = np.empty(4, np.float32)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, y0, x1, y1 = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1]
        x2, y2 = screen[c, 0], screen[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0 or (cull and area > 0):
            continue
        left, right = max(0, int(min(x0, x1, x2))), min(width - 1, int(max(x0, x1, x2)) + 1)
        top, bottom = max(0, int(min(y0, y1, y2))), min(height - 1, int(max(y0, y1, y2)) + 1)
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                px, py = x + 0.5, y + 0.5
                w0 = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) / area
                w1 = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) / area
                w2 = 1 - w0 - w1
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                z = w0 * screen[a, 2] + w1 * screen[b, 2] + w2 * screen[c, 2]
                if z <= depth[y, x]:
                    continue
                ta, tb, tc = faces_uv[f, 0], faces_uv[f, 1], faces_uv[f, 2]
                u = w0 * uv[ta, 0] + w1 * uv[tb, 0] + w2 * uv[tc, 0]
                v = w0 * uv[ta, 1] + w1 * uv[tb, 1] + w2 * uv[tc, 1]
                sample(texture, u, v, texel)
                if texel[3] < 0.5:
                    continue
                depth[y, x] = z
                label[y, x] = part
                for k in range(3):
                    albedo[y, x, k] = texel[k]
                    normal[y, x, k] = w0 * normals[a, k] + w1 * normals[b, k] + w2 * normals[c, k]


@njit(cache=True)
def blend(
    screen: F32,
    shade: F32,  # (V, 3): light that falls on each vertex
    order: NDArray[np.int64],  # triangles from the farthest to the nearest
    faces: I32,
    uv: F32,
    faces_uv: I32,
    texture: F32,
    bias: float,  # decimetres by which the part is drawn nearer than it is
    image: F32,  # (H, W, 3), changed
    depth: F32,  # (H, W), tested only
) -> None:
    """Draws translucent, two-sided triangles over the picture."""
    height, width = depth.shape
    texel = np.empty(4, np.float32)
    for f in order:
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, y0, x1, y1 = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1]
        x2, y2 = screen[c, 0], screen[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0:
            continue
        left, right = max(0, int(min(x0, x1, x2))), min(width - 1, int(max(x0, x1, x2)) + 1)
        top, bottom = max(0, int(min(y0, y1, y2))), min(height - 1, int(max(y0, y1, y2)) + 1)
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                px, py = x + 0.5, y + 0.5
                w0 = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) / area
                w1 = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) / area
                w2 = 1 - w0 - w1
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                z = w0 * screen[a, 2] + w1 * screen[b, 2] + w2 * screen[c, 2]
                if z + bias <= depth[y, x]:
                    continue
                ta, tb, tc = faces_uv[f, 0], faces_uv[f, 1], faces_uv[f, 2]
                u = w0 * uv[ta, 0] + w1 * uv[tb, 0] + w2 * uv[tc, 0]
                v = w0 * uv[ta, 1] + w1 * uv[tb, 1] + w2 * uv[tc, 1]
                sample(texture, u, v, texel)
                alpha = texel[3]
                for k in range(3):
                    light = w0 * shade[a, k] + w1 * shade[b, k] + w2 * shade[c, k]
                    image[y, x, k] = image[y, x, k] * (1 - alpha) + texel[k] * light * alpha


@njit(cache=True)
def paint_uv(uv: F32, faces: I32, faces_uv: I32, value: F32, out: F32) -> None:
    """Spreads a number per vertex over the texture square `out` (h, w)."""
    height, width = out.shape
    for f in range(faces.shape[0]):
        a, b, c = faces_uv[f, 0], faces_uv[f, 1], faces_uv[f, 2]
        x0, y0 = uv[a, 0] * width, (1 - uv[a, 1]) * height
        x1, y1 = uv[b, 0] * width, (1 - uv[b, 1]) * height
        x2, y2 = uv[c, 0] * width, (1 - uv[c, 1]) * height
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0:
            continue
        for y in range(max(0, int(min(y0, y1, y2))), min(height, int(max(y0, y1, y2)) + 2)):
            for x in range(max(0, int(min(x0, x1, x2))), min(width, int(max(x0, x1, x2)) + 2)):
                px, py = x + 0.5, y + 0.5
                w0 = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) / area
                w1 = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) / area
                w2 = 1 - w0 - w1
                if min(w0, w1, w2) < -0.05:
                    continue
                out[y, x] = (
                    w0 * value[faces[f, 0]] + w1 * value[faces[f, 1]] + w2 * value[faces[f, 2]]
                )
