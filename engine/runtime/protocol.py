"""What an executor must do, and the manifest that names the graphs it runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.errors import WeightsError

Tensor = NDArray[np.float32]
Input: TypeAlias = NDArray[Any]  # float32, or uint8 of pictures
GRAPHS = ("encoder", "audio", "denoiser", "decoder", "motion", "landmarks")
DRAWN = "drawn"  # a denoiser for drawings, which weights may lack
FORMAT = 5  # of the weights folder: rises when a graph takes or gives something else
REFERENCE = "fp32"  # the variant that others are measured against


class Session(Protocol):
    """One graph, loaded; freed with its last reference. Safe to call from several threads."""

    def run(self, inputs: Mapping[str, Input]) -> list[Tensor]:
        """Outputs in the graph's own order, float32."""
        ...


class Runtime(Protocol):
    """Runs a named graph. Implementations are safe to call from several threads."""

    name: str
    variant: str

    @property
    def drawn(self) -> Session | None:
        """The denoiser for drawings; None where the weights have none."""
        ...

    def load(self, path: Path) -> Session:
        """One more graph, from a file outside the weights. Raises WeightsError."""
        ...

    def run(self, graph: str, inputs: Mapping[str, Input]) -> list[Tensor]:
        """Outputs of `graph` in the graph's own order, float32."""
        ...

    def warming(self) -> AbstractContextManager[None]:
        """Shapes that are run inside it will come again: what makes them fast is done there, and
        may take a second each. Elsewhere no call compiles anything.
        """
        ...


Grids = dict[int, tuple[float, ...]]  # window size -> noise levels, oldest slot first


def _grids(stored: dict[str, list[float]]) -> Grids:
    return {int(size): tuple(levels) for size, levels in stored.items()}


@dataclass(frozen=True)
class Manifest:
    """What ships in a weights folder (manifest.json)."""

    folder: Path
    model: str
    crop_px: int
    latent_channels: int
    latent_side: int
    levels: Grids
    drawn_levels: Grids  # of the denoiser for drawings
    default: str  # variant that runs unless another is asked for
    files: dict[str, dict[str, str]]  # variant -> graph -> file name
    hashes: dict[str, str]  # file name -> sha256

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and check a weights folder.

        Raises:
            WeightsError: no manifest, a damaged one, an unknown format, a default that is no
                variant, or a file that is missing or whose hash differs.
        """
        try:
            manifest = cls._read(folder)
            for graph in GRAPHS:
                manifest.path(graph, REFERENCE)
        except OSError as error:
            raise WeightsError(f"no weights in {folder}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"{folder / 'manifest.json'} is damaged: check out the weights again"
            ) from error
        return manifest

    @classmethod
    def _read(cls, folder: Path) -> Manifest:
        path = folder / "manifest.json"
        try:
            stored: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            raise WeightsError(f"no weights in {folder}: manifest.json is missing") from None
        except json.JSONDecodeError as error:
            raise WeightsError(f"{path} is not valid JSON: {error}") from None
        if stored.get("format") != FORMAT:
            raise WeightsError(
                f"{path}: format {stored.get('format')} is not {FORMAT}, which this engine reads: "
                "check out its weights, or export yours again"
            )
        manifest = cls(
            folder=folder,
            model=stored["model"],
            crop_px=stored["crop_px"],
            latent_channels=stored["latent_channels"],
            latent_side=stored["latent_side"],
            levels=_grids(stored["levels"]),
            drawn_levels=_grids(stored.get("drawn_levels", stored["levels"])),
            default=stored.get("default", REFERENCE),
            files=stored["files"],
            hashes=stored["hashes"],
        )
        if manifest.default not in manifest.files:
            raise WeightsError(
                f"{path}: the default variant '{manifest.default}' is none of these: "
                f"{', '.join(sorted(manifest.files))}"
            )
        for name in {n for files in manifest.files.values() for n in files.values()}:
            manifest._check(name)
        return manifest

    def _check(self, name: str) -> None:
        path = self.folder / name
        if not path.exists():
            raise WeightsError(f"{path} is missing: check out the weights again")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != self.hashes.get(name):
            raise WeightsError(
                f"{path} does not match its hash in manifest.json: check out the weights again"
            )

    @property
    def digest(self) -> str:
        """Of all files: what is measured with these weights is true of no others."""
        return hashlib.sha256(json.dumps(sorted(self.hashes.items())).encode()).hexdigest()

    @property
    def graphs(self) -> tuple[str, ...]:
        """GRAPHS, and DRAWN where these weights have it."""
        return (*GRAPHS, DRAWN) if DRAWN in self.files[REFERENCE] else GRAPHS

    def path(self, graph: str, variant: str) -> Path:
        """File of `graph` in `variant`, falling back to the reference where the variant has no file
        of its own.
        """
        files = self.files.get(variant, {})
        return self.folder / (files.get(graph) or self.files[REFERENCE][graph])
