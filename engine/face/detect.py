"""First detection of faces with OpenCV's Haar cascades, one cascade a call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError
from engine.face.patch import Patch

SEARCH_PX = 240  # shorter side of the picture that the cascades see
SMALLEST = 0.13  # of that side
# Where a cascade's box (x, y, w, h) lies about a face, measured on portraits and rendered heads:
# the patch's centre in box widths from the box's centre, and its side in box widths.
FRONTAL_FIT = (0.0, 0.085, 1.0)
PROFILE_FIT = (-0.15, 0.08, 0.85)


@dataclass(frozen=True, slots=True)
class _Cascade:
    classifier: cv2.CascadeClassifier
    mirrored: bool
    fit: tuple[float, float, float]


def _load(name: str) -> cv2.CascadeClassifier:
    folder = Path(cv2.__file__).parent / "data"
    classifier = cv2.CascadeClassifier(str(folder / f"haarcascade_{name}.xml"))
    if classifier.empty():
        raise EngineError(
            f"OpenCV ships no cascade {name}: install opencv-python-headless>=4.10,<5"
        )
    return classifier


class FaceDetector:
    """Proposes patches where a face may be. Not thread-safe: each stream has its own."""

    def __init__(self) -> None:
        frontal, profile = _load("frontalface_alt2"), _load("profileface")
        self._cycle = (
            _Cascade(frontal, False, FRONTAL_FIT),
            _Cascade(profile, False, PROFILE_FIT),
            _Cascade(profile, True, PROFILE_FIT),
        )
        self._turn = 0

    def reset(self) -> None:
        """The next search begins with the frontal cascade."""
        self._turn = 0

    def search(self, rgb: NDArray[np.uint8]) -> list[Patch]:
        """Runs the next cascade over `rgb` uint8 (H, W, 3); three calls see all of them.

        Takes 3-10 ms on one core. Patches come largest first, in pixels of `rgb`.
        """
        cascade = self._cycle[self._turn % len(self._cycle)]
        self._turn += 1
        height, width = rgb.shape[:2]
        scale = max(1.0, min(height, width) / SEARCH_PX)
        size = (max(1, round(width / scale)), max(1, round(height / scale)))
        grey = cv2.cvtColor(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        grey = cv2.equalizeHist(grey)
        if cascade.mirrored:
            grey = cv2.flip(grey, 1)
        smallest = round(SMALLEST * min(size))
        boxes = cascade.classifier.detectMultiScale(
            grey, scaleFactor=1.15, minNeighbors=2, minSize=(smallest, smallest)
        )
        patches = []
        for x, y, w, h in boxes:
            centre_x = size[0] - x - w / 2 if cascade.mirrored else x + w / 2
            sign = -1.0 if cascade.mirrored else 1.0
            right, down, side = cascade.fit
            patches.append(
                Patch(
                    float(centre_x + sign * right * w) * width / size[0],
                    float(y + h / 2 + down * w) * height / size[1],
                    float(side * w) * width / size[0],
                    0.0,
                )
            )
        return sorted(patches, key=lambda patch: -patch.side)
