"""The int8 variant for ONNX Runtime: every graph but the landmarks, each compared with the fp32 one
on calls of the engine that it was not calibrated with.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from engine.model.audio_encoder import AudioEncoder
from engine.model.autoencoder import Autoencoder
from engine.model.dit import Denoiser
from export.calibration import Calls
from export.graphs import Hearing
from export.onnx_files import ParityError
from export.precision import LEAST_DEVIATION
from export.quantised_autoencoder import write_decoder, write_encoder, write_motion
from export.quantised_denoiser import write_denoiser
from export.quantised_hearing import write_hearing

LARGEST_RMS = 0.08  # of an output's deviation; more means that the export is wrong
CROPS = 64  # that the convolutions' ranges are taken from

GraphParity: TypeAlias = dict[str, dict[str, float | int]]  # output -> parity


@dataclass(frozen=True)
class Parity:
    """An output's difference from fp32 over the deviation of what the graph adds: for the denoiser
    the edit, x0 - z.
    """

    rms: float
    largest: float
    calls: int


def write_int8(
    networks: tuple[Autoencoder, AudioEncoder, Denoiser], calls: dict[str, Calls], folder: Path
) -> dict[str, str]:
    """Write GRAPH.int8.onnx beside the fp32 files and return the file of each graph."""
    autoencoder, audio, denoiser = networks
    quantised = ("encoder", "audio", "denoiser", "decoder", "motion")
    files = {g: f"{g}.int8.onnx" for g in quantised}
    crops = _some([c["crop"] for c in calls["encoder"]])
    write_encoder(autoencoder.encoder, folder / files["encoder"], crops)
    edited, sources = (_some([c[name] for c in calls["motion"]]) for name in ("z", "source"))
    write_decoder(autoencoder.decoder, folder / files["decoder"], edited)
    write_motion(autoencoder.motion, folder / files["motion"], edited, sources)
    write_denoiser(denoiser, folder / files["denoiser"])
    write_hearing(Hearing(audio, denoiser).eval(), folder / files["audio"])
    return files


def _some(values: list[np.ndarray]) -> Tensor:
    step = max(1, len(values) // CROPS)
    return torch.from_numpy(np.concatenate(values[::step]))


def compare(graph: str, fp32: Path, other: Path, calls: Calls) -> GraphParity:
    """Parity of each of the graph's outputs.

    Raises:
        ParityError: the two differ by more than int8 explains.
    """
    sessions = [
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        for path in (fp32, other)
    ]
    expected, got = (
        [
            np.concatenate(o, dtype=np.float64)
            for o in zip(*(s.run(None, c) for c in calls), strict=True)
        ]
        for s in sessions
    )
    found: GraphParity = {}
    for k, output in enumerate(sessions[0].get_outputs()):
        added = expected[k]
        if graph == "denoiser":
            added = added - np.concatenate([call["z"] for call in calls])
        error, deviation = (
            got[k] - expected[k],
            max(added.std(), LEAST_DEVIATION.get(output.name, 1e-9)),
        )
        rms = float(np.sqrt((error**2).mean()) / deviation)
        if not rms < LARGEST_RMS:
            raise ParityError(
                f"{output.name} of {other.name} differs from {fp32.name} by {rms:.1e} of its"
                " deviation"
            )
        largest = float(np.abs(error).max() / deviation)
        found[output.name] = asdict(Parity(round(rms, 5), round(largest, 4), len(calls)))
    return found
