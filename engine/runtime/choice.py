"""Which executors and variants there are, and which of them run here.

An executor's model calls use `threads` threads, one unless the settings say otherwise, so that the
other cores are WebRTC's and other calls'; none is pinned to a core, and none spins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.errors import RuntimeUnavailableError
from engine.runtime import openvino, tensorrt
from engine.runtime.onnxruntime import OnnxRuntime
from engine.runtime.openvino import OpenVinoRuntime
from engine.runtime.plans import PRECISIONS
from engine.runtime.protocol import Manifest, Runtime
from engine.runtime.tensorrt import TensorRtRuntime

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class _Executor:
    """variants: of the manifest. hindrance: why a variant cannot run here, empty if it can.
    start: from the manifest, the variant (the executor's own default if empty) and the threads.
    """

    variants: Callable[[Manifest], Sequence[str]]
    hindrance: Callable[[str], str]
    start: Callable[[Manifest, str, int], Runtime]


_EXECUTORS = {
    "onnxruntime": _Executor(
        lambda manifest: list(manifest.files), lambda variant: "", OnnxRuntime
    ),
    "openvino": _Executor(lambda manifest: openvino.VARIANTS, openvino.hindrance, OpenVinoRuntime),
    "tensorrt": _Executor(lambda manifest: PRECISIONS, tensorrt.hindrance, TensorRtRuntime),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """An executor with a variant of the graphs. hindrance: why it cannot run here; empty if it
    can.
    """

    runtime: str
    variant: str
    hindrance: str = ""

    def __str__(self) -> str:
        return f"{self.runtime}:{self.variant}"


def choices(manifest: Manifest) -> list[Choice]:
    """Every executor with every variant that it takes; what cannot run here says why."""
    return [
        Choice(name, variant, executor.hindrance(variant))
        for name, executor in _EXECUTORS.items()
        for variant in executor.variants(manifest)
    ]


def start(name: str, manifest: Manifest, threads: int = 1) -> Runtime:
    """The executor that `name` asks for: "RUNTIME" or "RUNTIME:VARIANT".

    Raises:
        RuntimeUnavailableError: no such executor or variant, or it cannot run here.
        WeightsError: a graph does not load.
    """
    runtime, _, variant = name.partition(":")
    executor = _EXECUTORS.get(runtime)
    if executor is None:
        raise RuntimeUnavailableError(
            f"runtime '{runtime}' is not known: use {AUTO}, {', '.join(_EXECUTORS)}"
        )
    offered = executor.variants(manifest)
    if variant and variant not in offered:
        raise RuntimeUnavailableError(
            f"{runtime} has no variant '{variant}' of these weights: {', '.join(sorted(offered))}"
        )
    if reason := executor.hindrance(variant):
        raise RuntimeUnavailableError(f"{name} cannot run here: {reason}")
    return executor.start(manifest, variant, threads)
