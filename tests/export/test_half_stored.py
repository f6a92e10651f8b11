"""Weights in half the bytes: the same sums, and the graph as it was for who reads it."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from engine.engine import WEIGHTS  # noqa: E402
from export.graphs import Graph  # noqa: E402
from export.half_stored import read_graph, round_weights, store_half  # noqa: E402
from export.onnx_files import export_graph, largest_error  # noqa: E402

pytestmark = pytest.mark.torch


def written(path: Path, network: torch.nn.Module) -> Graph:
    example = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    graph = Graph(network.eval(), {"x": example}, ("y",), {"x": {0: "batch"}})
    export_graph("toy", graph, path)
    return graph


def weights_of(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}


def test_rounded_weights_take_half_the_bytes_and_give_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, path = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.SiLU()), tmp_path / "a"
    round_weights(network)
    graph = written(path, network)
    before, size = onnx.load(str(path)), path.stat().st_size
    store_half(path)
    assert path.stat().st_size < 0.6 * size
    assert largest_error(graph, path) < 1e-5
    after = read_graph(path)
    assert [n.op_type for n in after.graph.node] == [n.op_type for n in before.graph.node]
    expected, found = weights_of(before), weights_of(after)
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_what_is_no_float16_stays(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "a"
    written(path, torch.nn.Linear(64, 64))
    before = path.read_bytes()
    store_half(path)
    assert (
        weights_of(onnx.load(str(path))).keys() == weights_of(onnx.load_from_string(before)).keys()
    )


def test_what_ships_is_stored_so() -> None:
    for graph in ("audio", "denoiser", "decoder", "motion"):
        weights = weights_of(onnx.load(str(WEIGHTS / f"{graph}.onnx")))
        full = sum(w.nbytes for w in weights.values() if w.dtype == np.float32)
        assert full < 0.05 * sum(w.nbytes for w in weights.values()), graph
