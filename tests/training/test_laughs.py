"""Recorded laughter: what packages give, and the bouts that training hears of it."""

from __future__ import annotations

import shutil
import subprocess
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from training import laughs
from training.nonspeech import NonSpeech

pytestmark = pytest.mark.torch

RATE = 16_000


def said(path: Path, seconds: float = 0.3) -> bytes:
    """A WAV of a tone between silences."""
    tone = 9000 * np.sin(2 * np.pi * 300 * np.arange(int(seconds * RATE)) / RATE)
    rest = np.zeros(RATE // 10)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(np.r_[rest, tone, rest].astype(np.int16).tobytes())
    return path.read_bytes()


@pytest.fixture
def deb(tmp_path: Path) -> Path:
    """A Debian package with a sound, and another in a zip."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb")
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        "Package: giggles\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: x\n"
    )
    (root / "usr").mkdir()
    sound = said(root / "usr" / "ha.wav")
    with zipfile.ZipFile(root / "usr" / "more.pk3", "w") as packed:
        packed.writestr("in/hee.wav", sound)
    target = tmp_path / "giggles_1_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(root), str(target)], check=True, capture_output=True)
    return target


def test_sounds_come_out_of_a_package_and_out_of_a_zip_in_it(deb: Path) -> None:
    kept = {"giggles": ["usr/ha.wav", "usr/more.pk3!in/hee.wav"]}
    found = dict(laughs.sounds(kept, {"giggles": deb}))
    assert list(found) == ["giggles-usr-ha", "giggles-in-hee"]
    for pcm in found.values():
        assert len(pcm) == pytest.approx(0.3 * RATE, abs=20)
        assert np.abs(pcm).max() == pytest.approx(0.5 * 32767, abs=2)


@pytest.mark.parametrize("path", ["usr/none.wav", "usr/more.pk3!in/none.wav", "none.pk3!a.wav"])
def test_an_absent_sound_is_named(deb: Path, tmp_path: Path, path: str) -> None:
    with pytest.raises(laughs.AbsentError, match=path):
        laughs.unpack(deb, tmp_path / "out", [path])


def test_without_apt_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit) as stopped:
        laughs.main(["--output", str(tmp_path / "laughs.npz")])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_is_held_is_not_trained_on() -> None:
    trained = {(p, path) for p, paths in laughs.TRAIN.items() for path in paths}
    held = {(p, path) for p, paths in laughs.HELD.items() for path in paths}
    assert len(held) == 6
    assert not trained & held


def test_bouts_are_as_long_as_asked_and_others_for_another_seed() -> None:
    tone = (9000 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)).astype(np.int16)
    heard = [
        NonSpeech(np.random.default_rng(seed), laughs=[tone])._bouts(2 * RATE)
        for seed in (0, 0, 1, 2)
    ]
    assert np.array_equal(heard[0], heard[1])
    assert not np.allclose(heard[0], heard[2])
    for sound in heard:
        assert len(sound) == 2 * RATE
        assert sound.std() == pytest.approx(1, abs=1e-6)
        assert np.isfinite(sound).all()
