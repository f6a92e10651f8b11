"""What files in half precision compute is what torch computes in it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from export.parity import run_onnx  # noqa: E402
from export.precision import rounded, to_half  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    ("kind", "dtype", "step"),
    [(TensorProto.FLOAT16, torch.float16, 2**-10), (TensorProto.BFLOAT16, torch.bfloat16, 2**-7)],
)
def test_every_value_is_rounded_as_torch_rounds_it(
    kind: int, dtype: torch.dtype, step: float
) -> None:
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((8, 3, 3, 3)).astype(np.float32)
    bias = rng.standard_normal(8).astype(np.float32)
    factor = np.float32(1.2345)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "kernel", "bias"], ["sum"], kernel_shape=[3, 3]),
            helper.make_node("Relu", ["sum"], ["features"]),
            helper.make_node("Mul", ["features", "factor"], ["out"]),
        ],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 6, 6])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 8, 4, 4])],
        [
            numpy_helper.from_array(value, name)
            for name, value in (("kernel", kernel), ("bias", bias), ("factor", factor))
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    half = to_half(model, kind)
    x = rng.standard_normal((2, 3, 6, 6)).astype(np.float32)

    def low(value: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.asarray(value)).to(dtype)

    expected = low(factor) * torch.relu(torch.nn.functional.conv2d(low(x), low(kernel), low(bias)))
    (found,) = run_onnx(rounded(half), [{"x": x}])
    (exact,) = run_onnx(model, [{"x": x}])
    same = found["out"] == expected.float().numpy()
    assert same.mean() > 0.95  # sums in another order may round to the neighbour
    np.testing.assert_allclose(found["out"], expected.float().numpy(), rtol=2 * step, atol=2 * step)
    assert np.abs(found["out"] - exact["out"]).max() > step / 4
