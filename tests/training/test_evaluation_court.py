"""A clip on its way through engine, judge and cache; FaceLandmarker's part is played by a face
whose points are known.
"""

from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("numba")

from engine import LipSyncEngine
from training.drives import Drive
from training.evaluation.clip import Clip, Group, Picture, Source
from training.evaluation.judging import Court
from training.evaluation.measure.measured import Measurer
from training.evaluation.stock import Stock

pytestmark = pytest.mark.data
FRAMES = 24


class KnownFace:
    """Labels every frame of a file with the same points."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = points
        self.asked: list[str] = []

    def submit(self, source: Path, target: Path, window: object = None) -> Future:
        self.asked.append(source.name)
        if not target.exists():
            count = len(np.load(source, mmap_mode="r"))
            np.savez(target, points=np.tile(self.points, (count, 1, 1)))
        done: Future = Future()
        done.set_result(target)
        return done


@pytest.fixture(scope="module")
def face(data_dir: Path) -> np.ndarray:
    path = data_dir / "heads" / "mediapipe_canonical_face_model.obj"
    rows = [line.split()[1:3] for line in path.open() if line.startswith("v ")]
    points = np.array(rows, np.float32) * [6, -6] + [100, 90]
    return np.concatenate([points, points[:10]]).astype(np.float32)


@pytest.fixture
def labeller(face: np.ndarray) -> KnownFace:
    return KnownFace(face)


@pytest.fixture
def source(tmp_path: Path, labeller: KnownFace) -> Source:
    rng = np.random.default_rng(0)
    frames = rng.integers(100, 140, (3, 200, 200, 3), dtype=np.uint8)
    cover = np.zeros((3, 200, 200), np.uint8)
    cover[:, 125:] = 255
    stock = Stock(tmp_path / "stock", labeller)  # type: ignore[arg-type]
    picture = Picture(frames, face_box=(50, 40, 100, 120), cover=cover, bare=frames)
    made = stock.source("noise", Path(__file__), lambda: picture)
    again = stock.source("noise", Path(__file__), lambda: pytest.fail("made twice"))
    np.testing.assert_array_equal(again.picture.frames, frames)
    assert again.picture.face_box == (50, 40, 100, 120)
    assert labeller.asked == ["bare.npy"] * 2  # what covers a face is not labelled
    return made


def clip_of(source: Source, repeats: int = 1) -> Clip:
    rng = np.random.default_rng(1)
    pcm = (3000 * rng.normal(size=640 * FRAMES)).astype(np.int16)
    return Clip(
        "noise", Group.REALISTIC, source, Drive("d", pcm, rng.random(FRAMES)), repeats=repeats
    )


def test_measures_of_a_clip_are_kept_by_what_made_them(
    tmp_path: Path, source: Source, labeller: KnownFace
) -> None:
    measurer = Measurer(LipSyncEngine.load(runtime="onnxruntime"), 1.0, lambda pcm, n: np.zeros(n))  # type: ignore[arg-type]
    clip = clip_of(source)
    court = Court(tmp_path, "weights-a", measurer, labeller)  # type: ignore[arg-type]
    ((_, m),) = court.judge([clip])
    assert len(m.output) == len(m.truth) == len(m.source) == FRAMES
    assert m.outside == 0
    assert (m.lost, m.engine_lost) == (0, 0)
    assert np.ptp(m.output) == 0  # the judge sees the same face everywhere
    assert m.texture_round_trip > m.texture > 0
    assert np.isfinite(m.cover_psnr)
    assert m.shots.output.shape == (12, 144, 144, 3)
    asked = len(labeller.asked)
    ((_, again),) = court.judge([clip])
    assert len(labeller.asked) == asked
    assert again.texture == m.texture
    court.close()
    assert not list(tmp_path.glob("frames-*"))
    other = Court(tmp_path, "weights-b", measurer, labeller)  # type: ignore[arg-type]
    list(other.judge([clip]))
    assert len(labeller.asked) > asked
    other.close()


def test_of_a_long_stream_the_first_and_last_turn_are_looked_at(
    tmp_path: Path, source: Source, labeller: KnownFace
) -> None:
    measurer = Measurer(LipSyncEngine.load(runtime="onnxruntime"), 1.0, lambda pcm, n: np.zeros(n))  # type: ignore[arg-type]
    clip = clip_of(source, repeats=3)
    rendered = measurer.render(clip, tmp_path / "frames.npy")
    frames = np.load(rendered.frames, mmap_mode="r")
    assert len(rendered.order) == 2 * FRAMES
    assert len(frames) == 2 * FRAMES + len(rendered.looks)
    # Three pictures there and back come round every four frames, and so does the sound.
    settled = slice(10, FRAMES)
    first, last = frames[:FRAMES][settled], frames[FRAMES : 2 * FRAMES][settled]
    assert np.abs(first.astype(int) - last).mean() < 1.0
