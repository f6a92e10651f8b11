"""How much arithmetic a graph is: its weights, and the multiply-adds of one call."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from .errors import BenchError


@dataclass(frozen=True, slots=True)
class Work:
    """params: weights of all kinds; macs: of convolutions and matrix products in one call."""

    params: int
    macs: int

    @property
    def gflop(self) -> float:
        """A multiply-add is two operations."""
        return 2e-9 * self.macs


def count_work(path: Path, inputs: Mapping[str, np.ndarray]) -> Work:
    """Runs an fp32 graph once on `inputs`, to see the shapes that its nodes meet.

    Raises:
        BenchError: onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise BenchError("counting operations needs onnx: pip install -e '.[export]'") from error
    model = onnx.load(str(path))
    shapes = {w.name: tuple(w.dims) for w in model.graph.initializer}
    counted = [node for node in model.graph.node if node.op_type in _MACS]
    names = {name for node in counted for name in (*node.input[:2], node.output[0])} - set(shapes)
    shapes |= _shapes(model, sorted(names), inputs)
    macs = 0
    for node in counted:
        a, b, out = (shapes[name] for name in (*node.input[:2], node.output[0]))
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        macs += _MACS[node.op_type](a, b, out, attributes)
    return Work(sum(prod(w.dims) for w in model.graph.initializer), macs)


def _shapes(
    model: Any, names: list[str], inputs: Mapping[str, np.ndarray]
) -> dict[str, tuple[int, ...]]:
    given = {name: array.shape for name, array in inputs.items()}
    kept = {output.name for output in model.graph.output}
    wanted = [name for name in names if name not in given]
    import onnx

    model.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in wanted if name not in kept
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Fused nodes have no inner values.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = session.run(wanted, dict(inputs))
    return given | {name: value.shape for name, value in zip(wanted, found, strict=True)}


Shape = tuple[int, ...]


def _conv(x: Shape, weight: Shape, out: Shape, _: dict[str, Any]) -> int:
    return prod(out) * prod(weight[1:])


def _transposed(x: Shape, weight: Shape, out: Shape, _: dict[str, Any]) -> int:
    return prod(x) * prod(weight[1:])


def _matmul(a: Shape, b: Shape, out: Shape, _: dict[str, Any]) -> int:
    return prod(out) * a[-1]


def _gemm(a: Shape, b: Shape, out: Shape, attributes: dict[str, Any]) -> int:
    return prod(out) * a[0 if attributes.get("transA") else 1]


_MACS = {"Conv": _conv, "ConvTranspose": _transposed, "MatMul": _matmul, "Gemm": _gemm}
