"""Shape arithmetic of a traced graph, worked out beforehand: a builder of engines spends minutes on
what a tracer leaves behind to keep an axis free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, helper, numpy_helper

from engine.runtime.protocol import Input

Feed: TypeAlias = Mapping[str, Input]


def fold_shapes(model: onnx.ModelProto, feeds: Sequence[Feed]) -> onnx.ModelProto:
    """The same graph with constants for all that no value of an input reaches and that is the same
    for every feed; a Reshape's target keeps its free axes as 0 and -1 where these can say it.

    Args:
        model: float32, opset 17 or later.
        feeds: inputs of as many sizes as shall stay free, at least two.
    """
    folded = onnx.ModelProto()
    folded.CopyFrom(model)
    graph = folded.graph
    fixed = _reached_by_no_value(graph.node, {i.name for i in graph.initializer})
    reshaped = [n.input[0] for n in graph.node if n.op_type == "Reshape"]
    seen = _evaluate(folded, dict.fromkeys([*fixed, *reshaped]), feeds)
    constants = {
        name: seen[0][name]
        for name in fixed
        if all(np.array_equal(s[name], seen[0][name]) for s in seen)
    }
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[1] in fixed:
            target = _target(
                [s[node.input[1]] for s in seen], [s[node.input[0]].shape for s in seen]
            )
            if target is not None:
                node.input[1] = f"{node.output[0]}_target"
                constants[node.input[1]] = target
    kept = [n for n in graph.node if not any(o in constants for o in n.output)]
    used = _used(kept, [o.name for o in graph.output])
    kept = [n for n in kept if any(o in used for o in n.output)]
    weights = [i for i in graph.initializer if i.name in used]
    weights += [numpy_helper.from_array(v, n) for n, v in constants.items() if n in used]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(weights)
    onnx.checker.check_model(folded)
    return folded


def _reached_by_no_value(nodes: Iterable[NodeProto], constants: set[str]) -> list[str]:
    """Values that follow from constants and from the shapes of the others."""
    known = set(constants) | {""}
    found: list[str] = []
    for node in nodes:
        if node.op_type == "Shape" or all(name in known for name in node.input):
            known.update(node.output)
            found += node.output
    return found


def _evaluate(
    model: onnx.ModelProto, names: Iterable[str], feeds: Sequence[Feed]
) -> list[dict[str, np.ndarray]]:
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    inputs = {i.name for i in probe.graph.input}
    asked = [n for n in names if n not in inputs]
    del probe.graph.output[:]
    probe.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in asked)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        probe.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [
        dict(zip(asked, session.run(asked, dict(feed)), strict=True)) | dict(feed) for feed in feeds
    ]


def _target(values: list[np.ndarray], shapes: list[tuple[int, ...]]) -> np.ndarray | None:
    """One target for all sizes: 0 where the axis stays, -1 for one other that varies."""
    target = []
    for axis in range(len(values[0])):
        sizes = {int(v[axis]) for v in values}
        if len(sizes) == 1:
            target.append(sizes.pop())
        elif all(
            axis < len(s) and int(v[axis]) == s[axis] for v, s in zip(values, shapes, strict=True)
        ):
            target.append(0)
        else:
            target.append(-1)
    return np.array(target, np.int64) if target.count(-1) <= 1 else None


def _used(nodes: list[NodeProto], outputs: list[str]) -> set[str]:
    used = set(outputs)
    for node in reversed(nodes):
        if any(o in used for o in node.output):
            used.update(node.input)
    return used
