"""The landmark net trains two steps on made-up pictures, leaves a graph, and goes on where it was
stopped.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnxruntime  # noqa: E402

from engine.face.points import COUNT  # noqa: E402
from training import landmarks  # noqa: E402

pytestmark = pytest.mark.torch
SIDE, FRAMES = 96, 3


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options that name a portrait, a clip and two rendered heads, all of them noise."""
    rng = np.random.default_rng(0)
    data, labels, heads = tmp_path / "data", tmp_path / "labels", tmp_path / "heads.npz"
    for folder in ("portraits", "grid_s1"):
        (data / folder).mkdir(parents=True)
        (labels / folder).mkdir(parents=True)
    held = {"test": [], "validation": []}
    (data / "split.json").write_text(json.dumps({"grid_s1": held, "portraits": held}))
    monkeypatch.setenv("OMNISYNC_DATA", str(data))

    def noise(count: int) -> np.ndarray:
        return rng.integers(0, 255, (count, SIDE, SIDE, 3), dtype=np.uint8)

    def points(count: int, of: int) -> np.ndarray:
        return rng.uniform(20, SIDE - 20, (count, of, 2)).astype(np.float32)

    cv2.imwrite(str(data / "portraits" / "p.jpg"), noise(1)[0])
    np.savez(labels / "portraits" / "p.npz", points=points(1, 478))
    code = cv2.VideoWriter.fourcc(*"mp4v")
    clip = cv2.VideoWriter(str(data / "grid_s1" / "aaaa0a.mp4"), code, 25, (SIDE, SIDE))
    for frame in noise(FRAMES):
        clip.write(frame)
    clip.release()
    np.savez(labels / "grid_s1" / "aaaa0a.npz", points=points(FRAMES, 478))
    np.savez(
        heads,
        rgb=noise(2),
        points=points(2, COUNT),
        visible=rng.random((2, COUNT)) < 0.8,
        yaw=np.zeros(2, np.float32),
        seeds=np.arange(2, dtype=np.int32),
    )
    run, graph = tmp_path / "run", tmp_path / "landmarks.onnx"
    return [
        *("--labels", str(labels), "--heads", str(heads)),
        *("--run", str(run), "--output", str(graph)),
    ]


def test_trains_exports_and_goes_on(pictures: list[str], tmp_path: Path) -> None:
    run, graph = tmp_path / "run" / "landmarks.pt", tmp_path / "landmarks.onnx"
    assert landmarks.main([*pictures, "--steps", "2"]) == 0
    stored = torch.load(run, weights_only=True)
    assert set(stored) == {"step", "weights", "facts", "config"}
    assert stored["step"] == 2
    patch = np.zeros((1, 96, 96, 3), np.uint8)
    first = onnxruntime.InferenceSession(str(graph)).run(None, {"patch": patch})[0]
    assert first.shape == (1, COUNT, 2)

    stored["weights"]["points.bias"] += 2.0
    torch.save(stored, run)
    assert landmarks.main([*pictures, "--steps", "2"]) == 0  # it was done: only the graph is new
    again = onnxruntime.InferenceSession(str(graph)).run(None, {"patch": patch})[0]
    np.testing.assert_allclose(again, first + 0.25 * 2.0, atol=1e-4)

    assert landmarks.main([*pictures, "--steps", "4"]) == 0
    resumed = torch.load(run, weights_only=True)
    assert resumed["step"] == 4
    weights = (stored["weights"], resumed["weights"])
    before, after = (torch.cat([w["points.bias"], w["points.weight"].flatten()]) for w in weights)
    assert 0 < (after - before).abs().max() < 0.02
    curve = json.loads(run.with_suffix(".curve.json").read_text())
    assert [step for step, _ in curve["point error"]] == [2, 4]
    assert run.with_suffix(".curve.png").exists()


def test_nothing_to_export_ends_in_one_line(
    pictures: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        landmarks.main([*pictures, "--export-only"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "landmarks.pt: No such file" in told and told.count("\n") == 1
