"""What ships, and who may import whom."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel

from engine.runtime.plans import FOLDER

ROOT = Path(__file__).parent.parent
WEIGHTS_LIMIT_BYTES = 60_000_000
DEMO_LIMIT_BYTES = 3_000_000

TRAINING_ONLY = {"torch", "torchaudio", "onnx", "onnxscript", "numba", "scipy", "matplotlib"}
NETWORK = {"asyncio", "aiohttp", "aiortc", "aioice", "uvloop", "socket"}
OFFLINE = {"export", "training", "benchmarks"}
FORBIDDEN = {
    "engine": OFFLINE | NETWORK | {"streaming", "server"},
    "streaming": OFFLINE | TRAINING_ONLY | {"server"},
    "export": {"streaming", "server"},
    "training": {"streaming", "server"},
}


def imported_names(path: Path) -> set[str]:
    """Top-level names that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_go_one_way(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = {
        str(path.relative_to(ROOT)): bad
        for path in files
        if (bad := imported_names(path) & FORBIDDEN[package])
    }
    assert not wrong


def test_only_the_model_definitions_import_training_libraries() -> None:
    wrong = {
        str(path.relative_to(ROOT)): bad
        for path in (ROOT / "engine").rglob("*.py")
        if ROOT / "engine" / "model" not in path.parents
        and (bad := imported_names(path) & TRAINING_ONLY)
    }
    assert not wrong


def test_serving_imports_no_training_library() -> None:
    code = (
        "import sys, server, engine, engine.dub, streaming.app\n"
        f"print(*sorted({TRAINING_ONLY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_weights_fit_the_limit() -> None:
    weights = ROOT / "engine" / "weights"
    own = weights / FOLDER  # what this machine made for its GPU does not ship
    files = [path for path in weights.rglob("*") if path.is_file() and own not in path.parents]
    assert any(path.suffix == ".onnx" for path in files)
    assert sum(path.stat().st_size for path in files) < WEIGHTS_LIMIT_BYTES


def test_demo_has_a_face_and_a_voice_within_the_limit() -> None:
    demo = [path for path in (ROOT / "web_client" / "demo").iterdir() if path.is_file()]
    assert {path.stem for path in demo} >= {"face", "voice"}
    assert sum(path.stat().st_size for path in demo) < DEMO_LIMIT_BYTES


def test_constraints_pin_every_direct_dependency_and_hold_no_address() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    wanted = {
        line.split("[")[0].split(">")[0].split(";")[0].strip().lower()
        for line in project["dependencies"] + extras
    }
    constraints = (ROOT / "constraints.txt").read_text()
    pinned = {line.split("==")[0].lower() for line in constraints.splitlines()}
    assert wanted - {"omnisync-live"} <= pinned
    assert "://" not in constraints


def test_wheel_carries_the_page_the_weights_and_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    names = set(zipfile.ZipFile(tmp_path / build_wheel(str(tmp_path))).namelist())
    assert {"server.py", "web_client/index.html", "engine/weights/manifest.json"} <= names
    assert not any(name.startswith(("tests/", "docs/")) for name in names)
