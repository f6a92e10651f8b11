"""Following a face with the shipped landmark net: a rendered head (seed 1000000) it never saw."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from engine.face import follow
from engine.face.detect import FaceDetector
from engine.face.follow import FaceFollower
from engine.face.points import EYES, MOUTH

HERE = Path(__file__).parent
WEIGHTS = HERE.parents[1] / "engine" / "weights" / "landmarks.onnx"
GREY = (96, 104, 110)
Graph = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def graph() -> Graph:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(WEIGHTS), options)

    def run(patch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points, confidence = session.run(None, {"patch": patch})
        return points, confidence

    return run


@pytest.fixture(scope="module")
def head() -> tuple[np.ndarray, np.ndarray]:
    """A rendered head, uint8 (192, 192, 3), and its exact points (39, 2)."""
    picture = cv2.imread(str(HERE / "rendered_head.jpg"))[..., ::-1]
    return picture, np.array(json.loads((HERE / "rendered_head.json").read_text()), np.float32)


def scene(*faces: tuple[np.ndarray, int, int, int]) -> np.ndarray:
    """A 640x480 frame with pictures (rgb, x, y, size) laid into it."""
    frame = np.full((480, 640, 3), GREY, np.uint8)
    for rgb, x, y, size in faces:
        part = cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA)
        visible = frame[y : y + size, max(x, 0) : x + size]
        visible[:] = part[: visible.shape[0], max(-x, 0) : max(-x, 0) + visible.shape[1]]
    return frame


def placed(points: np.ndarray, x: int, y: int, size: int) -> np.ndarray:
    """Points of the 192 px picture in the frame; pixel centres are at integers."""
    return (points + 0.5) * size / 192 - 0.5 + np.array([x, y])


def found_within(follower: FaceFollower, frame: np.ndarray, frames: int) -> bool:
    return any(follower.follow(frame) is not None for _ in range(frames))


def error(points: np.ndarray, true: np.ndarray) -> float:
    """Mean distance in outer eye distances."""
    eyes = np.linalg.norm(true[0] - true[3])
    return float(np.linalg.norm(points - true, axis=1).mean() / eyes)


def test_finds_the_face_and_its_points(graph: Graph, head: tuple[np.ndarray, np.ndarray]) -> None:
    rgb, true = head
    follower = FaceFollower(graph)
    frame = scene((rgb, 150, 60, 360))
    assert found_within(follower, frame, 8)
    for _ in range(5):
        face = follower.follow(frame)
    assert face is not None and face.confidence > 0.9
    want = placed(true, 150, 60, 360)
    assert error(face.points, want) < 0.08
    assert error(face.points[EYES], want[EYES]) < 0.08


def test_a_still_face_comes_to_rest(graph: Graph, head: tuple[np.ndarray, np.ndarray]) -> None:
    follower = FaceFollower(graph)
    frame = scene((head[0], 150, 60, 360))
    assert found_within(follower, frame, 8)
    points = [face.points for _ in range(60) if (face := follower.follow(frame)) is not None]
    assert len(points) == 60
    np.testing.assert_allclose(points[-20:], points[-1:] * 20, rtol=0, atol=1e-3)


def test_follows_a_moving_face(graph: Graph, head: tuple[np.ndarray, np.ndarray]) -> None:
    rgb, true = head
    follower = FaceFollower(graph)
    assert found_within(follower, scene((rgb, 20, 60, 330)), 8)
    for x in range(20, 260, 8):  # nearly a face width a second
        face = follower.follow(scene((rgb, x, 60, 330)))
        assert face is not None
    assert error(face.points, placed(true, x, 60, 330)) < 0.12


def test_resting_points_rest(graph: Graph, head: tuple[np.ndarray, np.ndarray]) -> None:
    rgb, _ = head
    rng = np.random.default_rng(0)
    frame = scene((rgb, 150, 60, 360)).astype(np.float32)
    follower = FaceFollower(graph)
    seen = []
    for _ in range(40):
        noisy = np.clip(frame + rng.normal(0, 4, frame.shape), 0, 255).astype(np.uint8)
        face = follower.follow(noisy)
        if face is not None:
            seen.append(face.points)
    assert len(seen) > 25
    still = np.stack(seen[10:])
    assert still.std(0)[EYES].mean() < 0.35  # of a pixel, in a face 200 px wide
    assert still.std(0)[MOUTH].mean() < 0.5


def test_lost_and_found_again(graph: Graph, head: tuple[np.ndarray, np.ndarray]) -> None:
    rgb, true = head
    follower = FaceFollower(graph)
    assert found_within(follower, scene((rgb, 40, 60, 340)), 8)
    assert all(follower.follow(scene()) is None for _ in range(10))
    back = scene((rgb, 280, 100, 340))
    assert found_within(follower, back, 12)
    for _ in range(5):
        face = follower.follow(back)
    assert face is not None and error(face.points, placed(true, 280, 100, 340)) < 0.08


def test_nothing_is_no_face(graph: Graph) -> None:
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (12, 16, 3)).astype(np.uint8)
    blobs = cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC)
    follower = FaceFollower(graph)
    assert not found_within(follower, blobs, 40)


def test_the_patient_find_a_tilted_face_on_the_first_frame_and_none_in_blobs(
    graph: Graph, head: tuple[np.ndarray, np.ndarray]
) -> None:
    turn = cv2.getRotationMatrix2D((96, 96), 25, 1)
    tilted = cv2.warpAffine(head[0], turn, (192, 192), borderValue=GREY)
    frame = scene((tilted, 150, 60, 300))
    assert FaceFollower(graph).follow(frame) is None  # a cascade alone does not see it
    face = FaceFollower(graph, patient=True).follow(frame)
    assert face is not None
    true = placed(head[1] @ turn[:, :2].T + turn[:, 2], 150, 60, 300)
    assert error(face.points, true) < 0.1
    small = np.random.default_rng(3).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    blobs = cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC)
    assert not found_within(FaceFollower(graph, patient=True), blobs, 40)


@pytest.mark.parametrize(("patient", "searched"), [(True, 12), (False, 3)])
def test_the_patient_search_every_frame_however_long_the_face_is_gone(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, patient: bool, searched: int
) -> None:
    monkeypatch.setattr(follow, "REST_AFTER", 3)
    searches = []
    monkeypatch.setattr(FaceDetector, "search", lambda self, rgb: searches.append(rgb) or [])
    follower = FaceFollower(graph, patient)
    assert not found_within(follower, scene(), 12)
    assert len(searches) == searched


def test_the_largest_face_then_the_same_one(
    graph: Graph, head: tuple[np.ndarray, np.ndarray]
) -> None:
    rgb, _ = head
    follower = FaceFollower(graph)
    assert found_within(follower, scene((rgb, 0, 60, 240), (rgb, 300, 40, 330)), 8)
    face = follower.follow(scene((rgb, 0, 60, 240), (rgb, 300, 40, 330)))
    assert face is not None and face.points[:, 0].mean() > 320
    for step in range(0, 90, 6):  # now the other one grows larger
        frame = scene((rgb, 0, 60, 240 + step), (rgb, 345, 60, 330 - step))
        face = follower.follow(frame)
        assert face is not None and face.points[:, 0].mean() > 320
    assert all(follower.follow(scene()) is None for _ in range(3))
    assert found_within(follower, frame, 4)
    face = follower.follow(frame)
    assert face is not None and face.points[:, 0].mean() > 320


def test_after_reset_the_largest_again(graph: Graph, head: tuple[np.ndarray, np.ndarray]) -> None:
    rgb, _ = head
    follower = FaceFollower(graph)
    assert found_within(follower, scene((rgb, 330, 40, 300)), 8)
    follower.reset()
    both = scene((rgb, 0, 60, 330), (rgb, 380, 60, 220))
    assert found_within(follower, both, 8)
    face = follower.follow(both)
    assert face is not None and face.points[:, 0].mean() < 320


def test_a_box_by_hand(graph: Graph, head: tuple[np.ndarray, np.ndarray]) -> None:
    rgb, true = head
    frame = scene((rgb, 0, 60, 240), (rgb, 300, 40, 330))
    want = placed(true, 0, 60, 240)
    low, high = want.min(0), want.max(0)
    box = (low[0], low[1] - 15, high[0] - low[0], high[1] - low[1] + 15)
    follower = FaceFollower(graph)
    faces = [follower.follow(frame, tuple(float(v) for v in box)) for _ in range(4)]
    assert faces[-1] is not None and error(faces[-1].points, want) < 0.1
    assert FaceFollower(graph).follow(frame, (520.0, 380.0, 100.0, 100.0)) is None


def test_in_a_box_points_must_be_surer(graph: Graph, head: tuple[np.ndarray, np.ndarray]) -> None:
    """A detector's face is followed on little; in a box that was dragged, the box is better."""
    logit = 2.0  # .88

    def unsure(patch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points, confidence = graph(patch)
        return points, np.full_like(confidence, logit)

    follower, frame = FaceFollower(unsure), scene((head[0], 220, 140, 230))
    box = (240.0, 150.0, 180.0, 220.0)
    assert found_within(follower, frame, 5)
    assert follower.follow(frame, box) is None
    logit = 5.0
    assert follower.follow(frame, box) is not None
    logit = 2.0  # something passes before it
    assert follower.follow(frame, box) is not None


def test_a_box_moved_elsewhere_lets_go(graph: Graph, head: tuple[np.ndarray, np.ndarray]) -> None:
    rgb, _ = head
    frame = scene((rgb, 300, 40, 330))
    follower = FaceFollower(graph)
    assert found_within(follower, frame, 8)
    assert follower.follow(frame, (10.0, 300.0, 120.0, 150.0)) is None


@pytest.mark.data
@pytest.mark.parametrize("yaw_deg", [-35, 35])
def test_profile_faces(graph: Graph, yaw_deg: int) -> None:
    from training.heads.head import Framing, Head

    errors = []
    for seed in (1_000_100, 1_000_101, 1_000_102):
        head = Head.sample(seed)
        yaw = float(np.radians(yaw_deg))
        picture = head.render({"jawOpen": 0.2}, yaw, 0.0, 0.0, 192, framing=Framing(0.5, 0.42, 0.2))
        frame = scene((picture.rgb, 140, 40, 400))
        follower = FaceFollower(graph)
        assert found_within(follower, frame, 16), seed
        face = follower.follow(frame)
        assert face is not None
        width = np.linalg.norm(np.ptp(picture.points, axis=0)) * 400 / 192 / 2.4
        gap = np.linalg.norm(face.points - placed(picture.points, 140, 40, 400), axis=1)
        errors.append(gap[picture.visible].mean() / width)
    assert np.mean(errors) < 0.1
