"""Stored tables that name a held-out clip are refused, whoever made them and however long ago."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training import cli  # noqa: E402
from training.latents import Tracks  # noqa: E402
from training.splits import HeldOutError  # noqa: E402
from training.voice_table import VoiceTable  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("made_up_data")]


def latents(folder: Path, *clips: list[str]) -> None:
    shape = len(clips), len(clips[0])
    np.save(folder / "latents_portraits.npy", np.zeros((*shape, 4, 16, 2, 2), np.float16))
    starts = np.zeros(shape, np.int64)
    np.savez(folder / "latents_portraits_index.npz", clips=np.array(clips), starts=starts)


def voices(path: Path, *names: str) -> Path:
    stored: dict[str, np.ndarray] = {}
    for name in names:
        stored[f"mel/{name}"] = np.zeros((80, 12), np.float16)
        stored[f"pose/{name}"] = np.zeros((3, 10), np.float32)
    np.savez(path, **stored)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("held", ["bbbb1a", "cccc0a"])  # validation and test
def test_latents_that_speak_a_held_out_sentence_are_refused(tmp_path: Path, held: str) -> None:
    latents(tmp_path, ["aaaa0a", "aaaa1a"], ["aaaa2a", held], ["bbbb0a", "aaaa0a"])
    with pytest.raises(HeldOutError, match=f"latents_portraits_index.npz: {held} is held out"):
        Tracks.read(tmp_path, "portraits")
    latents(tmp_path, ["aaaa0a", "aaaa1a"], ["aaaa2a", "aaaa3a"])
    assert Tracks.read(tmp_path, "portraits").clips[1] == ["aaaa2a", "aaaa3a"]


def test_a_voice_table_is_refused_for_a_held_out_clip_in_its_own_or_another_voice(
    tmp_path: Path, made_up_data: Path
) -> None:
    test_audio = made_up_data / "audio" / "mfa"
    test_audio.mkdir(parents=True)
    (test_audio / "read_aloud.wav").touch()
    for name in ("bbbb0a", "grid1_cccc0a", "real3_read_aloud"):
        path = voices(tmp_path / "voices.npz", "aaaa0a", name)
        with pytest.raises(HeldOutError, match=rf"voices\.npz: {name} is held out"):
            VoiceTable.read(path)
        assert len(VoiceTable.read(path, ["aaaa0a"]).pose) == 3


def test_generated_voices_and_training_clips_pass(tmp_path: Path) -> None:
    names = ("aaaa0a", "grid0_aaaa1a", "en-us_m1_7", "real0_another_book", "no_speech_3")
    assert len(VoiceTable.read(voices(tmp_path / "v.npz", *names)).pose) == 3 * len(names)


def test_a_stage_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["omnisync"])
    latents(tmp_path, ["aaaa0a", "cccc0a"])
    voices(tmp_path / "sound.npz", "aaaa0a", "cccc0a")
    run = ["--data", str(tmp_path), "--run", str(tmp_path / "run.pt")]
    stages = ("teacher", ["--audio", "a.pt"]), ("sound", ["--speech", run[1] + "/sound.npz"])
    for name, more in stages:
        assert cli.main([name, *run, *more]) == 2
        told = capsys.readouterr().err
        assert "cccc0a is held out by split.json" in told and told.count("\n") == 1
    assert not (tmp_path / "run.pt").exists()
