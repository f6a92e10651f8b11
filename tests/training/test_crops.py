"""Shards are found, and those that no training may see end it."""

from pathlib import Path

import pytest

from training.crops import crop_shards
from training.splits import HeldOutError, judged_names


def made(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.touch()
    return path


def test_finds_the_finished_shards_of_every_kind(tmp_path: Path) -> None:
    wanted = [made(tmp_path / "grid" / "zzzz9z.npy"), made(tmp_path / "drawn" / "drawn_00007.npz")]
    made(tmp_path / "drawn" / "drawn_00008.part.npz")
    made(tmp_path / "heads" / "heads.npz")
    assert crop_shards(tmp_path) == wanted


def test_says_what_makes_crops_where_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no crops in .*: grid, .* and drawn make them"):
        crop_shards(tmp_path)


@pytest.mark.parametrize(
    "name", ["rendered/head_1000003.npz", "drawn/drawn_1000000.npz", "grid/CLIP.npy"]
)
def test_refuses_what_is_held_out(tmp_path: Path, name: str) -> None:
    made(tmp_path / name.replace("CLIP", judged_names("grid_s1")[0]))
    with pytest.raises(HeldOutError):
        crop_shards(tmp_path)
