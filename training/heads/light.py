"""Light on a rendered head, and the camera that films it: colour, blur, noise, compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from training.heads.assets import F32, vector
from training.heads.skin import noise

SKIN, TEETH, TONGUE, EYE = 1, 2, 3, 4
_GLOSS = np.array([0.0, 0.05, 0.25, 0.2, 0.5], np.float32)  # by part
_REACH = np.array([1.0, 1.0, 0.8, 0.6, 1.0], np.float32)  # cheeks and lips shade the mouth
_WRAP = np.array([0.30, 0.18, 0.15], np.float32)  # red light leaks farthest round the terminator


@dataclass(frozen=True, slots=True)
class Light:
    """A key and a fill light (unit direction towards it, colour) and light from sky and ground."""

    key: F32
    key_colour: F32
    fill: F32
    fill_colour: F32
    sky: F32
    ground: F32
    gloss: float

    @staticmethod
    def sample(rng: np.random.Generator) -> Light:
        warmth = rng.normal(0, 0.06)
        white = np.exp(np.array([warmth, 0, -warmth])).astype(np.float32)
        ambient = rng.uniform(0.25, 0.65)
        key = rng.uniform(0.3, 1.25 - ambient)
        return Light(
            _direction(rng.uniform(-1.2, 1.2), rng.uniform(-0.2, 0.9)),
            key * white,
            _direction(rng.uniform(-1.5, 1.5), rng.uniform(-0.5, 0.5)),
            rng.uniform(0.05, 0.4) * np.exp(rng.normal(0, 0.12, 3)).astype(np.float32),
            ambient * np.exp(rng.normal(0, 0.06, 3)).astype(np.float32),
            ambient * rng.uniform(0.4, 0.9) * np.exp(rng.normal(0, 0.06, 3)).astype(np.float32),
            float(rng.uniform(0.3, 1.6)),
        )

    def table(self) -> F32:
        """Everything as rows of (7, 3): key, its colour, fill, its colour, sky, ground, gloss."""
        rows = (self.key, self.key_colour, self.fill, self.fill_colour, self.sky, self.ground)
        return np.stack([*rows, vector(self.gloss, 0, 0)]).astype(np.float32)


def _direction(azimuth: float, height: float) -> F32:
    c = np.cos(height)
    return np.array([np.sin(azimuth) * c, np.sin(height), np.cos(azimuth) * c], np.float32)


@njit(cache=True, fastmath=True, inline="always")
def _fall(n: F32, lamps: F32, k: int) -> float:
    """Diffuse light of colour k on a surface with normal n; `lamps` is `Light.table()`."""
    up = 0.5 + 0.5 * n[1]
    to_key = n[0] * lamps[0, 0] + n[1] * lamps[0, 1] + n[2] * lamps[0, 2]
    to_fill = n[0] * lamps[2, 0] + n[1] * lamps[2, 1] + n[2] * lamps[2, 2]
    wrap = _WRAP[k]
    return (
        lamps[4, k] * up
        + lamps[5, k] * (1 - up)
        + lamps[1, k] * max(0.0, (to_key + wrap) / (1 + wrap))
        + lamps[3, k] * max(0.0, (to_fill + wrap) / (1 + wrap))
    )


@njit(cache=True, fastmath=True)
def diffuse(normals: F32, lamps: F32) -> F32:
    """Light (n, 3) on surfaces with these normals (n, 3), both sides alike."""
    out = np.empty_like(normals)
    for i in range(normals.shape[0]):
        n = normals[i] if normals[i, 2] >= 0 else -normals[i]
        for k in range(3):
            out[i, k] = _fall(n, lamps, k)
    return out


@njit(cache=True, fastmath=True)
def light_surface(
    albedo: F32, normal: F32, label: NDArray[np.uint8], reach: F32, lamps: F32, image: F32
) -> None:
    """Lights the geometry buffer into `image` (H, W, 3), linear, where a part was drawn."""
    half = lamps[0] + np.array([0.0, 0.0, 1.0], np.float32)
    half /= np.sqrt((half * half).sum())
    shine = lamps[6, 0]
    for y in range(label.shape[0]):
        for x in range(label.shape[1]):
            part = label[y, x]
            if part == 0:
                continue
            n = normal[y, x]
            lit = reach[y, x] * _REACH[part]
            facing = max(0.0, n[0] * half[0] + n[1] * half[1] + n[2] * half[2])
            gleam = shine * lit * _GLOSS[part] * facing**24
            if part == EYE:
                gleam = shine * 0.9 * facing**120
            for k in range(3):
                image[y, x, k] = albedo[y, x, k] * _fall(n, lamps, k) * lit + gleam * lamps[1, k]


def occlusion(depth: F32, px_per_dm: float) -> F32:
    """How much light reaches each pixel (H, W), 0..1: hollows (mouth, eye sockets) are darker."""
    covered = depth > -1e8
    lowest = float(depth[covered].min()) if covered.any() else 0.0
    solid = np.where(covered, depth, lowest)
    out = np.ones_like(depth)
    for radius_dm, strength in ((0.05, 3.0), (0.18, 2.2)):
        sigma = max(0.7, radius_dm * px_per_dm)
        hollow = cv2.blur(solid, (2 * int(1.3 * sigma) + 1,) * 2) - solid
        out *= np.exp(-strength * np.clip(hollow, 0, 0.5))
    return out


def sample_background(rng: np.random.Generator, size: int) -> F32:
    """A linear-light backdrop (size, size, 3): a gradient with soft blobs, or structured noise."""
    base = rng.uniform(0.02, 0.7) * np.exp(rng.normal(0, 0.25, (2, 3)))
    ramp = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    ramp = ramp if rng.random() < 0.5 else ramp.transpose(1, 0, 2)
    picture = np.broadcast_to(base[0] * (1 - ramp) + base[1] * ramp, (size, size, 3)).copy()
    for cells in (2, 6, 18):
        grey = rng.uniform(0, 0.35) * noise(rng, size, cells)
        for k in range(3):
            picture[..., k] *= np.exp(grey + rng.uniform(0, 0.07) * noise(rng, size, cells))
    for _ in range(int(rng.integers(0, 6))):
        x, y = rng.uniform(0, size, 2)
        w, h = rng.uniform(0.05, 0.5, 2) * size
        colour = tuple(float(c) for c in rng.uniform(0.01, 0.8, 3))
        corner = (int(x - w / 2), int(y - h / 2))
        cv2.rectangle(picture, corner, (int(x + w / 2), int(y + h / 2)), colour, -1)
    sigma = rng.uniform(0.5, 12)
    return cv2.GaussianBlur(picture, (0, 0), sigma).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Camera:
    """What a cheap camera does to linear light."""

    exposure: float
    gamma: float
    white: F32
    saturation: float
    blur_px: float
    sharpen: float
    noise: float  # spread in 0..255
    quality: int  # of JPEG; 0 = none

    @staticmethod
    def sample(rng: np.random.Generator) -> Camera:
        return Camera(
            float(np.exp(rng.normal(0, 0.15))),
            float(rng.uniform(1.9, 2.5)),
            np.exp(rng.normal(0, 0.05, 3)).astype(np.float32),
            float(rng.uniform(0.7, 1.15)),
            float(rng.uniform(0.0, 0.8)),
            float(rng.uniform(0.0, 0.5)),
            float(rng.uniform(0.3, 3.5)),
            int(rng.integers(45, 96)) if rng.random() < 0.7 else 0,
        )

    def film(self, linear: F32, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Linear light (H, W, 3) -> uint8 RGB; `rng` draws the sensor's noise."""
        x = np.maximum(linear * self.exposure * self.white, 0)
        x = x / (1 + 0.25 * x)  # highlights roll off
        x = np.minimum(x * 1.2, 1.0) ** (1 / self.gamma)
        grey = x.mean(-1, keepdims=True)
        x = 255 * (grey + self.saturation * (x - grey))
        if self.blur_px > 0.2:
            x = cv2.GaussianBlur(x, (0, 0), self.blur_px)
        if self.sharpen > 0.05:
            x = x + self.sharpen * (x - cv2.GaussianBlur(x, (0, 0), 1.5))
        grain = rng.standard_normal(x.shape).astype(np.float32)
        x = x + self.noise * (0.6 * grain + 0.6 * cv2.GaussianBlur(grain, (0, 0), 0.7))
        rgb = np.clip(x + 0.5, 0, 255).astype(np.uint8)
        if self.quality:
            bgr = np.ascontiguousarray(rgb[..., ::-1])
            packed = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1]
            unpacked = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
            rgb = np.ascontiguousarray(unpacked[..., ::-1])
        return rgb
