"""torch -> ONNX files with free batch and window axes, each checked against torch on ONNX Runtime
before it is kept.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from export.graphs import Graph

OPSET = 17
LARGEST_ERROR = 2e-3  # fp32 graphs agree to rounding; more means that the export is wrong


class ParityError(RuntimeError):
    """An exported graph does not compute what the torch module does."""


def export_graph(name: str, graph: Graph, path: Path) -> float:
    """Write one graph and return its largest absolute error against torch, relative to the output's
    deviation.

    Raises:
        ParityError: the file disagrees with torch; it is removed.
    """
    module = graph.module.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The tracing exporter: torch.export reasons about every free-axis product
        # symbolically and takes minutes.
        torch.onnx.export(
            module,
            tuple(graph.inputs.values()),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes=graph.free_axes | {name: {0: "batch"} for name in graph.outputs},
        )
    error = parity(graph, path)
    if error > LARGEST_ERROR:
        path.unlink()
        raise ParityError(
            f"{name}: ONNX Runtime differs from torch by {error:.1e} of the output's deviation"
        )
    return error


def parity(graph: Graph, path: Path) -> float:
    """Largest |onnx - torch| over the deviation of the torch output, which may be constant."""
    with torch.no_grad():
        expected = graph.module(*graph.inputs.values())
    expected = expected if isinstance(expected, tuple) else (expected,)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    got = session.run(list(graph.outputs), {k: v.numpy() for k, v in graph.inputs.items()})
    return max(
        float(np.abs(g - e.numpy()).max() / (e.numpy().std() + 1e-4))
        for g, e in zip(got, expected, strict=True)
    )
