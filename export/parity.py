"""How far a graph is from what it stands for, on calls that the engine made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import onnx
import onnxruntime

from engine.runtime.protocol import Tensor
from export.calibration import Calls

if TYPE_CHECKING:
    from export.graphs import Graph

Outputs: TypeAlias = list[dict[str, Tensor]]  # of each call

LARGEST_RMS = 0.08  # of an output's deviation: what loses more is not taken
# Least deviation that errors are told in: of shares, 0..1, where the faces at hand have next to
# nothing before them; of the logit that tells a face, where all are faces.
LEAST_DEVIATION = {"covered": 0.3, "kept": 0.1, "confidence": 1.0}


class ParityError(RuntimeError):
    """A graph does not compute what it should."""


@dataclass(frozen=True)
class Parity:
    """An output's error over the deviation of what the graph adds: for the denoiser the edit,
    x0 - z.
    """

    rms: float
    largest: float
    calls: int

    def __str__(self) -> str:
        return f"rms {self.rms:.1e}, largest {self.largest:.1e}"


GraphParity: TypeAlias = dict[str, Parity]  # by output


def run_onnx(model: onnx.ModelProto | Path, calls: Calls) -> Outputs:
    """On ONNX Runtime, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return [dict(zip(names, session.run(names, call), strict=True)) for call in calls]


def run_torch(graph: Graph, calls: Calls) -> Outputs:
    """By the graph's torch module."""
    import torch

    found: Outputs = []
    with torch.no_grad():
        for call in calls:
            outputs = graph.module(*(torch.from_numpy(call[name]) for name in graph.inputs))
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            found.append({n: o.numpy() for n, o in zip(graph.outputs, outputs, strict=True)})
    return found


def compare(graph: str, expected: Outputs, got: Outputs, calls: Calls) -> GraphParity:
    """Parity of each output of a graph; the calls are of one size but for their batch."""

    def whole(values: Sequence[Mapping[str, np.ndarray]], name: str) -> np.ndarray:
        return np.concatenate([value[name] for value in values], dtype=np.float64)

    found = {}
    for name in expected[0]:
        wanted = whole(expected, name)
        added = wanted - whole(calls, "z") if graph == "denoiser" else wanted
        error = np.abs(whole(got, name) - wanted)
        deviation = max(float(added.std()), LEAST_DEVIATION.get(name, 1e-4))
        rms = np.sqrt(np.square(error).mean())
        found[name] = Parity(_short(rms / deviation), _short(error.max() / deviation), len(calls))
    return found


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def lost(parity: GraphParity) -> float:
    """The largest rms of the outputs; not a number if one is not."""
    return float(np.max([output.rms for output in parity.values()]))


def told(parity: GraphParity) -> dict[str, dict[str, float]]:
    """For a report in JSON."""
    return {name: asdict(output) for name, output in parity.items()}
