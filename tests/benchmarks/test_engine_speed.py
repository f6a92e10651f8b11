"""The engine alone: what is measured, told and kept."""

import json
from pathlib import Path

import pytest

from benchmarks import engine_speed, product_limit
from benchmarks.cli import main
from engine.runtime.choice import Choice

from .house import DEMO

MATERIAL = ["--picture", str(DEMO / "face.mp4"), "--voice", str(DEMO / "voice.mp3")]


def test_graphs_ticks_clip_and_dub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_speed, "QUICK_COUNT", 2)
    monkeypatch.setattr(product_limit, "SIDE", 64)
    arguments = ["--quick", "--seconds", "0.4", "--runtime", "onnxruntime:int8"]
    assert main(["engine", *arguments, *MATERIAL, "--output", str(tmp_path)]) == 0
    stored = json.loads((tmp_path / "engine.json").read_text())
    (model,) = stored["models"]
    assert model["name"] == "onnxruntime:int8"
    assert {graph["graph"] for graph in model["graphs"]} >= {"encoder", "denoiser", "decoder"}
    assert all(graph["spent"]["p50"] > 0 for graph in model["graphs"])
    assert [(tick["slots"], tick["batch"]) for tick in model["ticks"]] == [(3, 1)]
    assert any(target["name"].startswith("model tick") for target in stored["targets"])
    assert stored["dub_speed"] > 0


def test_unknown_runtime_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["engine", "--runtime", "cobol", *MATERIAL, "--output", str(tmp_path)]
    assert main(arguments) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "cobol" in error and "onnxruntime:int8" in error


def test_what_cannot_run_says_why() -> None:
    offered = [Choice("onnxruntime", "fp32"), Choice("tensorrt", "fp16", "no NVIDIA GPU")]
    (first, _) = engine_speed._remarks(offered, [], 1.0)
    assert first == "tensorrt:fp16 cannot run here: no NVIDIA GPU"
