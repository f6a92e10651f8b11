"""The networks as the engine calls them: one module a graph, with the input and output names of the
contract. Pictures go in and come out as they lie in memory: (N, rows, columns, colours), grey
levels.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.audio import MEL_COLUMNS, N_MELS, WINDOW_COLUMNS
from engine.flow import level_grid
from engine.model.audio_encoder import AudioEncoder
from engine.model.autoencoder import Autoencoder, Decoder
from engine.model.dit import Denoiser
from engine.model.motion import MotionNet

HALF_RANGE = 127.5  # grey levels from -1 to 0, and from 0 to 1


class FromPixels(nn.Module):
    """A network of pictures (N, 3, S, S) in -1..1, for uint8 (N, S, S, 3)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = deepcopy(net)
        first = next(layer for layer in self.net.modules() if isinstance(layer, nn.Conv2d))
        with torch.no_grad():
            first.weight /= HALF_RANGE

    def forward(self, pixels: Tensor) -> Tensor:
        # TensorRT does nothing with bytes but convert them, so that comes first.
        return self.net((pixels.float() - HALF_RANGE).permute(0, 3, 1, 2))


class ToPixels(nn.Module):
    """The decoder: z (N, 16, h, w) -> crop (N, 12h, 12w, 3), 0..255, not clipped."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = deepcopy(decoder)
        last = self.decoder.layers[-2]
        with torch.no_grad():
            last.weight *= HALF_RANGE
            last.bias *= HALF_RANGE

    def forward(self, z: Tensor) -> Tensor:
        return self.decoder(z).permute(0, 2, 3, 1) + HALF_RANGE


class Moving(nn.Module):
    """The motion net, its motion (N, 4h, 4w, 2); kept and covered (N, 1, 4h, 4w)."""

    def __init__(self, net: MotionNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, z: Tensor, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        motion, kept, covered = self.net(z, source)
        return motion.permute(0, 2, 3, 1), kept, covered


class Hearing(nn.Module):
    """mel (N, 80, H + M), heard (N, M) -> tokens (N, 1 + K, D), pose (N, P)."""

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
            FromPixels(autoencoder.encoder),
            {"crop": torch.randint(256, (2, crop_px, crop_px, 3), generator=generator).byte()},
            ("z",),
            {"crop": batch},
        ),
        "audio": Graph(
            Hearing(audio, denoiser),
            {"mel": normal(3, N_MELS, WINDOW_COLUMNS), "heard": torch.ones(3, MEL_COLUMNS)},
            ("tokens", "pose"),
            {"mel": batch, "heard": batch},
        ),
        "denoiser": denoiser_graph(denoiser),
        "decoder": Graph(
            ToPixels(autoencoder.decoder),
            {"z": normal(2, c.latent_channels, side, side)},
            ("crop",),
            {"z": {0: "batch", 2: "height", 3: "width"}},  # a part of a crop decodes on its own
        ),
        "motion": Graph(
            Moving(autoencoder.motion),
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
