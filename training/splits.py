"""What no training may touch, as `split.json` of the data folder says. Every training stage asks
here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

TEST_FOLDERS = (Path("clips"), Path("audio/mfa"), Path("audio/thorsten_de"))  # of the data folder
TEST_HEADS = 1_000_000


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
def _read(path: Path) -> dict[str, dict[str, list[str]]]:
    return json.loads(path.read_text())


def _split() -> dict[str, dict[str, list[str]]]:
    return _read(data_dir() / "split.json")


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
    """Raise HeldOutError if any path is data that training must not see, or a crop or label file
    made of it: NAME.npz, NAME_VARIANT.npz, head_SEED.npz.
    """
    clips, portraits, root = held_out("grid_s1"), held_out("portraits"), data_dir().resolve()
    for path in paths:
        stem = path.name.partition(".")[0]
        names = {stem, stem.rpartition("_")[0]}
        pictures = {f"{name}.jpg" for name in names}
        if names & clips or pictures & portraits or _lies_in_tests(path, root):
            raise HeldOutError(f"{path.name} is held out by split.json and may not be trained on")
        if head := re.fullmatch(r"head_(\d+)", stem):
            refuse_test_head(int(head[1]))


def refuse_held_out_names(names: Iterable[str], file: str) -> None:
    """Raise HeldOutError at the first recording that training must not hear, of those that a stored
    table (`file`) names: NAME, or TURN_NAME as `speech` has it.
    """
    tests = (path for folder in TEST_FOLDERS for path in (data_dir() / folder).glob("*"))
    hidden = held_out("grid_s1") | {path.stem for path in tests}
    for name in names:
        if not hidden.isdisjoint((name, name.partition("_")[2])):
            raise HeldOutError(
                f"{file}: {name} is held out by split.json and may not be trained on"
            )


def _lies_in_tests(path: Path, root: Path) -> bool:
    """By the path as given, wherever it leads, or by where in the data folder it leads."""
    resolved = path.resolve()
    return bool(set(path.parts) & {folder.name for folder in TEST_FOLDERS}) or any(
        resolved.is_relative_to(root / folder) for folder in TEST_FOLDERS
    )


def refuse_test_head(seed: int) -> None:
    """Raise HeldOutError for rendered heads reserved for tests (seeds from TEST_HEADS on)."""
    if seed >= TEST_HEADS:
        raise HeldOutError(f"head {seed} is a test head; training draws seeds below {TEST_HEADS}")
