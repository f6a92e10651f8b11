"""The networks as the engine calls them: one module a graph, with the input and output names of the
contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.audio import MEL_COLUMNS, N_MELS
from engine.flow import level_grid
from engine.model.audio_encoder import AudioEncoder
from engine.model.autoencoder import Autoencoder
from engine.model.dit import Denoiser


class Hearing(nn.Module):
    """mel (N, 80, M), heard (N, M) -> tokens (N, 1 + K, D), pose (N, P)."""

    def __init__(self, audio: AudioEncoder, denoiser: Denoiser) -> None:
        super().__init__()
        self.audio = audio
        self.conditioner = denoiser.conditioner

    def forward(self, mel: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        sound, pose = self.audio(mel, heard)
        return self.conditioner(sound, pose), pose


@dataclass(frozen=True)
class Graph:
    """A module to export: example inputs by name, output names, and which axes stay free."""

    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    free_axes: dict[str, dict[int, str]]


def graphs(autoencoder: Autoencoder, audio: AudioEncoder, denoiser: Denoiser) -> dict[str, Graph]:
    """The five graphs of the lip-sync model (the landmark net is exported by its own training)."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    c = denoiser.config
    side, crop_px = c.grid, autoencoder.config.crop_px
    batch = {0: "batch"}
    return {
        "encoder": Graph(
            autoencoder.encoder,
            {"crop": normal(2, 3, crop_px, crop_px).clamp(-1, 1)},
            ("z",),
            {"crop": batch},
        ),
        "audio": Graph(
            Hearing(audio, denoiser),
            {"mel": normal(3, N_MELS, MEL_COLUMNS), "heard": torch.ones(3, MEL_COLUMNS)},
            ("tokens", "pose"),
            {"mel": batch, "heard": batch},
        ),
        "denoiser": denoiser_graph(denoiser),
        "decoder": Graph(
            autoencoder.decoder,
            {"z": normal(2, c.latent_channels, side, side)},
            ("crop",),
            {"z": {0: "batch", 2: "height", 3: "width"}},  # a part of a crop decodes on its own
        ),
        "motion": Graph(
            autoencoder.motion,
            {
                "z": normal(2, c.latent_channels, side, side),
                "source": normal(2, c.latent_channels, side, side),
            },
            ("motion", "kept", "covered"),
            {name: {0: "batch", 2: "height", 3: "width"} for name in ("z", "source")},
        ),
    }


def denoiser_graph(denoiser: Denoiser) -> Graph:
    """The denoiser alone: it is the one graph that a person may have of their own."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    c = denoiser.config
    b, slots = 2, 3
    window = (b, slots, c.latent_channels, c.grid, c.grid)
    batch, batch_slots = {0: "batch"}, {0: "batch", 1: "slots"}
    return Graph(
        denoiser,
        {
            "x": normal(*window),
            "z": normal(*window),
            "level": torch.from_numpy(level_grid(slots)).expand(b, slots).contiguous(),
            "tokens": normal(b, slots, 1 + c.sound_tokens, c.width),
            "strength": torch.ones(b),
            "mouth": torch.full((b, 2), 0.5),
        },
        ("x0",),
        {
            "x": batch_slots,
            "z": batch_slots,
            "level": batch_slots,
            "tokens": batch_slots,
            "strength": batch,
            "mouth": batch,
        },
    )
