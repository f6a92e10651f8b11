"""Counting what a graph computes, and the machine's limit."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import product_limit
from benchmarks.work import count_work
from engine.engine import WEIGHTS
from engine.runtime.choice import start
from engine.runtime.protocol import Manifest

onnx = pytest.importorskip("onnx", reason="onnx is not installed (the export extra)")


def test_convolutions_and_products_are_counted(tmp_path: Path) -> None:
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    weights = {
        "conv": np.zeros((8, 2, 3, 3), np.float32),  # two groups of 2 channels in
        "up": np.zeros((8, 4, 2, 2), np.float32),
        "gemm": np.zeros((5, 144), np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "conv"], ["a"], group=2, strides=[2, 2]),
        helper.make_node("ConvTranspose", ["a", "up"], ["b"], strides=[2, 2]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("Gemm", ["c", "gemm"], ["d"], transB=1),
        helper.make_node("Transpose", ["d"], ["e"], perm=[1, 0]),
        helper.make_node("MatMul", ["e", "d"], ["y"]),
    ]
    batch = helper.make_tensor_value_info("x", 1, ["batch", 4, 7, 7])
    result = helper.make_tensor_value_info("y", 1, None)
    stored = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "g", [batch], [result], stored)
    path = tmp_path / "graph.onnx"
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    found = count_work(path, {"x": np.zeros((3, 4, 7, 7), np.float32)})
    conv, up = 3 * 8 * 9 * (2 * 9), 3 * 8 * 9 * (4 * 4)
    gemm, product = 3 * 5 * 144, 5 * 5 * 3
    assert found.macs == conv + up + gemm + product
    assert found.params == sum(array.size for array in weights.values())


def test_limit_is_that_of_the_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_limit, "SIDE", 64)
    runtime = start("onnxruntime:fp32", Manifest.read(WEIGHTS), 1)
    assert product_limit.product_gflops(runtime, int8=False) > 0
    assert product_limit.product_gflops(runtime, int8=True) > 0
