"""What a start picks: the fastest of those that sync as well as the exact one, remembered."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine import RuntimeUnavailableError, WeightsError
from engine.engine import WEIGHTS
from engine.runtime import calibrate
from engine.runtime.calibrate import fastest
from engine.runtime.choice import Choice
from engine.runtime.measured import FILE, Figures, measured, record, shortfall
from engine.runtime.plans import PlanCache
from engine.runtime.protocol import Manifest, Runtime

TICK_MS = {
    "onnxruntime:int8": 6.0,
    "onnxruntime:fp32": 20.0,
    "swift:bf16": 4.0,
    "swift:blurred": 1.0,
}
GOOD, BLURRED = Figures(0.86, 0.84), Figures(0.86, 0.80)


class Swift:
    """Stands for an executor that not every machine has."""

    name = "swift"

    def __init__(self, name: str) -> None:
        self.name, _, self.variant = name.partition(":")


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """The shipped weights' facts, with figures of their own, and a machine of four choices."""
    names = [*TICK_MS, "absent:fp16"]
    offered = [Choice(*n.split(":"), hindrance="absent" * n.startswith("absent")) for n in names]
    monkeypatch.setattr(calibrate, "choices", lambda manifest: offered)
    monkeypatch.setattr(calibrate, "start", lambda name, manifest, threads: Swift(name))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    manifest = replace(Manifest.read(WEIGHTS), folder=tmp_path)
    for name in names:
        record(manifest, name, BLURRED if "blurred" in name else GOOD)
    return manifest


@pytest.fixture
def tried() -> list[str]:
    return []


@pytest.fixture
def measure(tried: list[str]) -> Callable[[Runtime], float]:
    def tick_ms(runtime: Runtime) -> float:
        tried.append(f"{runtime.name}:{runtime.variant}")
        return TICK_MS[tried[-1]]

    return tick_ms


def picked(runtime: Runtime) -> str:
    return f"{runtime.name}:{runtime.variant}"


def test_the_fastest_that_loses_nothing(
    manifest: Manifest, measure: Callable[[Runtime], float], tried: list[str]
) -> None:
    assert picked(fastest(manifest, 1, measure)) == "swift:bf16"
    assert tried == ["onnxruntime:int8", "swift:bf16", "onnxruntime:fp32"]  # neither of the others


def test_a_later_start_tries_nothing(
    manifest: Manifest, measure: Callable[[Runtime], float], tried: list[str]
) -> None:
    fastest(manifest, 1, measure)
    tried.clear()
    assert picked(fastest(manifest, 1, measure)) == "swift:bf16"
    assert not tried
    fastest(manifest, 2, measure)  # threads of their own, a pick of their own
    assert tried


@pytest.mark.parametrize("changed", ["_version", "_cpu_name"])
def test_a_changed_machine_picks_anew(
    changed: str,
    manifest: Manifest,
    measure: Callable[[Runtime], float],
    tried: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fastest(manifest, 1, measure)
    tried.clear()
    monkeypatch.setattr(calibrate, changed, lambda *_: "another")
    fastest(manifest, 1, measure)
    assert tried


@pytest.mark.parametrize("content", ["", "[]", '{"facts": {}}'])
def test_a_cache_that_cannot_be_read_is_no_error(
    content: str, manifest: Manifest, measure: Callable[[Runtime], float], tmp_path: Path
) -> None:
    fastest(manifest, 1, measure)
    (kept,) = (tmp_path / "cache" / "omnisync").iterdir()
    kept.write_text(content)
    assert picked(fastest(manifest, 1, measure)) == "swift:bf16"
    assert json.loads(kept.read_text())["picked"] == "swift:bf16"


def test_a_cache_that_cannot_be_written_is_no_error(
    manifest: Manifest, measure: Callable[[Runtime], float], tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert picked(fastest(manifest, 1, measure)) == "swift:bf16"


def test_without_a_home_nothing_is_kept(
    manifest: Manifest, measure: Callable[[Runtime], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", home)
    assert picked(fastest(manifest, 1, measure)) == "swift:bf16"
    plans = PlanCache("gpu", "1")
    plans.keep(plans.timings, b"times")
    assert plans.read(plans.timings) is None


def test_time_runs_out(
    manifest: Manifest,
    measure: Callable[[Runtime], float],
    tried: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calibrate, "BUDGET_S", -1.0)
    assert picked(fastest(manifest, 1, measure)) == "onnxruntime:int8"
    assert tried == ["onnxruntime:int8"]


def test_one_that_does_not_start_is_passed_over(
    manifest: Manifest, measure: Callable[[Runtime], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(name: str, manifest: Manifest, threads: int) -> Swift:
        if name.startswith("swift"):
            raise RuntimeUnavailableError("broken")
        return Swift(name)

    monkeypatch.setattr(calibrate, "start", start)
    assert picked(fastest(manifest, 1, measure)) == "onnxruntime:int8"


def test_one_that_fails_when_it_is_timed_is_passed_over(
    manifest: Manifest, measure: Callable[[Runtime], float]
) -> None:
    def fails(runtime: Runtime) -> float:
        if runtime.name == "swift":
            raise WeightsError("refused to run a graph")
        return measure(runtime)

    assert picked(fastest(manifest, 1, fails)) == "onnxruntime:int8"


def test_without_figures_the_default_runs(
    manifest: Manifest, measure: Callable[[Runtime], float], tried: list[str]
) -> None:
    (manifest.folder / FILE).unlink()
    assert picked(fastest(manifest, 1, measure)) == f"onnxruntime:{manifest.default}"
    assert not tried


def test_figures_of_other_weights_do_not_count(manifest: Manifest) -> None:
    assert measured(manifest)["swift:bf16"] == GOOD
    assert not measured(replace(manifest, hashes={"denoiser.onnx": "other"}))


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_damaged_figures_are_one_clear_line(content: str, manifest: Manifest) -> None:
    (manifest.folder / FILE).write_text(content)
    with pytest.raises(WeightsError, match="is damaged"):
        measured(manifest)


def test_what_a_variant_may_lose() -> None:
    exact = {"onnxruntime:fp32": GOOD}
    assert not shortfall("a:b", exact | {"a:b": Figures(0.841, 0.816)})
    assert "of r" in shortfall("a:b", exact | {"a:b": Figures(0.839, 0.84)})
    assert "sharpness" in shortfall("a:b", exact | {"a:b": Figures(0.87, 0.81)})
    assert "not measured" in shortfall("a:b", exact)
    assert "not measured" in shortfall("a:b", {"a:b": GOOD})
