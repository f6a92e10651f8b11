"""MediaPipe's FaceLandmarker bundle: where it lies, and the face mesh that is in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

from training.lip_pose import LIPS_INNER
from training.splits import data_dir

VARIABLE = "OMNISYNC_LANDMARKER"
MODEL = "helpers/face_landmarker_v2_with_blendshapes.task"
PUBLIC = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker"
    "/float16/1/face_landmarker.task"
)
METADATA = "geometry_pipeline_metadata_landmarks.binarypb"
# Fields of MediaPipe's GeometryPipelineMetadata and Mesh3d messages.
_MESH, _CORNER = 1, 4
_NUMBER, _FOUR_BYTES = 0, 5  # wire types; what else there is has a length before it
# The rims of eyes and nostrils. The bundle's mesh fills these and the mouth, the data folder's
# leaves them open.
HOLES = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246,
    362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398,
    20, 59, 60, 75, 79, 166, 238, 239, 250, 289, 290, 305, 309, 392, 458, 459,
)  # fmt: skip


def landmarker_bundle() -> Path:
    """$OMNISYNC_LANDMARKER, or the data folder's.

    Raises:
        FileNotFoundError: neither is there.
        OSError: it is no such bundle.
    """
    named = os.environ.get(VARIABLE)
    try:
        path = Path(named) if named else data_dir() / MODEL
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"no FaceLandmarker to judge by: point {VARIABLE} at its bundle ({PUBLIC}),"
            " or OMNISYNC_DATA at the data folder"
        ) from error
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; it is to be FaceLandmarker's bundle")
    if not is_zipfile(path):
        raise OSError(f"{path}: is no bundle of FaceLandmarker's ({PUBLIC})")
    return path


def canonical_mesh() -> NDArray[np.int32]:
    """Triangles (840, 3) of FaceLandmarker's first 468 points, eyes, nostrils and mouth left open:
    the data folder's or, without one, the bundle's. Raises as `landmarker_bundle` does.
    """
    try:
        path = data_dir() / "heads" / "mediapipe_canonical_face_model.obj"
    except FileNotFoundError:
        return bundled_mesh()
    with path.open() as lines:
        corners = [line.split()[1:4] for line in lines if line.startswith("f ")]
    return np.array([[int(v.split("/")[0]) - 1 for v in face] for face in corners], np.int32)


def bundled_mesh() -> NDArray[np.int32]:
    """The same triangles, in another order, out of the bundle."""
    with ZipFile(landmarker_bundle()) as bundle:
        metadata = bundle.read(METADATA)
    mesh = next(value for name, value in _fields(metadata) if name == _MESH)
    assert isinstance(mesh, bytes)
    corners = [value for name, value in _fields(mesh) if name == _CORNER]
    faces = np.array(corners, np.int32).reshape(-1, 3)
    return faces[~np.isin(faces, [*HOLES, *LIPS_INNER]).all(1)]


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a Protocol Buffers message."""
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        if tag & 7 == _NUMBER:
            value, at = _number(message, at)
            yield tag >> 3, value
            continue
        length, at = (4, at) if tag & 7 == _FOUR_BYTES else _number(message, at)
        yield tag >> 3, message[at : at + length]
        at += length


def _number(message: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, seven bits a byte, lowest first; and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
