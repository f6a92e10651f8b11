"""float32 graphs -> half precision (float16 or bfloat16), or symmetric int8 amid float32: TensorRT
builds what it reads (strongly typed), so the file decides. The border stays as it is.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import (
    NodeProto,
    TensorProto,
    helper,
    numpy_helper,
    shape_inference,
    version_converter,
)
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from export.calibration import Calls

PHASES = ("Sin", "Cos")
LAYERS = ("Conv", "MatMul", "Gemm")
HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
BFLOAT16_OPSET = 22  # the first whose convolutions take it


class _Reader(CalibrationDataReader):
    def __init__(self, calls: Calls) -> None:
        self._calls: Iterator[dict[str, np.ndarray]] = iter(calls)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._calls, None)


def to_int8(model: onnx.ModelProto, calls: Calls) -> onnx.ModelProto:
    """Convolutions and linear layers between QuantizeLinear and DequantizeLinear, both symmetric,
    weights per channel; biases stay as they are, for TensorRT reads no int32 ones. The last layer
    stays whole: what it gives is the graph's answer.
    """
    layers = [n.name for n in model.graph.node if n.op_type in LAYERS]
    with tempfile.TemporaryDirectory() as folder:
        plain, quantised = Path(folder) / "plain.onnx", Path(folder) / "quantised.onnx"
        onnx.save(model, str(plain))
        logging.disable(logging.WARNING)  # advice to optimise first; the graph is folded already
        try:
            quantize_static(
                str(plain),
                str(quantised),
                _Reader(calls),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(LAYERS),
                nodes_to_exclude=layers[-1:],
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                extra_options={
                    "ActivationSymmetric": True,
                    "WeightSymmetric": True,
                    "QuantizeBias": False,
                    "MatMulConstBOnly": True,
                },
            )
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(str(quantised))


def to_half(model: onnx.ModelProto, kind: int = TensorProto.FLOAT16) -> onnx.ModelProto:
    """Every float32 value becomes `kind`, FLOAT16 or BFLOAT16, but for the border, what leads to a
    sine or cosine (a phase of a hundred has no decimals in half precision), and a sum that is an
    output: a bfloat16 near 255 or 1 has a step of 1 grey level, or of half a pixel.
    """
    if kind == TensorProto.BFLOAT16:
        model = version_converter.convert_version(model, BFLOAT16_OPSET)
    half = shape_inference.infer_shapes(model)
    graph = half.graph
    is_float = {i.name for i in graph.initializer if i.data_type == TensorProto.FLOAT}
    is_float |= {
        v.name
        for v in [*graph.value_info, *graph.input, *graph.output]
        if v.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    whole = _kept_whole(graph)
    weights = {i.name: i for i in graph.initializer}
    inputs, outputs = ({v.name for v in values} for values in (graph.input, graph.output))
    made_whole = inputs | {o for n in graph.node if n.output[0] in whole for o in n.output}
    nodes: list[NodeProto] = []
    cast: dict[tuple[str, int], str] = {}

    def as_type(name: str, wanted: int) -> str:
        """The value in the wanted precision, cast where it is not made so."""
        if name not in is_float:
            return name
        if (name, wanted) not in cast:
            is_half = name not in made_whole and name not in weights
            if name in weights or is_half != (wanted == kind):
                cast[name, wanted] = f"{name}_{'half' if wanted == kind else 'full'}"
                if name in weights:
                    array = numpy_helper.to_array(weights[name])
                    array = array.astype(helper.tensor_dtype_to_np_dtype(wanted))
                    graph.initializer.append(numpy_helper.from_array(array, cast[name, wanted]))
                else:
                    new = cast[name, wanted]
                    nodes.append(helper.make_node("Cast", [name], [new], name=new, to=wanted))
            else:
                cast[name, wanted] = name
        return cast[name, wanted]

    for node in graph.node:
        stays = node.output[0] in whole
        wanted = TensorProto.FLOAT if stays else kind
        for k, name in enumerate(node.input):
            node.input[k] = as_type(name, wanted)
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = wanted
            if attribute.HasField("t") and attribute.t.data_type == TensorProto.FLOAT:
                array = numpy_helper.to_array(attribute.t)
                array = array.astype(helper.tensor_dtype_to_np_dtype(wanted))
                attribute.t.CopyFrom(numpy_helper.from_array(array))
        nodes.append(node)
        for k, name in enumerate(node.output):
            if name in outputs and not stays:
                node.output[k] = cast[name, kind] = f"{name}_half"
                cast[name, TensorProto.FLOAT] = name
                nodes.append(
                    helper.make_node(
                        "Cast", [node.output[k]], [name], name=f"{name}_cast", to=TensorProto.FLOAT
                    )
                )
    used = {name for node in nodes for name in node.input}
    kept = [i for i in graph.initializer if i.name in used]
    copies = [_copy(node) for node in nodes]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(copies)
    graph.initializer.extend(kept)
    onnx.checker.check_model(half)
    return half


def _kept_whole(graph: onnx.GraphProto) -> set[str]:
    """First outputs of the nodes that stay in float32."""
    maker = {output: node for node in graph.node for output in node.output}
    outputs = {v.name for v in graph.output}
    waiting = [n for n in graph.node if n.op_type in PHASES]
    whole: set[str] = set()
    while waiting:
        node = waiting.pop()
        whole.add(node.output[0])
        waiting += [maker[i] for i in node.input if i in maker and maker[i].output[0] not in whole]
    sums = [n.output[0] for n in graph.node if n.op_type == "Add"]
    return whole | outputs.intersection(sums)


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph in half precision as it is to be computed: in float32, every value of half precision
    rounded to that. ONNX Runtime's CPU has no kernels for bfloat16, and leaves out the roundings
    between those that it lacks for float16.
    """
    emulated = onnx.ModelProto()
    emulated.CopyFrom(model)
    graph = emulated.graph
    kinds = {
        v.name: v.type.tensor_type.elem_type
        for v in shape_inference.infer_shapes(model).graph.value_info
    }
    for weight in graph.initializer:
        _widen(weight)
    nodes: list[NodeProto] = []
    for node in map(_copy, model.graph.node):
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i in HALVES:
                attribute.i = TensorProto.FLOAT
            if attribute.HasField("t"):
                _widen(attribute.t)
        nodes.append(node)
        for k, name in enumerate(node.output):
            if kinds.get(name) in HALVES:
                node.output[k], short = f"{name}_exact", f"{name}_short"
                nodes += [
                    helper.make_node("Cast", [node.output[k]], [short], to=kinds[name]),
                    helper.make_node("Cast", [short], [name], to=TensorProto.FLOAT),
                ]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(emulated)
    return emulated


def _widen(tensor: TensorProto) -> None:
    if tensor.data_type in HALVES:
        array = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def with_cached_noise(denoiser: onnx.ModelProto) -> onnx.ModelProto:
    """The denoiser with the step before it: instead of x it takes the latents that the window keeps
    (`base`, B, L, 16, h, w), the stream's `eps` (B, 16, h, w) and `mix` (B, L), and works on
    x = (1 - mix) base + mix eps. For a new frame base is its source latent and mix is tau
    (progressive noise initialisation), for the others the last estimate and their next level; mix
    0 takes an x that has its noise.
    """
    model = onnx.ModelProto()
    model.CopyFrom(denoiser)
    graph = model.graph
    x = next(i for i in graph.input if i.name == "x")
    shape = [d.dim_param or d.dim_value for d in x.type.tensor_type.shape.dim]
    given: dict[str, list[int | str]] = {
        "base": shape,
        "eps": [shape[0], *shape[2:]],
        "mix": shape[:2],
    }
    steps = [
        helper.make_node("Unsqueeze", ["mix", "mix_axes"], ["mix_wide"], name="mix_wide"),
        helper.make_node("Unsqueeze", ["eps", "eps_axes"], ["eps_wide"], name="eps_wide"),
        helper.make_node("Sub", ["mix_one", "mix_wide"], ["mix_rest"], name="mix_rest"),
        helper.make_node("Mul", ["mix_rest", "base"], ["mixed_base"], name="mixed_base"),
        helper.make_node("Mul", ["mix_wide", "eps_wide"], ["mixed_eps"], name="mixed_eps"),
        helper.make_node("Add", ["mixed_base", "mixed_eps"], ["x"], name="mixed"),
    ]
    rest = [n for n in graph.node]
    others = [i for i in graph.input if i.name != "x"]
    constants = {
        "mix_axes": np.array([2, 3, 4], np.int64),
        "eps_axes": np.array([1], np.int64),
        "mix_one": np.ones(1, np.float32),
    }
    nodes = [_copy(n) for n in [*steps, *rest]]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in given.items()]
    values += [_copy(i) for i in others]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(values)
    graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in constants.items())
    onnx.checker.check_model(model)
    return model


def _copy(message: NodeProto) -> NodeProto:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
