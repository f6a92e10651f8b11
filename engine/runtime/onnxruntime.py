"""ONNX Runtime on the CPU: the default executor."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import onnxruntime

from engine.errors import WeightsError
from engine.runtime.protocol import DRAWN, GRAPHS, Input, Manifest, Tensor


class OnnxSession:
    """One graph. Its session is thread-safe. Raises WeightsError if it does not load."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        # One thread: a call runs in its caller's thread and starts none.
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning worker threads would take the second core from WebRTC.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except (
            Exception
        ) as error:  # onnxruntime raises a family of pybind exceptions without a common base
            raise WeightsError(f"{path.name}: ONNX Runtime cannot load it: {error}") from error
        self._outputs = [o.name for o in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Input]) -> list[Tensor]:
        feed = {k: np.ascontiguousarray(v) for k, v in inputs.items()}
        outputs: list[Tensor] = self._session.run(self._outputs, feed)
        return outputs


class OnnxRuntime:
    """One session a graph; `threads` within a call."""

    name = "onnxruntime"

    def __init__(self, manifest: Manifest, variant: str = "", threads: int = 1) -> None:
        """variant: the manifest's default if empty."""
        self.variant = variant = variant or manifest.default
        self._threads = threads
        self._sessions = {graph: self.load(manifest.path(graph, variant)) for graph in GRAPHS}
        has = DRAWN in manifest.graphs
        self.drawn = self.load(manifest.path(DRAWN, variant)) if has else None

    def load(self, path: Path) -> OnnxSession:
        return OnnxSession(path, self._threads)

    def run(self, graph: str, inputs: Mapping[str, Input]) -> list[Tensor]:
        return self._sessions[graph].run(inputs)

    def warming(self) -> AbstractContextManager[None]:
        return nullcontext()
