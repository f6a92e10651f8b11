"""Follows one face from frame to frame by its own points; finds it, and again when it was lost."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.face.detect import FaceDetector
from engine.face.patch import Patch
from engine.face.scan import Scan
from engine.face.smooth import PointFilter

F32 = NDArray[np.float32]
Box = tuple[float, float, float, float]  # x, y, width, height in pixels
# uint8 (1, 96, 96, 3) -> points (1, 39, 2) in patch units, confidence logits (1,)
LandmarkGraph = Callable[[NDArray[np.uint8]], tuple[F32, F32]]

FOUND, KEPT = 0.8, 0.4  # confidence that a new face must reach, and that a followed one must keep
# Who drags a box often has a drawing in it, of which points tell less than the box does: real and
# painted faces reach .99.
FOUND_IN_BOX = 0.98
SMALLEST_SIDE_PX = 32.0
BOX_HEIGHT, BOX_DOWN = 1.12, 0.05  # patch side and centre for a hand-drawn box, in its heights
REST = 0.002  # in patch sides: where the net looks stays while the face moves less
CANDIDATES = 3  # proposals of a cascade that are looked at
SCANNED = 10  # patches of the scan that are looked at a frame
# Cascades and scan take turns. After three seconds without a face every third frame is searched.
REST_AFTER, REST_FRAMES = 75, 3


@dataclass(frozen=True, slots=True)
class Face:
    """A followed face: points (39, 2) in frame pixels in the order of engine.face.points."""

    points: F32
    confidence: float


class FaceFollower:
    """One stream's face. `follow` once a frame, from one thread at a time.

    patient: no frame waits for its time, so each is searched in both ways, the first one all over.
    """

    def __init__(self, landmarks: LandmarkGraph, patient: bool = False) -> None:
        self._landmarks = landmarks
        self._patient = patient
        self._detector = FaceDetector()
        self._scan = Scan()
        self._filter = PointFilter()
        self._last: Patch | None = None  # where the face was, also after it was lost
        self._box: Box | None = None
        self._tracking = False
        self._missing = 0  # frames since it was lost
        self._searches = 0

    def reset(self) -> None:
        """Forgets the face: the next one found is the largest."""
        self._detector.reset()
        self._scan.reset()
        self._searches = 0
        self._last = None
        self._lose()
        self._missing = 0

    def follow(self, rgb: NDArray[np.uint8], box: Box | None = None) -> Face | None:
        """The face in `rgb` uint8 (H, W, 3), or None.

        A hand-drawn `box` (x, y, w, h) in pixels replaces detection: only a face whose centre lies
        inside it is followed.
        """
        if box is not None and box != self._box:
            self._lose()  # what a detector found may be too little in a box
        self._box = box
        face = self._keep(rgb, box) if self._tracking else None
        if face is None:
            face = self._find(rgb, box)
        if face is None:
            self._missing += 1
            return None
        self._missing = 0
        return face

    def _keep(self, rgb: NDArray[np.uint8], box: Box | None) -> Face | None:
        """The face where it was a frame ago."""
        assert self._last is not None
        face = self._look(rgb, self._last)
        patch = Patch.around(face.points)
        change = patch.side / self._last.side
        jumped = np.hypot(patch.x - self._last.x, patch.y - self._last.y) > 0.5 * self._last.side
        if face.confidence < KEPT or jumped or not 0.6 < change < 1.6 or not _allowed(patch, box):
            self._lose()
            return None
        return self._accept(face)

    def _find(self, rgb: NDArray[np.uint8], box: Box | None) -> Face | None:
        """The first proposal that is a face."""
        for proposal in self._proposals(rgb, box):
            rough = self._look(rgb, proposal)
            if rough.confidence < KEPT:
                continue
            face = self._look(rgb, Patch.around(rough.points))
            patch = Patch.around(face.points)
            large = patch.side >= SMALLEST_SIDE_PX
            sure = face.confidence >= (FOUND if box is None else FOUND_IN_BOX)
            if sure and large and _allowed(patch, box):
                self._filter.reset()
                return self._accept(face)
        return None

    def _proposals(self, rgb: NDArray[np.uint8], box: Box | None) -> list[Patch]:
        """Where to look in this frame: the largest first, or what is nearest to the last face."""
        if box is not None:
            return [_patch_of(box)]
        if not self._patient and self._missing > REST_AFTER and self._missing % REST_FRAMES:
            return []
        self._searches += 1
        last = [] if self._last is None else [self._last]
        if self._patient:
            return last + self._detected(rgb) + self._scanned(rgb, all_over=self._searches == 1)
        return last + (self._detected(rgb) if self._searches % 2 else self._scanned(rgb))

    def _detected(self, rgb: NDArray[np.uint8]) -> list[Patch]:
        proposals = self._detector.search(rgb)
        if self._last is not None:
            x, y = self._last.x, self._last.y
            proposals.sort(key=lambda p: (p.x - x) ** 2 + (p.y - y) ** 2)
        return proposals[:CANDIDATES]

    def _scanned(self, rgb: NDArray[np.uint8], all_over: bool = False) -> list[Patch]:
        height, width = rgb.shape[:2]
        return list(self._scan.step(width, height, sys.maxsize if all_over else SCANNED))

    def _look(self, rgb: NDArray[np.uint8], patch: Patch) -> Face:
        points, logits = self._landmarks(patch.cut(rgb)[None])
        confidence = 1.0 / (1.0 + np.exp(-float(np.clip(logits[0], -30, 30))))
        return Face(patch.to_picture(points[0]), confidence)

    def _accept(self, face: Face) -> Face:
        patch = Patch.around(face.points)
        steady = self._filter.step(face.points, patch.side)
        patch = Patch.around(steady)
        # What the net says depends on where it looks: a patch that followed every rounding of the
        # points would never come to rest, not even on a still picture.
        if not self._tracking or self._last is None or patch.distance(self._last) > REST:
            self._last = patch
        self._tracking = True
        return Face(steady, face.confidence)

    def _lose(self) -> None:
        self._tracking = False
        self._filter.reset()


def _patch_of(box: Box) -> Patch:
    x, y, w, h = box
    return Patch(x + w / 2, y + h * (0.5 + BOX_DOWN), BOX_HEIGHT * h, 0.0)


def _allowed(patch: Patch, box: Box | None) -> bool:
    """Whether the patch's centre is inside the box, if there is one."""
    if box is None:
        return True
    x, y, w, h = box
    return x <= patch.x <= x + w and y <= patch.y <= y + h
