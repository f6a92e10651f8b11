"""The int8 variant for ONNX Runtime: every graph but the landmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.model.audio_encoder import AudioEncoder
from engine.model.autoencoder import Autoencoder
from engine.model.dit import Denoiser
from export.calibration import Calls
from export.graphs import Hearing
from export.quantised_autoencoder import write_decoder, write_encoder, write_motion
from export.quantised_denoiser import write_denoiser
from export.quantised_hearing import write_hearing

CROPS = 64  # at most, that the convolutions' ranges are taken from


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
    step = -(-len(values) // CROPS)
    return torch.from_numpy(np.concatenate(values[::step]))
