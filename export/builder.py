"""Writes ONNX graphs node by node, for the graphs that are tuned to one executor instead of traced
from torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

Array: TypeAlias = NDArray[Any]
Operand: TypeAlias = str | Array | Tensor  # the name of a value, or a constant
OPSET = 17
CONTRIB = "com.microsoft"  # ONNX Runtime's own operators
# Weights take 7 bits of their 8: where a CPU has no VNNI, products of 8-bit weights overflow the
# 16 bits in which pairs of them are added. The last bit costs little beside the activations' noise.
LARGEST_WEIGHT = 63


def as_array(value: Array | Tensor) -> Array:
    return value.detach().numpy() if isinstance(value, Tensor) else value


def quantised_columns(weight: Array) -> tuple[Array, Array]:
    """Weights (K, N) -> int8 (K, N) and the scale of each column, float32 (N,); symmetric."""
    scale = np.maximum(np.abs(weight).max(0), 1e-9) / LARGEST_WEIGHT
    return np.round(weight / scale).astype(np.int8), scale.astype(np.float32)


class Builder:
    """Collects the nodes and weights of one graph; values are known by name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[TensorProto] = []
        self._names: dict[bytes, str] = {}

    def constant(self, value: Array | Tensor) -> str:
        """Its name; equal constants share one."""
        array = np.array(as_array(value), order="C")
        key = f"{array.dtype}{array.shape}".encode() + array.tobytes()
        if key not in self._names:
            self._names[key] = f"constant{len(self._weights)}"
            self._weights.append(numpy_helper.from_array(array, self._names[key]))
        return self._names[key]

    def op(self, kind: str, *inputs: Operand, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return that."""
        return self.ops(kind, 1, *inputs, domain=domain, **attributes)[0]

    def ops(
        self, kind: str, outputs: int, *inputs: Operand, domain: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs."""
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        name = f"{kind}{len(self._nodes)}"
        results = [f"{name}_{k}" for k in range(outputs)]
        self._nodes.append(
            helper.make_node(kind, names, results, name=name, domain=domain, **attributes)
        )
        return results

    def contrib(self, kind: str, *inputs: Operand, **attributes: Any) -> str:
        return self.op(kind, *inputs, domain=CONTRIB, **attributes)

    def reshape(self, x: str, *shape: int) -> str:
        """0 keeps an axis, -1 is what is left."""
        return self.op("Reshape", x, np.array(shape, np.int64))

    def dense(self, x: str, weight: Tensor, bias: Tensor | None = None) -> str:
        """x (..., K) @ weight (K, N) + bias in int8; x is quantised as it comes, as a whole."""
        q, scale = quantised_columns(as_array(weight))
        zero = np.zeros(len(scale), np.int8)
        return self.contrib(
            "DynamicQuantizeMatMul", x, q, scale, zero, "" if bias is None else bias
        )

    def save(
        self,
        path: Path,
        inputs: dict[str, Sequence[int | str]],
        outputs: dict[str, tuple[str, Sequence[int | str]]],
        pixels: Sequence[str] = (),
    ) -> None:
        """Write the graph, float32 at its border but for the inputs named by `pixels`: uint8.
        outputs: name -> (value, shape).
        """
        kinds = {n: TensorProto.UINT8 if n in pixels else TensorProto.FLOAT for n in inputs}
        named = [helper.make_node("Identity", [value], [n]) for n, (value, _) in outputs.items()]
        graph = helper.make_graph(
            self._nodes + named,
            path.stem,
            [helper.make_tensor_value_info(n, kinds[n], s) for n, s in inputs.items()],
            [
                helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
                for n, (_, s) in outputs.items()
            ],
            self._weights,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))
