"""Presets: the networks' sizes, how windows are drawn, every stage's settings and the device, in
one TOML file. What a file leaves out is as in `tiny`, which ships.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from engine.model.audio_encoder import AudioEncoderConfig
from engine.model.autoencoder import AutoencoderConfig
from engine.model.dit import DenoiserConfig
from training.settings import Stages
from training.window_config import WindowConfig

FOLDER = Path(__file__).parent / "presets"
DEVICES = ("cpu", "cuda")
T = TypeVar("T")


class PresetError(ValueError):
    """A preset that cannot be used; its text is one line that names the key."""


@dataclass(frozen=True)
class Preset:
    device: str = "cpu"
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    audio: AudioEncoderConfig = field(default_factory=AudioEncoderConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    windows: WindowConfig = field(default_factory=WindowConfig)
    train: Stages = field(default_factory=Stages)


def load_preset(name: str) -> Preset:
    """A preset of `presets/` by its name, or a TOML file by its path.

    Raises:
        PresetError: no such preset, not TOML, unknown key, wrong type, or parts that do not fit.
    """
    path = Path(name)
    if path.suffix != ".toml":
        path = FOLDER / f"{name}.toml"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.toml")))
            raise PresetError(f"no preset '{name}': there are {known}, or give a .toml file")
    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PresetError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PresetError(f"{path}: {error}") from error
    preset = built(Preset, stored, path.name)
    _check(preset, path.name)
    return preset


def built(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """A dataclass from a table of its fields, nested ones too.

    Raises:
        PresetError: a key that `kind` does not have, or a value of another type.
    """
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise PresetError(f"{where}: unknown key '{key}'; there are {', '.join(hints)}")
    return kind(**{k: _value(hints[k], v, f"{where}: {k}") for k, v in table.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise PresetError(f"{where} is to be a table, not {value!r}")
        return built(hint, value, where)
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        if not isinstance(value, list | tuple):
            raise PresetError(f"{where} is to be a list, not {value!r}")
        if kinds[-1] is Ellipsis:
            kinds = (kinds[0],) * len(value)
        if len(kinds) != len(value):
            raise PresetError(f"{where} is to have {len(kinds)} values, not {value!r}")
        return tuple(_value(kind, v, where) for kind, v in zip(kinds, value, strict=True))
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise PresetError(f"{where} is to be {hint.__name__}, not {value!r}")
    return value


def _check(preset: Preset, where: str) -> None:
    ae, audio, dit = preset.autoencoder, preset.audio, preset.denoiser
    for one, other, a, b in (
        ("autoencoder.latent_side", "denoiser.grid", ae.latent_side, dit.grid),
        *(
            (f"{part}.latent_channels", "denoiser.latent_channels", channels, dit.latent_channels)
            for part, channels in (
                ("autoencoder", ae.latent_channels),
                ("autoencoder.motion", ae.motion.latent_channels),
            )
        ),
        ("audio.width", "denoiser.sound_width", audio.width, dit.sound_width),
        *(
            (f"audio.{key}", f"denoiser.{key}", getattr(audio, key), getattr(dit, key))
            for key in ("sound_tokens", "pose_components")
        ),
    ):
        if a != b:
            raise PresetError(f"{where}: {one} is {a}, but {other} is {b}")
    if dit.width % dit.heads:
        raise PresetError(
            f"{where}: denoiser.width {dit.width} is no multiple of {dit.heads} heads"
        )
    top, bottom, left, right = dit.edited
    sides = (bottom - top, right - left)
    if min(top, left) < 0 or max(bottom, right) > dit.grid or min(sides) <= 0:
        raise PresetError(f"{where}: denoiser.edited {dit.edited} lies outside of {dit.grid}")
    if any(side % dit.patch for side in sides):
        raise PresetError(f"{where}: denoiser.edited {dit.edited} is no multiple of the patch")
    if preset.device not in DEVICES:
        raise PresetError(f"{where}: device is to be cpu or cuda, not {preset.device!r}")
