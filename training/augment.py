"""How a camera sees a face: one look a clip (colour, blur, noise, compression) and a slow drift of
the crop.

The look is shared by all mouth tracks of a clip, so that two tracks stay an exact pair; only sensor
noise differs.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]


def smooth_drift(
    count: int, rng: np.random.Generator, amount: float = 0.012
) -> NDArray[np.float32]:
    """(count, 4) of log-scale, angle in rad, dx, dy in crop units: a fixed offset and a slow random
    walk.
    """
    offset = rng.normal(0, 1, 4) * np.array([2.5, 2.5, 1.0, 1.0]) * amount
    knots = rng.normal(0, 1, (max(2, count // 10 + 2), 4)) * np.array([1.0, 1.5, 0.5, 0.5]) * amount
    at = np.linspace(0, len(knots) - 1, count)
    walk = np.stack([np.interp(at, np.arange(len(knots)), knots[:, k]) for k in range(4)], 1)
    return (offset + walk).astype(np.float32)


@dataclass(frozen=True)
class Look:
    """One camera: drawn once a clip."""

    flip: bool
    gamma: float
    gain: tuple[float, float, float]
    saturation: float
    shade: tuple[float, float]  # linear light across the crop, right and down
    blur: float  # sigma in crop pixels
    shrink: float  # a smaller sensor: resampled down by this and up again
    noise: float
    jpeg: int  # 0 = none

    @classmethod
    def sample(cls, rng: np.random.Generator, mild: bool = False) -> Look:
        k = 0.5 if mild else 1.0
        exposure = np.exp(rng.normal(0, 0.18 * k))
        balance = np.exp(rng.normal(0, 0.07 * k, 3))
        return cls(
            flip=bool(rng.random() < 0.5),
            gamma=float(np.exp(rng.normal(0, 0.2 * k))),
            gain=tuple((exposure * balance).tolist()),
            saturation=float(np.exp(rng.normal(0, 0.25 * k))),
            shade=tuple(rng.normal(0, 0.18 * k, 2).tolist()),
            blur=float(max(0.0, rng.normal(0.1, 0.4 * k))),
            shrink=float(rng.uniform(1.0, 2.0)) if rng.random() < 0.3 * k else 1.0,
            noise=float(abs(rng.normal(0, 2.5 * k))),
            jpeg=int(rng.integers(40, 95)) if rng.random() < 0.5 else 0,
        )

    def apply(
        self, canvas: Frames, drift: NDArray[np.float32], crop_px: int, rng: np.random.Generator
    ) -> Frames:
        """Canvas (T, S, S, 3), S = crop_px plus a margin on each side -> crops (T, crop_px,
        crop_px, 3).
        """
        size = canvas.shape[1]
        y, x = np.mgrid[0:crop_px, 0:crop_px].astype(np.float32) / crop_px - 0.5
        light = np.exp(self.shade[0] * x + self.shade[1] * y)[..., None].astype(np.float32)
        table = 255 * (np.arange(256) / 255.0) ** self.gamma
        out = np.empty((len(canvas), crop_px, crop_px, 3), np.uint8)
        for t, frame in enumerate(canvas):
            log_scale, angle, dx, dy = drift[t]
            m = cv2.getRotationMatrix2D(
                ((size - 1) / 2, (size - 1) / 2), float(np.degrees(angle)), float(np.exp(log_scale))
            )
            m[:, 2] += np.array([dx, dy]) * crop_px + (crop_px - size) / 2
            image = cv2.warpAffine(
                frame,
                m,
                (crop_px, crop_px),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            if self.flip:
                image = image[:, ::-1]
            if self.shrink > 1.05:
                small = int(crop_px / self.shrink)
                image = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
                image = cv2.resize(image, (crop_px, crop_px), interpolation=cv2.INTER_LINEAR)
            if self.blur > 0.2:
                image = cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), self.blur)
            value = table.astype(np.float32)[image] * np.array(self.gain, np.float32) * light
            grey = value.mean(-1, keepdims=True)
            value = grey + (value - grey) * np.float32(self.saturation)
            if self.noise > 0.3:
                value += rng.normal(0, self.noise, value.shape).astype(np.float32)
            image = np.clip(value, 0, 255).astype(np.uint8)
            if self.jpeg:
                ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self.jpeg])
                image = cv2.imdecode(data, cv2.IMREAD_COLOR) if ok else image
            out[t] = image
        return out
