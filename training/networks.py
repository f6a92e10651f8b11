"""Networks and their checkpoints: built by the sizes that a checkpoint names, or refused where they
are not the preset's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from engine.model.audio_encoder import AudioEncoder, AudioEncoderConfig
from engine.model.autoencoder import Autoencoder, AutoencoderConfig
from engine.model.dit import Denoiser, DenoiserConfig
from training import checkpoint
from training.preset import PresetError, built

Config = TypeVar("Config")


class MisfitError(ValueError):
    """A checkpoint of a network of other sizes; its text is one line."""


def _config(kind: type[Config], stored: checkpoint.Checkpoint, path: Path) -> Config:
    try:
        return built(kind, stored.config or {}, path.name)
    except PresetError as error:
        raise MisfitError(str(error)) from error


def restore(model: nn.Module, path: Path, *, partial: bool = False) -> checkpoint.Checkpoint:
    """Load a checkpoint into a network made already; partial: it may lack parts of it.

    Raises:
        MisfitError: its network has other sizes.
    """
    stored = checkpoint.load(path)
    own: Any = getattr(model, "config", None)
    # Older checkpoints do not tell, and some networks come in one size: there the shapes decide.
    if stored.config and own and (made := _config(type(own), stored, path)) != own:
        raise MisfitError(f"{path} holds another network than was asked for: {_told(made, own)}")
    try:
        model.load_state_dict(stored.weights, strict=not partial)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise MisfitError(f"{path} holds another network than was asked for: {first}") from error
    return stored


def check(model: nn.Module, *paths: Path, run: Path | None = None) -> None:
    """Before any work: do all of `paths` fit `model`, and `run` where that exists already.

    Raises:
        MisfitError: one does not. OSError: one of `paths` is not there.
    """
    resumed = [run] if run and run.exists() else []
    for path in (*paths, *resumed):
        restore(model, path)


def _told(made: Any, own: Any) -> str:
    return ", ".join(
        f"{key} {value} instead of {getattr(own, key)}"
        for key, value in vars(made).items()
        if value != getattr(own, key)
    )


def load_autoencoder(path: Path, *, partial: bool = False) -> Autoencoder:
    """partial: it may lack the motion net, which the last stage adds."""
    model = Autoencoder(_config(AutoencoderConfig, checkpoint.load(path), path))
    restore(model, path, partial=partial)
    return model


def load_audio(path: Path) -> AudioEncoder:
    model = AudioEncoder(_config(AudioEncoderConfig, checkpoint.load(path), path))
    restore(model, path)
    return model


def load_denoiser(path: Path) -> Denoiser:
    model = Denoiser(_config(DenoiserConfig, checkpoint.load(path), path))
    restore(model, path)
    return model
