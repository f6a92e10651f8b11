"""torch -> ONNX files with free batch and window axes, each checked against torch on ONNX Runtime
before it is kept.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch

from export.graphs import Graph
from export.parity import ParityError, run_onnx, run_torch

OPSET = 17
LARGEST_ERROR = 2e-3  # fp32 graphs agree to rounding; more means that the export is wrong


def export_graph(name: str, graph: Graph, path: Path) -> float:
    """Write one graph and return its `largest_error`.

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
    error = largest_error(graph, path)
    if error > LARGEST_ERROR:
        path.unlink()
        raise ParityError(
            f"{name}: ONNX Runtime differs from torch by {error:.1e} of the output's deviation"
        )
    return error


def largest_error(graph: Graph, path: Path) -> float:
    """Of the file on the example inputs: |onnx - torch| over the deviation of the torch output,
    which may be constant.
    """
    call = {name: value.numpy() for name, value in graph.inputs.items()}
    (got,), (expected,) = run_onnx(path, [call]), run_torch(graph, [call])
    return max(
        float(np.abs(got[name] - value).max() / (value.std() + 1e-4))
        for name, value in expected.items()
    )
