"""A person's folder: the merged denoiser in the variants that the engine runs, the adapter, and
person.json, written whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from engine.model.dit import Denoiser
from engine.personal import CARD, FORMAT, TENSORRT, base_of
from engine.runtime.protocol import REFERENCE, Manifest
from export.folding import fold_shapes
from export.graphs import Graph, denoiser_graph
from export.onnx_files import export_graph
from export.precision import to_half, with_cached_noise
from export.quantised_denoiser import write_denoiser
from export.tensorrt import sized

ADAPTER = "adapter.npz"
SIZES = ((2, 1), (5, 2), (3, 3), (4, 4))  # batch and slots, which stay free


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to write in, which becomes `target` once `publish` was called; else it is gone."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.parent / f".{target.name}.{os.getpid()}.part"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def publish(draft: Path, target: Path) -> None:
    """Put a finished draft in its place, or in the place of what was there."""
    old = draft.with_suffix(".old")
    if target.exists():
        target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def write_person(
    folder: Path,
    name: str,
    base: Manifest,
    merged: Denoiser,
    adapter: Mapping[str, np.ndarray],
    full_precision: bool = False,
) -> None:
    """Write the graphs of a merged denoiser, for CPUs and for TensorRT, the adapter alone, and the
    card.

    Raises:
        ParityError: an exported graph does not compute what torch does.
    """
    files = {"int8": "denoiser.int8.onnx", TENSORRT: "denoiser.tensorrt.onnx"}
    write_denoiser(merged, folder / files["int8"])
    graph, exact = denoiser_graph(merged), folder / "denoiser.onnx"
    export_graph("denoiser", graph, exact)
    onnx.save(_for_tensorrt(onnx.load(str(exact)), graph), str(folder / files[TENSORRT]))
    if full_precision:
        files[REFERENCE] = exact.name
    else:
        exact.unlink()
    parts: dict[str, Any] = dict(adapter)
    np.savez_compressed(folder / ADAPTER, **parts)
    hashes = {
        file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files.values()
    }
    _write_card(
        folder,
        {
            "format": FORMAT,
            "name": name,
            "model": base.model,
            "base": base_of(base),
            "files": files,
            "hashes": hashes,
        },
    )


def _for_tensorrt(denoiser: onnx.ModelProto, graph: Graph) -> onnx.ModelProto:
    """In half precision, with the window's noise added inside, as the shipped one is prepared."""
    call = {name: value.numpy() for name, value in graph.inputs.items()}
    feeds = [sized("denoiser", call, batch, slots) for batch, slots in SIZES]
    return with_cached_noise(to_half(fold_shapes(denoiser, feeds)))


def add_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Put what was measured beside the rest of the card."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    _write_card(folder, card | dict(facts))


def _write_card(folder: Path, card: Mapping[str, Any]) -> None:
    (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
