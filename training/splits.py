"""What no training may touch, as `split.json` of the data folder says. Every training stage asks
here.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path


class HeldOutError(ValueError):
    """Held-out data was handed to a training stage."""


def data_dir() -> Path:
    """The data folder: $OMNISYNC_DATA, or shared/data beside the checkout.

    Raises:
        FileNotFoundError: neither exists.
    """
    here = Path(__file__).resolve().parent.parent
    path = Path(os.environ.get("OMNISYNC_DATA", here.parent / "shared" / "data"))
    if not (path / "split.json").exists():
        raise FileNotFoundError(f"no data in {path}: point OMNISYNC_DATA at the data folder")
    return path


@lru_cache(1)
def _split() -> dict[str, dict[str, list[str]]]:
    return json.loads((data_dir() / "split.json").read_text())


def held_out(kind: str) -> frozenset[str]:
    """Names held out of `kind` ("grid_s1" clip names or "portraits" file names), test and
    validation.
    """
    return frozenset(_split()[kind]["test"]) | frozenset(_split()[kind]["validation"])


def judged_names(kind: str) -> list[str]:
    """Names of the test part of `kind`, in the file's order."""
    return list(_split()[kind]["test"])


def validation_names(kind: str) -> list[str]:
    """Names of the validation part of `kind`, in the file's order."""
    return list(_split()[kind]["validation"])


def refuse_held_out(paths: list[Path]) -> None:
    """Raise HeldOutError if any path is data that training must not see."""
    clips, portraits = held_out("grid_s1"), held_out("portraits")
    audio_only_tests = {"mfa", "thorsten_de"}
    for path in paths:
        parts = set(path.parts)
        if (
            path.stem in clips
            or path.name in portraits
            or f"{path.stem}.jpg" in portraits
            or "clips" in parts
            or (parts & audio_only_tests)
        ):
            raise HeldOutError(f"{path.name} is held out by split.json and may not be trained on")


def refuse_test_head(seed: int) -> None:
    """Raise HeldOutError for rendered heads reserved for tests (seeds >= 1000000)."""
    if seed >= 1_000_000:
        raise HeldOutError(f"head {seed} is a test head; training draws seeds below 1000000")
