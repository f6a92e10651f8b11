"""Graphs -> torch: the weights folder's own networks, so that what is fine-tuned is exactly what
ships, and needs no checkpoint beside it.

`python -m export.read_back --output runs` writes both denoisers as checkpoints, for training to go
on from.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from onnx import numpy_helper
from torch import Tensor

from engine.engine import WEIGHTS
from engine.errors import WeightsError
from engine.model.dit import Denoiser, DenoiserConfig
from engine.runtime.protocol import DRAWN, REFERENCE, Manifest
from export.graphs import denoiser_graph
from export.half_stored import read_graph
from export.onnx_files import LARGEST_ERROR, largest_error
from training import checkpoint

HEARD = "conditioner."


def stored_parameters(path: Path) -> dict[str, Tensor]:
    """Parameters of a traced graph by their torch names.

    The tracer keeps the names of all but the matrices of linear layers, which it transposes; those
    are named after the node that multiplies by them.
    """
    graph = read_graph(path).graph
    arrays = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    found = {name: value for name, value in arrays.items() if "::" not in name}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in arrays:
            found[f"{_module(node.name)}.weight"] = arrays[node.input[1]].T.contiguous()
    return found


def _module(node: str) -> str:
    """`/blocks.0/qkv/MatMul` -> `blocks.0.qkv`; `/level/level.0/MatMul` -> `level.0`."""
    path = ""
    for part in node.strip("/").split("/")[:-1]:
        path = part if not path or part.startswith(f"{path}.") else f"{path}.{part}"
    return path


def read_denoiser(manifest: Manifest, graph: str = "denoiser") -> Denoiser:
    """A full-precision denoiser, "denoiser" or "drawn", with the part of its conditioner that lip
    poses go through; the rest, which no graph holds, is 0.

    Raises:
        WeightsError: the graphs are not those of this denoiser.
    """
    files = manifest.files[REFERENCE]
    path = manifest.folder / files[graph]
    parameters = stored_parameters(path)
    heard = stored_parameters(manifest.folder / files["audio"])
    parameters |= {k: v for k, v in heard.items() if k.startswith(HEARD)}
    model = Denoiser(_config(manifest, parameters))
    for value in model.conditioner.parameters():
        torch.nn.init.zeros_(value)
    given = model.load_state_dict(parameters, strict=False)
    lacks = [k for k in given.missing_keys if not k.startswith(HEARD)]
    if lacks or given.unexpected_keys or f"{HEARD}null_sound" not in parameters:
        raise WeightsError(f"{manifest.folder}: holds another denoiser than this code's")
    if largest_error(denoiser_graph(model.eval()), path) > LARGEST_ERROR:
        raise WeightsError(f"{manifest.folder}: the denoiser does not compute what this code does")
    return model


def _config(manifest: Manifest, parameters: dict[str, Tensor]) -> DenoiserConfig:
    """Sizes that the parameters show; what they do not show stays as it is by default."""
    try:
        width = parameters["place"].shape[1]
        blocks = {name.split(".")[1] for name in parameters if name.startswith("blocks.")}
        return replace(
            DenoiserConfig(),
            width=width,
            depth=len(blocks),
            grid=manifest.latent_side,
            latent_channels=manifest.latent_channels,
            pose_rank=parameters["pose_map"].shape[0],
            stem_width=parameters["stem.weight"].shape[0],
        )
    except KeyError as error:
        raise WeightsError(f"{manifest.folder}: the denoiser has no {error}") from error


def main(argv: list[str] | None = None) -> int:
    """0 written, 2 weights that cannot be read or a folder that cannot be written."""
    parser = argparse.ArgumentParser(prog="export.read_back", description=__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--output", type=Path, required=True, help="folder for NAME.pt")
    args = parser.parse_args(argv)
    try:
        manifest = Manifest.read(args.weights)
        for graph in ("denoiser", *([DRAWN] if DRAWN in manifest.graphs else [])):
            checkpoint.save(args.output / f"{graph}.pt", read_denoiser(manifest, graph), 0)
    except (WeightsError, OSError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
