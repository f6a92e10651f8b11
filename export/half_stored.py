"""Full-precision graphs whose weights lie in the file as float16: half the bytes, the same float32
sums, as networks are rounded to float16 before any file is made of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from torch import nn

SMALL = 256  # values below which a weight stays as it is
STORED = "_stored"


def round_weights(network: nn.Module) -> None:
    """To what float16 holds, in place."""
    for values in network.state_dict().values():
        if values.is_floating_point():
            values.copy_(values.half().float())


def store_half(path: Path) -> None:
    """Rewrite a graph of rounded weights, which executors cast as they load it. What is no float16,
    as a constant that the tracer computed, stays as it is.
    """
    model = onnx.load(str(path))
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < SMALL:
            continue
        name, values = weight.name, numpy_helper.to_array(weight)
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        weight.CopyFrom(numpy_helper.from_array(half, name + STORED))
        casts.append(helper.make_node("Cast", [name + STORED], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(path))


def read_graph(path: Path) -> onnx.ModelProto:
    """A graph as it was before `store_half`, or one that it never met."""
    model = onnx.load(str(path))
    cast = {
        node.input[0]: node.output[0]
        for node in model.graph.node
        if node.op_type == "Cast" and node.input[0].endswith(STORED)
    }
    for weight in model.graph.initializer:
        if weight.name in cast:
            whole = numpy_helper.to_array(weight).astype(np.float32)
            weight.CopyFrom(numpy_helper.from_array(whole, cast[weight.name]))
    nodes = [n for n in model.graph.node if n.op_type != "Cast" or n.input[0] not in cast]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
