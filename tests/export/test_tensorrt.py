"""Files for TensorRT compute what the shipped graphs do, and every one of them becomes an engine
for four kinds of GPU.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

from engine.engine import WEIGHTS  # noqa: E402
from engine.errors import EngineError, WeightsError  # noqa: E402
from engine.flow import add_noise  # noqa: E402
from engine.runtime.onnxruntime import OnnxRuntime  # noqa: E402
from engine.runtime.plans import (  # noqa: E402
    INDEX,
    PRECISIONS,
    PlanError,
    Prepared,
    build_plan,
)
from engine.runtime.protocol import DRAWN, GRAPHS, REFERENCE, Input, Manifest, Tensor  # noqa: E402
from export import cli  # noqa: E402
from export.parity import LARGEST_RMS, run_onnx  # noqa: E402
from export.precision import rounded, to_half  # noqa: E402
from export.tensorrt import (  # noqa: E402
    TARGETS,
    Written,
    build_ahead,
    imported,
    write,
)

FP16_RMS = 0.005  # of an output's size
TOKENS = (5, 192)
EVERY = (*GRAPHS, DRAWN)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return Manifest.read(WEIGHTS)


@pytest.fixture(scope="module")
def written(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(manifest, tmp_path_factory.mktemp("tensorrt"))


def any_inputs(graph: str, batch: int, slots: int) -> dict[str, Input]:
    rng = np.random.default_rng(batch + 10 * slots)

    def normal(*shape: int) -> Tensor:
        return rng.standard_normal(shape).astype(np.float32)

    def picture(side: int) -> Input:
        return rng.integers(0, 256, (batch, side, side, 3), np.uint8)

    alike = "denoiser" if graph == DRAWN else graph
    return {
        "encoder": lambda: {"crop": picture(192)},
        "audio": lambda: {
            "mel": normal(batch * slots, 80, 64),
            "heard": np.ones((batch * slots, 32), np.float32),
        },
        "denoiser": lambda: {
            "x": normal(batch, slots, 16, 16, 16),
            "z": normal(batch, slots, 16, 16, 16),
            "level": rng.random((batch, slots), np.float32),
            "tokens": normal(batch, slots, *TOKENS),
            "strength": np.ones(batch, np.float32),
            "mouth": np.full((batch, 2), 0.5, np.float32),
        },
        "decoder": lambda: {"z": normal(batch, 16, 13, 14)},
        "motion": lambda: {"z": normal(batch, 16, 13, 14), "source": normal(batch, 16, 13, 14)},
        "landmarks": lambda: {"patch": picture(96)},
    }[alike]()


@pytest.mark.parametrize("graph", EVERY)
@pytest.mark.parametrize(("batch", "slots"), [(1, 3), (3, 2), (2, 4)])
@pytest.mark.parametrize(
    ("precision", "largest"), [("fp32", 1e-4), ("fp16", FP16_RMS), ("bf16", 8 * FP16_RMS)]
)
def test_any_size_of_every_output(
    precision: str,
    largest: float,
    batch: int,
    slots: int,
    graph: str,
    written: Written,
    manifest: Manifest,
) -> None:
    inputs = any_inputs(graph, batch, slots)
    expected = OnnxRuntime(manifest, REFERENCE).load(manifest.path(graph, REFERENCE)).run(inputs)
    if graph in ("denoiser", DRAWN):
        x = inputs.pop("x")
        eps = np.random.default_rng(0).standard_normal(x[:, 0].shape).astype(np.float32)
        mix = np.broadcast_to(np.linspace(0, 0.9, slots, dtype=np.float32), x.shape[:2])
        wide = mix[:, :, None, None, None]
        base = (x - wide * eps[:, None]) / (1 - wide)
        np.testing.assert_allclose(add_noise(base, eps[:, None], wide), x, atol=1e-4)
        inputs |= {"base": base, "eps": eps, "mix": np.ascontiguousarray(mix)}
    model = onnx.load_from_string(written.prepared.onnx(graph, precision))
    (outputs,) = run_onnx(rounded(model), [inputs])
    for got, wanted in zip(outputs.values(), expected, strict=True):
        assert got.dtype == np.float32
        error = np.sqrt(np.square(got - wanted).mean() / np.square(wanted).mean())
        assert error < largest


def largest_rms(parity: dict[str, dict[str, float]]) -> float:
    assert all(output["calls"] >= 8 for output in parity.values())
    return max(output["rms"] for output in parity.values())


def test_bfloat16_is_in_the_file_and_bytes_and_float32_at_its_border(written: Written) -> None:
    for graph in EVERY:
        assert f"{graph}.bf16.onnx" == written.prepared.files["bf16"][graph]
        model = onnx.load_from_string(written.prepared.onnx(graph, "bf16"))
        assert model.opset_import[0].version >= 22  # the first with bfloat16 convolutions
        large = [i for i in model.graph.initializer if np.prod(i.dims) > 1000]
        assert large
        assert all(i.data_type == TensorProto.BFLOAT16 for i in large)
        border = {
            v.name: v.type.tensor_type.elem_type for v in [*model.graph.input, *model.graph.output]
        }
        pixels = {"encoder": {"crop"}, "landmarks": {"patch"}}.get(graph, set())
        assert {n for n, kind in border.items() if kind == TensorProto.UINT8} == pixels
        assert {border[n] for n in border.keys() - pixels} == {TensorProto.FLOAT}


def test_a_precision_that_loses_too_much_is_not_taken(written: Written) -> None:
    index = json.loads((written.prepared.folder / INDEX).read_text())
    for graph in EVERY:
        own = f"{graph}.int8.onnx"
        lost = largest_rms(index["parity"][own])
        assert (index["files"]["int8"][graph] == own) == (lost < LARGEST_RMS)
        told = any(words.startswith(f"{own} ") for words in written.fallen_back)
        assert told == (lost >= LARGEST_RMS)
        for precision in PRECISIONS:
            assert largest_rms(index["parity"][index["files"][precision][graph]]) < LARGEST_RMS
    convolutions = {"encoder", "decoder", "motion"}
    assert all(index["files"]["int8"][g] == f"{g}.int8.onnx" for g in convolutions)


def test_int8_lies_between_symmetric_quantisers_of_its_weights_channels(written: Written) -> None:
    for graph in EVERY:
        model = onnx.load(str(written.prepared.folder / f"{graph}.int8.onnx")).graph
        values = {i.name: onnx.numpy_helper.to_array(i) for i in model.initializer}
        quantisers = [n for n in model.node if n.op_type.endswith("quantizeLinear")]
        quantisers += [n for n in model.node if n.op_type == "QuantizeLinear"]
        assert len(quantisers) >= 4
        for node in quantisers:
            assert values[node.input[2]].dtype == np.int8
            assert not values[node.input[2]].any()
        assert any(values[n.input[1]].size > 1 for n in quantisers)
        assert not any(v.dtype == np.int32 for v in values.values())


@pytest.mark.parametrize(
    ("kind", "step"), [(TensorProto.FLOAT16, 2e-3), (TensorProto.BFLOAT16, 16e-3)]
)
def test_phases_are_not_rounded_to_half(kind: int, step: float) -> None:
    nodes = [
        helper.make_node("Mul", ["level", "hundred"], ["phase"]),
        helper.make_node("Cos", ["phase"], ["cosine"]),
        helper.make_node("Mul", ["cosine", "two"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "phases",
        [helper.make_tensor_value_info("level", TensorProto.FLOAT, [None])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [None])],
        [
            onnx.numpy_helper.from_array(np.array([100], np.float32), "hundred"),
            onnx.numpy_helper.from_array(np.array([2], np.float32), "two"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    half = to_half(model, kind)
    level = np.linspace(0, 1, 50, dtype=np.float32)
    ((out,),) = (o.values() for o in run_onnx(rounded(half), [{"level": level}]))
    np.testing.assert_allclose(out, 2 * np.cos(100 * level), atol=step)
    assert np.abs(out - 2 * np.cos(100 * level)).max() > step / 8  # the rest is half


def test_files_of_other_weights_or_damaged_ones_are_refused(
    written: Written, manifest: Manifest, tmp_path: Path
) -> None:
    folder = written.prepared.folder
    with pytest.raises(WeightsError, match="no files for TensorRT"):
        Prepared.read(manifest, tmp_path)
    (tmp_path / "tensorrt.json").write_text("{")
    with pytest.raises(WeightsError, match="damaged"):
        Prepared.read(manifest, tmp_path)
    index = (folder / "tensorrt.json").read_text()
    (tmp_path / "tensorrt.json").write_text(index)
    (tmp_path / "encoder.fp16.onnx").write_bytes(b"broken")
    with pytest.raises(WeightsError, match=r"encoder\.fp16\.onnx is damaged"):
        Prepared.read(manifest, tmp_path).onnx("encoder", "fp16")
    digest = manifest.hashes["encoder.onnx"]
    (tmp_path / "tensorrt.json").write_text(index.replace(digest, "0" * 64))
    with pytest.raises(WeightsError, match="other weights"):
        Prepared.read(manifest, tmp_path)


@pytest.mark.tensorrt
@pytest.mark.parametrize(
    ("graph", "precision"), [*product(GRAPHS, PRECISIONS), (DRAWN, "fp16"), (DRAWN, "int8")]
)
def test_every_file_becomes_an_engine_for_four_kinds_of_gpu(
    graph: str, precision: str, written: Written
) -> None:
    name = f"{graph}.{precision}.onnx"  # also one that loses too much to be taken
    own = Prepared(
        written.prepared.folder,
        {precision: {graph: name}},
        written.prepared.hashes,
        written.prepared.profiles,
    )
    assert len(build_ahead(own, graph, precision, TARGETS)) > 100_000


@pytest.mark.tensorrt
def test_a_refused_node_is_named_in_one_line() -> None:
    graph = helper.make_graph(
        [helper.make_node("Unheard", ["a"], ["b"], name="odd_one", domain="com.nobody")],
        "refused",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.nobody", 1)],
        ir_version=8,
    )
    library = imported("tensorrt_rtx", "aot")
    with pytest.raises(PlanError, match="graph: TensorRT does not take Unheard 'odd_one'") as told:
        build_plan(library, "graph", model.SerializeToString(), {})
    assert "\n" not in str(told.value)


@pytest.mark.tensorrt
def test_a_target_that_is_not_known_is_refused(written: Written) -> None:
    with pytest.raises(EngineError, match="target 'SM1' is not known: choose of SM"):
        build_ahead(written.prepared, "encoder", "fp16", ["SM1"])


def test_a_missing_library_names_its_extra() -> None:
    with pytest.raises(EngineError, match=r"pip install -e '\.\[aot\]'"):
        imported("no_such_library", "aot")


def test_the_command_tells_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["tensorrt", "--weights", str(tmp_path)]) == 1
    assert "no weights in" in capsys.readouterr().err
