"""Which executors and variants there are, and which of them run here."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import RuntimeUnavailableError
from engine.runtime import tensorrt
from engine.runtime.onnxruntime import OnnxRuntime
from engine.runtime.protocol import Manifest, Runtime
from engine.runtime.tensorrt import TensorRtRuntime

RUNTIMES = ("onnxruntime", "tensorrt")


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
    gpu = tensorrt.hindrance()
    return [
        *(Choice("onnxruntime", variant) for variant in manifest.files),
        *(Choice("tensorrt", variant, gpu) for variant in tensorrt.variants(manifest)),
    ]


def start(name: str, manifest: Manifest, threads: int = 1) -> Runtime:
    """The executor that `name` asks for: "RUNTIME" or "RUNTIME:VARIANT" (the manifest's default).

    Raises:
        RuntimeUnavailableError: no such executor or variant, or it cannot run here.
        WeightsError: a graph does not load.
    """
    runtime, _, variant = name.partition(":")
    if runtime not in RUNTIMES:
        raise RuntimeUnavailableError(
            f"runtime '{runtime}' is not known: use {', '.join(RUNTIMES)}"
        )
    offered = tensorrt.variants(manifest) if runtime == "tensorrt" else tuple(manifest.files)
    if variant and variant not in offered:
        raise RuntimeUnavailableError(
            f"no variant '{variant}' in these weights: {', '.join(sorted(offered))}"
        )
    if runtime == "tensorrt":
        return TensorRtRuntime(manifest, variant, threads)
    return OnnxRuntime(manifest, variant, threads)
