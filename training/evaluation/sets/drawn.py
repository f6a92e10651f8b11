"""Faces that `training.drawing` draws from seeds that no training may draw (from FIRST_TEST on,
which `training.drawn` refuses), their drawn mouths talking otherwise, with a face box as a user
would drag it. The hand that drew them drew the drawings of training too: what they show is another
face, not another style; pytoon's (`cartoon`) are that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.drawing.face import Face
from training.drawing.mouth import Articulation, Mouth, articulations
from training.drawing.sheet import Sheet
from training.drawn import FINER, FIRST_TEST
from training.evaluation.clip import Box, Clip, Group, Judge, Picture
from training.evaluation.stock import Plan, Stock
from training.lip_pose import POSE_POINTS, PoseBasis, displacements

HERE = Path(__file__)
Rgb = NDArray[np.uint8]
# The first six whose true mouths, as `frames` draws them, the judge reads at r .97 or better: faces
# whose shading, whiskers or chin lie in the mouth's box it cannot judge.
SEEDS = tuple(FIRST_TEST + k for k in (2, 4, 6, 8, 9, 10))
SIZE_PX = 480
UNIT_PX = 92.0  # of a drawing unit: the eyes lie two of them apart at most
EYES_PX = (240.0, 200.0)
# Farther than GRID's speaker goes, open and shut.
FARTHEST = (Articulation(0.3, 0.0, 0.05), Articulation(0.0, 0.05, -0.05))
EDGE = 0.12  # of skin round them, drawing units
# All of a lip's way, not of a few components of it.
_WAY = 2 * len(POSE_POINTS)
WHOLE = PoseBasis(np.zeros(_WAY, np.float32), np.eye(_WAY, dtype=np.float32), 1.0)


@dataclass(frozen=True)
class DrawnFace:
    """A face and its mouth, of one seed."""

    face: Face
    mouth: Mouth

    @classmethod
    def of(cls, seed: int) -> DrawnFace:
        """As `training.drawn` draws them."""
        rng = np.random.default_rng([seed, 5])
        face = Face.sample(rng)
        room = face.width_at(face.mouth_y)
        mouth = Mouth.sample(rng, 0.0, face.mouth_y, room, face.skin, face.ink)
        return cls(face, mouth.as_mascots(rng, room) if face.mascot else mouth)

    def frames(self, lips: list[Articulation]) -> Rgb:
        """(T, SIZE_PX, SIZE_PX, 3)."""
        size = FINER * SIZE_PX
        sheet = Sheet(
            np.zeros((size, size, 3), np.uint8),
            FINER * UNIT_PX,
            (FINER * EYES_PX[0] - 0.5, FINER * EYES_PX[1] - 0.5),
        )
        self.face.draw(sheet, blink=False)
        still, out = sheet.pixels.copy(), []
        for one in lips:
            sheet.pixels[:] = still
            self.mouth.draw(sheet, one)
            out.append(cv2.resize(sheet.pixels, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA))
        return np.stack(out)

    @property
    def face_box(self) -> Box:
        """Round the head, its outline and its ears."""
        outline = self.face.outline(self.face.weight)
        ears = np.array([0.16 if self.face.ears == "round" else 0.0, 0.0])
        return _box(outline.min(0) - ears, outline.max(0) + ears)

    @property
    def mouth_box(self) -> Box:
        """All that the mouth reaches, and skin round it."""
        reach = np.concatenate([e for lips in FARTHEST for e in self.mouth.edges(lips)])
        return _box(reach.min(0) - EDGE, reach.max(0) + EDGE)


def _box(low: NDArray[np.float64], high: NDArray[np.float64]) -> Box:
    """Corners in drawing units -> x, y, width, height in pixels."""
    (x, y), (width, height) = low * UNIT_PX + EYES_PX, (high - low) * UNIT_PX
    return float(x), float(y), float(width), float(height)


def _talking(face: DrawnFace, points: NDArray[np.float32]) -> Picture:
    """points (T, 478, 2): of the sentence that its mouth says."""
    lips = articulations(WHOLE, displacements(points))
    return Picture(face.frames(lips), face_box=face.face_box, mouth=face.mouth_box)


def drawn(stock: Stock, plan: Plan) -> list[Clip]:
    """Each says one of GRID's training sentences by itself."""
    said = [p for p in stock.trained.values() if not np.isnan(p).any()]
    clips = []
    for k in plan.some(len(SEEDS), 2):
        seed = SEEDS[k]
        make = partial(_talking, DrawnFace.of(seed), said[k])
        source = stock.source(f"drawn {seed}", HERE, make)
        drive = stock.drive(6100 + k, plan.seconds)
        clips.append(Clip(f"drawn {seed}", Group.STYLISED, source, drive, Judge.DRAWN))
    return clips
