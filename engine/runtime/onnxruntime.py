"""ONNX Runtime on the CPU: the default executor."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnxruntime

from engine.errors import WeightsError
from engine.runtime.protocol import GRAPHS, Manifest, Tensor


class OnnxRuntime:
    """One session a graph; `threads` within a call. Sessions are thread-safe."""

    name = "onnxruntime"

    def __init__(self, manifest: Manifest, variant: str = "", threads: int = 1) -> None:
        """variant: the manifest's default if empty."""
        self.variant = variant = variant or manifest.default
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning worker threads would take the second core from WebRTC.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._sessions = {}
        self._outputs = {}
        for graph in GRAPHS:
            path = manifest.path(graph, variant)
            try:
                session = onnxruntime.InferenceSession(
                    str(path), options, providers=["CPUExecutionProvider"]
                )
            except (
                Exception
            ) as error:  # onnxruntime raises a family of pybind exceptions without a common base
                raise WeightsError(f"{path.name}: ONNX Runtime cannot load it: {error}") from error
            self._sessions[graph] = session
            self._outputs[graph] = [o.name for o in session.get_outputs()]

    def run(self, graph: str, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        feed = {k: np.ascontiguousarray(v, np.float32) for k, v in inputs.items()}
        outputs: list[Tensor] = self._sessions[graph].run(self._outputs[graph], feed)
        return outputs
