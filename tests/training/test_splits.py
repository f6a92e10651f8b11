"""Held-out data never reaches a training stage."""

from pathlib import Path

import pytest

from training.splits import HeldOutError, held_out, judged_names, refuse_held_out, refuse_test_head

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


def test_training_data_passes() -> None:
    refuse_held_out([Path("grid_s1/zzzz9z.mp4"), Path("audio/ljspeech/LJ001-0001.wav")])


def test_test_heads_are_refused() -> None:
    refuse_test_head(999_999)
    with pytest.raises(HeldOutError):
        refuse_test_head(1_000_000)


def test_validation_is_held_out_too() -> None:
    assert set(judged_names("grid_s1")) < held_out("grid_s1")
