"""Held-out data never reaches a training stage."""

from pathlib import Path

import pytest

from training.splits import (
    HeldOutError,
    data_dir,
    held_out,
    judged_names,
    refuse_held_out,
    refuse_test_head,
)

pytestmark = pytest.mark.data


def test_held_out_clips_and_portraits_are_refused() -> None:
    clip = sorted(held_out("grid_s1"))[0]
    portrait = sorted(held_out("portraits"))[0]
    for path in (
        f"grid_s1/{clip}.mp4",
        f"portraits/{portrait}",
        "clips/anything.mpg",
        "audio/mfa/a.wav",
    ):
        with pytest.raises(HeldOutError, match="held out"):
            refuse_held_out([Path(path)])


def test_what_was_made_of_held_out_data_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, portrait = judged_names("grid_s1")[0], Path(judged_names("portraits")[0]).stem
    for name in (f"{clip}.npy", f"{clip}.part.npy", f"{portrait}_2.npz", "head_1000200.npz"):
        with pytest.raises(HeldOutError):
            refuse_held_out([tmp_path / name])
    monkeypatch.chdir(data_dir() / "clips")  # a path that does not name the folder
    with pytest.raises(HeldOutError):
        refuse_held_out([Path("anything.mpg")])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(data_dir() / "audio" / "mfa")
    with pytest.raises(HeldOutError):
        refuse_held_out([Path("link/a.wav")])


def test_training_data_passes() -> None:
    refuse_held_out([Path("grid_s1/zzzz9z.mp4"), Path("audio/ljspeech/LJ001-0001.wav")])
    refuse_held_out([Path("portraits/t2i_0423_1.npz"), Path("rendered/head_12.npz")])


def test_test_heads_are_refused() -> None:
    refuse_test_head(999_999)
    with pytest.raises(HeldOutError):
        refuse_test_head(1_000_000)


def test_validation_is_held_out_too() -> None:
    assert set(judged_names("grid_s1")) < held_out("grid_s1")
