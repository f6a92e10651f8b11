"""`omnisync export`: what is missing is one line that names the extra."""

import subprocess
import sys

import pytest

from export.cli import main
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("arguments", "module", "missing", "extra"),
    [
        (["--runs", "runs"], "export.weights", "torch", "export"),
        (["tensorrt"], "export.tensorrt", "onnx", "gpu"),
        (["tensorrt", "--ahead-of-time"], "export.tensorrt", "onnx", "aot"),
    ],
)
def test_a_missing_library_is_one_line(
    arguments: list[str],
    module: str,
    missing: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert told == f"omnisync export: needs {missing}: pip install -e '.[{extra}]'\n"


def test_what_tensorrt_needs_is_not_torch() -> None:
    pytest.importorskip("onnx")
    code = "import sys; sys.modules['torch'] = None; import export.tensorrt"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
