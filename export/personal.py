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

from engine.model.dit import Denoiser
from engine.personal import CARD, FORMAT, base_of
from engine.runtime.protocol import REFERENCE, Manifest
from export.graphs import denoiser_graph
from export.onnx_files import export_graph
from export.quantised_denoiser import write_denoiser

ADAPTER = "adapter.npz"


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
    """Write the graphs of a merged denoiser, the adapter alone, and the card.

    Raises:
        ParityError: an exported graph does not compute what torch does.
    """
    files = {"int8": "denoiser.int8.onnx"}
    write_denoiser(merged, folder / files["int8"])
    if full_precision:
        files[REFERENCE] = "denoiser.onnx"
        export_graph("denoiser", denoiser_graph(merged), folder / files[REFERENCE])
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


def add_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Put what was measured beside the rest of the card."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    _write_card(folder, card | dict(facts))


def _write_card(folder: Path, card: Mapping[str, Any]) -> None:
    (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
