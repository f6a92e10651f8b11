"""How fast this machine multiplies matrices through a given executor: the limit for any graph."""

import tempfile
import time
from pathlib import Path

import numpy as np

from engine.runtime.protocol import Runtime

from .errors import BenchError

SIDE = 1024
LAYERS = 4  # one after another, so that the border counts little
RUNS, WARM = 8, 2
OPSET, IR_VERSION = 17, 8


def product_gflops(runtime: Runtime, *, int8: bool) -> float:
    """Best of a few runs of (1024, 1024) products, in GFLOP/s (int8: operations as well).

    int8: quantised and dequantised around each product, in the form that executors fuse.
    Raises BenchError without onnx; EngineError.
    """
    with tempfile.TemporaryDirectory(prefix="omnisync-bench-") as folder:
        path = Path(folder, "product.onnx")
        _write(path, int8=int8)
        session = runtime.load(path)
    a = np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(np.float32)
    spent = []
    for _ in range(WARM + RUNS):
        begin = time.perf_counter()
        session.run({"a": a})
        spent.append(time.perf_counter() - begin)
    return 2e-9 * LAYERS * SIDE**3 / min(spent[WARM:])


def _write(path: Path, *, int8: bool) -> None:
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise BenchError("the machine's limit needs onnx: pip install -e '.[export]'") from error
    rng = np.random.default_rng(1)
    scale = np.float32(SIDE**-0.5)
    weights = [
        numpy_helper.from_array(np.float32(scale / 32), "fine"),
        numpy_helper.from_array(np.float32(1 / 32), "coarse"),
        numpy_helper.from_array(np.uint8(128), "middle"),
        numpy_helper.from_array(np.int8(0), "zero"),
    ]
    nodes, x = [], "a"
    for n in range(LAYERS):
        drawn = rng.standard_normal((SIDE, SIDE)).astype(np.float32)
        whole = np.clip(np.rint(32 * drawn), -127, 127).astype(np.int8)
        if int8:
            nodes += [
                helper.make_node("QuantizeLinear", [x, "coarse", "middle"], [f"q{n}"]),
                helper.make_node("DequantizeLinear", [f"q{n}", "coarse", "middle"], [f"d{n}"]),
                helper.make_node("DequantizeLinear", [f"w{n}", "fine", "zero"], [f"f{n}"]),
                helper.make_node("MatMul", [f"d{n}", f"f{n}"], [f"x{n}"]),
            ]
        else:
            nodes.append(helper.make_node("MatMul", [x, f"w{n}"], [f"x{n}"]))
        weights.append(numpy_helper.from_array(whole if int8 else scale * drawn, f"w{n}"))
        x = f"x{n}"
    if int8:
        nodes += [
            helper.make_node("QuantizeLinear", [x, "coarse", "middle"], ["last"]),
            helper.make_node("DequantizeLinear", ["last", "coarse", "middle"], ["product"]),
        ]
        x = "product"
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIDE, SIDE]) for name in "a"]
    result = helper.make_tensor_value_info(x, TensorProto.FLOAT, [SIDE, SIDE])
    graph = helper.make_graph(nodes, "products", values, [result], weights)
    opsets = [helper.make_opsetid("", OPSET)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION), str(path))
