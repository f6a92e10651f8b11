"""Picks the fastest executor and variant of this machine by trying each; remembers the pick."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from engine.errors import EngineError
from engine.runtime.cache import cache_folder
from engine.runtime.choice import choices, start
from engine.runtime.measured import measured, shortfall
from engine.runtime.protocol import REFERENCE, Manifest, Runtime

BUDGET_S = 1.5  # no further one is tried after that
PACKAGES = ("onnxruntime", "openvino", "tensorrt")

Measure = Callable[[Runtime], float]


def fastest(manifest: Manifest, threads: int, measure: Measure) -> Runtime:
    """The executor with the quickest tick, of those that run here and sync as well as the exact
    one; the weights' default where no figures are known.

    Args:
        measure: time of a tick, in any unit.
    Raises:
        EngineError: the weights' default does not start.
    """
    default = f"onnxruntime:{manifest.default}"
    known = measured(manifest)
    names = [
        str(c) for c in choices(manifest) if not c.hindrance and not shortfall(str(c), known)
    ] or [default]
    # What is least likely the fastest last, should time run out.
    names.sort(key=lambda name: (name != default, name.endswith(REFERENCE), name))
    if len(names) == 1:
        return start(names[0], manifest, threads)
    facts, file = _facts(manifest, names), f"runtime-{threads}-threads.json"
    picked = _remembered(facts, file)
    if picked in names:
        with suppress(EngineError):
            return start(picked, manifest, threads)
    found, runtime = _raced(names, manifest, threads, measure)
    _remember(facts, file, found)
    return runtime


def _raced(
    names: list[str], manifest: Manifest, threads: int, measure: Measure
) -> tuple[str, Runtime]:
    begin = time.monotonic()
    best: tuple[float, str, Runtime] | None = None
    failed: EngineError | None = None
    for name in names:
        if best and time.monotonic() - begin > BUDGET_S:
            break
        try:
            runtime = start(name, manifest, threads)
            took = measure(runtime)
        except EngineError as error:
            failed = failed or error
            continue
        if best is None or took < best[0]:
            best = took, name, runtime
    if best is None:
        assert failed is not None
        raise failed
    return best[1:]


def _facts(manifest: Manifest, names: list[str]) -> dict[str, Any]:
    """What a pick depends on."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "weights": manifest.digest,
        "packages": {name: _version(name) for name in PACKAGES},
        "choices": names,
    }


def _cpu_name() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _remembered(facts: dict[str, Any], file: str) -> str:
    """The pick for these facts; empty if there is none, or it cannot be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        stored = json.loads((cache_folder() / file).read_text(encoding="utf-8"))
        if stored["facts"] == facts:
            return str(stored["picked"])
    return ""


def _remember(facts: dict[str, Any], file: str, picked: str) -> None:
    with suppress(OSError):  # then the next start picks again
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{file}.{os.getpid()}"
        draft.write_text(json.dumps({"facts": facts, "picked": picked}, indent=1), "utf-8")
        draft.replace(folder / file)
