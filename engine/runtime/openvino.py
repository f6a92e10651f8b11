"""OpenVINO on the CPU, from the full-precision graphs.

bf16: OpenVINO computes in bfloat16. int8: the denoiser's weights are stored in 8 bits as the graph
is loaded, and its activations quantised as they come, group by group; the convolutions run in
bfloat16, or in float32 where the CPU has no bfloat16. The landmarks are float32 always.

A graph that is compiled for one shape runs in two thirds of the time of one for any shape, and
takes half a second to compile. So shapes seen while warming get a model of their own, and any other
runs on one for any shape.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import numpy as np

from engine.errors import RuntimeUnavailableError, WeightsError
from engine.runtime.onnxruntime import OnnxSession
from engine.runtime.protocol import DRAWN, GRAPHS, REFERENCE, Input, Manifest, Session, Tensor

VARIANTS = ("int8", "bf16", REFERENCE)  # the first that runs here is the default
QUANTISED = "denoiser"
LANDMARKS = "landmarks"
GROUP = 64  # activations that share a scale
LARGEST_WEIGHT = 127
STREAMS = 4  # calls at a time, at most: each has buffers of its own
SHARE = 2  # of the cores, one in so many; with one stream, a call runs in its caller's thread
Shapes: TypeAlias = tuple[tuple[int, ...], ...]


@cache
def _core() -> Any:
    import openvino

    return openvino.Core()


def hindrance(variant: str = "") -> str:
    """Why `variant` (any, if empty) cannot run here; empty if it can."""
    if find_spec("openvino") is None:
        return "not installed: pip install -e '.[openvino]'"
    try:
        _core()
    except (ImportError, OSError, RuntimeError) as error:
        return f"does not start: {' '.join(str(error).split())}"
    if variant in ("int8", "bf16") and not _has(variant):
        return f"OpenVINO has no {variant} on this CPU"
    return ""


def _has(variant: str) -> bool:
    return variant.upper() in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoSession:
    """One graph, for any shape and for those fitted. Requests are pooled, so that several threads
    may call at once.
    """

    def __init__(self, model: Any, options: Mapping[str, Any]) -> None:
        self._model, self._options = model, options
        self._names = [tensor.any_name for tensor in model.inputs]
        self._any = _Pool(model, options)
        self._fitted: dict[Shapes, _Pool] = {}
        self._lock = Lock()

    def run(self, inputs: Mapping[str, Input], fit: bool = False) -> list[Tensor]:
        """fit: compile for this shape if that has not been done."""
        feed = {k: np.ascontiguousarray(inputs[k]) for k in self._names}
        shapes = tuple(value.shape for value in feed.values())
        if fit:
            self._fit(shapes)
        return self._fitted.get(shapes, self._any).run(feed)

    def _fit(self, shapes: Shapes) -> None:
        with self._lock:
            if shapes in self._fitted:
                return
            model = self._model.clone()
            model.reshape(dict(zip(self._names, map(list, shapes), strict=True)))
            self._fitted[shapes] = _Pool(model, self._options)


class _Pool:
    """A compiled model and the requests of it that are idle."""

    def __init__(self, model: Any, options: Mapping[str, Any]) -> None:
        self._compiled = _core().compile_model(model, "CPU", dict(options))
        self._idle: list[Any] = []

    def run(self, feed: Mapping[str, Input]) -> list[Tensor]:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        # Shared inputs are read where they lie; a request that once shared must always share, else
        # it writes into the arrays of the call before. Outputs are copies.
        outputs: list[Tensor] = list(request.infer(feed, share_inputs=True).values())
        self._idle.append(request)
        return outputs


class OpenVinoRuntime:
    """`threads` within a call, as many calls at a time as half the cores allow (4 at most)."""

    name = "openvino"

    def __init__(self, manifest: Manifest, variant: str = "", threads: int = 1) -> None:
        """variant: the first of VARIANTS that runs here if empty.

        Raises:
            RuntimeUnavailableError: it cannot run here.
            WeightsError: a graph does not load.
        """
        variant = variant or next((v for v in VARIANTS if not hindrance(v)), REFERENCE)
        if reason := hindrance(variant):
            raise RuntimeUnavailableError(f"openvino:{variant} cannot run: {reason}")
        self.variant = variant
        self._threads = threads
        self._warming = False
        self._sessions = {
            graph: self._session(manifest.path(graph, REFERENCE), graph) for graph in GRAPHS
        }
        has = DRAWN in manifest.graphs
        self.drawn = self._session(manifest.path(DRAWN, REFERENCE), QUANTISED) if has else None

    def load(self, path: Path) -> Session:
        """A graph in ONNX Runtime's own operators, as personal int8 denoisers are, runs there."""
        try:
            return self._session(path, QUANTISED)
        except WeightsError:
            return OnnxSession(path, self._threads)

    def run(self, graph: str, inputs: Mapping[str, Input]) -> list[Tensor]:
        return self._sessions[graph].run(inputs, fit=self._warming)

    @contextmanager
    def warming(self) -> Iterator[None]:
        self._warming = True
        try:
            yield
        finally:
            self._warming = False

    def _session(self, path: Path, graph: str) -> OpenVinoSession:
        try:
            model = _core().read_model(str(path))
            if self.variant == "int8" and graph == QUANTISED:
                _quantise_weights(model)
            return OpenVinoSession(model, self._options(graph))
        except RuntimeError as error:
            told = " ".join(str(error).split())[-300:]
            raise WeightsError(f"{path.name}: OpenVINO cannot load it: {told}") from error

    def _options(self, graph: str) -> dict[str, Any]:
        streams = max(1, min(STREAMS, (os.cpu_count() or 1) // (SHARE * self._threads)))
        quantised = self.variant == "int8" and graph == QUANTISED
        exact = self.variant == REFERENCE or graph == LANDMARKS or quantised or not _has("bf16")
        return {
            "INFERENCE_PRECISION_HINT": "f32" if exact else "bf16",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP if quantised else 0,
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": streams * self._threads,
            # A pinned thread waits for its core while WebRTC holds it, though another may be idle.
            "ENABLE_CPU_PINNING": False,
        }


def _quantise_weights(model: Any) -> None:
    """Weights of linear layers become int8 with a scale for each column, in place."""
    from openvino import opset13 as ops

    for node in model.get_ops():
        if node.get_type_name() != "MatMul":
            continue
        weights = node.input_value(1).get_node()
        if weights.get_type_name() != "Constant" or weights.data.ndim != 2:
            continue
        settings = node.get_attributes()
        rows = weights.data if settings["transpose_b"] else weights.data.T
        scale = np.maximum(np.abs(rows).max(1, keepdims=True), 1e-9) / LARGEST_WEIGHT
        stored = ops.convert(ops.constant(np.round(rows / scale).astype(np.int8)), np.float32)
        whole = ops.multiply(stored, ops.constant(scale.astype(np.float32)))
        linear = ops.matmul(node.input_value(0), whole, settings["transpose_a"], True)
        for reader in list(node.output(0).get_target_inputs()):
            reader.replace_source_output(linear.output(0))
