"""Which denoiser edits: what has no landmarks in the box that was dragged is a drawing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine import LipSyncEngine, Person
from engine.engine import WEIGHTS
from engine.face.paste import Moves
from tests.engine.test_personal import write_person

BOX = (200.0, 100.0, 200.0, 240.0)
FACE = Path(__file__).parent / "rendered_head.jpg"


@pytest.fixture(scope="module")
def engine() -> LipSyncEngine:
    return LipSyncEngine.load(runtime="onnxruntime")


def drawing() -> np.ndarray:
    picture = np.full((480, 640, 3), 230, np.uint8)
    cv2.ellipse(picture, (300, 220), (100, 120), 0, 0, 360, (250, 210, 60), -1)
    cv2.ellipse(picture, (300, 270), (40, 14), 0, 0, 360, (120, 20, 20), -1)
    return picture


def test_drawings_have_a_denoiser_of_their_own(engine: LipSyncEngine) -> None:
    stream = engine.open_stream(face_box=BOX)
    given = stream.prepare(drawing())
    assert given is not None
    assert engine.drawn is not None
    assert given.denoiser is stream.denoiser is engine.drawn
    own, general = engine.denoise([given, replace(given, denoiser=None)])
    assert np.abs(own - general).mean() > 0.001


def test_a_face_in_the_box_is_none(engine: LipSyncEngine) -> None:
    picture = cv2.cvtColor(cv2.imread(str(FACE)), cv2.COLOR_BGR2RGB)
    height, width = picture.shape[:2]
    stream = engine.open_stream(face_box=(0.1 * width, 0.05 * height, 0.8 * width, 0.9 * height))
    for _ in range(3):
        stream.prepare(picture)
        stream.finish(None)
    assert stream._follower._tracking
    assert stream.denoiser is None
    stream.prepare(drawing())  # something was held before the camera
    stream.finish(None)
    assert not stream._follower._tracking
    assert stream.denoiser is None
    stream.face_box = BOX
    stream.prepare(drawing())
    assert stream.denoiser is engine.drawn


def test_nothing_stands_before_a_drawing(
    engine: LipSyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = engine.move

    def all_covered(latent: np.ndarray, source: np.ndarray) -> Moves:
        moved = move(latent, source)
        return replace(moved, covered=np.ones_like(moved.covered))

    monkeypatch.setattr(engine, "move", all_covered)
    stream = engine.open_stream(face_box=BOX)
    for _ in range(5):
        stream.push_frame(drawing())
    held = stream._window.slots[-1].payload
    assert held.drawn
    assert held.cover is None
    moves = all_covered(*2 * (engine.encode(held.crop),))
    assert stream._covering(held, moves) is None
    grid = engine.grids_of(engine.drawn)[3]
    np.testing.assert_allclose(stream._window.levels, grid[:-1])  # one has left
    before_a_face = stream._covering(replace(held, drawn=False), moves)
    assert before_a_face is not None
    assert before_a_face.share.min() == 1


def test_a_person_goes_first(tmp_path: Path, engine: LipSyncEngine) -> None:
    person = Person.read(write_person(tmp_path, "ada", "int8"))
    stream = engine.open_stream(face_box=BOX, person=person)
    stream.prepare(drawing())
    assert stream.denoiser is not None
    assert stream.denoiser.person == person


def test_weights_without_it_edit_drawings_too(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(WEIGHTS, weights)
    stored = json.loads((weights / "manifest.json").read_text())
    for files in stored["files"].values():
        files.pop("drawn", None)
    (weights / "manifest.json").write_text(json.dumps(stored))
    engine = LipSyncEngine.load(weights, "onnxruntime")
    stream = engine.open_stream(face_box=BOX)
    given = stream.prepare(drawing())
    assert given is not None
    assert given.denoiser is engine.drawn is None
