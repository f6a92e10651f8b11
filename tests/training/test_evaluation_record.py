"""`omnisync evaluate --record`: figures of an executor and variant, kept beside the weights."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")

from engine.engine import WEIGHTS
from engine.runtime.measured import Figures, measured
from engine.runtime.protocol import Manifest
from training.evaluate import _parse, _record
from training.evaluation.report import Verdict

pytestmark = pytest.mark.torch


def test_figures_are_kept_beside_the_weights(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(WEIGHTS, weights, ignore=shutil.ignore_patterns("variants.json"))
    for runtime, r in (("onnxruntime:fp32", 0.86123456), ("openvino:bf16", 0.85)):
        _record(weights, runtime, Verdict("strangers", [], {"r": r, "sharpness": 0.84}, []))
    assert measured(Manifest.read(weights)) == {
        "onnxruntime:fp32": Figures(0.8612, 0.84),
        "openvino:bf16": Figures(0.85, 0.84),
    }


@pytest.mark.parametrize(
    "given", [["--quick"], ["--sets", "portraits"], ["--slots", "2"], ["--strength", "1.5"]]
)
def test_only_the_whole_set_at_usual_settings_is_recorded(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _parse(["--sets", "strangers", "--record"]).record
    with pytest.raises(SystemExit):
        _parse([*given, "--record"])
    assert "--record is for the whole set" in capsys.readouterr().err
