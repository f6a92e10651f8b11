"""Streams that run on a person's own denoiser. Which graph that is does not matter here: the
shipped denoiser in its two precisions stands for two people.
"""

from __future__ import annotations

import gc
import hashlib
import json
import weakref
from pathlib import Path

import numpy as np
import pytest

from engine import LipSyncEngine, Person, PersonError, WindowInput
from engine.dub import main as dub
from engine.engine import WEIGHTS
from engine.personal import base_of
from engine.runtime.protocol import Manifest
from tests.engine.clips import numbered_frames, write_clip, write_voice


@pytest.fixture(scope="module")
def engine() -> LipSyncEngine:
    return LipSyncEngine.load(runtime="onnxruntime")


def write_person(folder: Path, name: str, variant: str, /, **changes: object) -> Path:
    manifest = Manifest.read(WEIGHTS)
    target = folder / name
    target.mkdir(parents=True)
    data = manifest.path("denoiser", variant).read_bytes()
    (target / "own.onnx").write_bytes(data)
    card = {
        "format": 1,
        "name": name,
        "base": base_of(manifest),
        "files": {"int8": "own.onnx"},
        "hashes": {"own.onnx": hashlib.sha256(data).hexdigest()},
    }
    (target / "person.json").write_text(json.dumps(card | changes))
    return target


def windows(engine: LipSyncEngine, people: list[Person | None]) -> list[WindowInput]:
    """A window of noise for each."""
    rng, slots = np.random.default_rng(0), len(engine.levels)
    shape = (slots, engine.latent_channels, engine.latent_side, engine.latent_side)
    tokens = engine.hear(np.zeros((slots, 80, 64), np.float32), np.ones((slots, 32), np.float32))
    out = []
    for person in people:
        x, z = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
        denoiser = engine._personal.get(person) if person else None
        level = np.array(engine.levels, np.float32)
        out.append(WindowInput(x, z, level, tokens, 1.0, (0.5, 0.5), denoiser))
    return out


def test_each_window_runs_on_its_own_persons_denoiser(
    engine: LipSyncEngine, tmp_path: Path
) -> None:
    exact = Person.read(write_person(tmp_path, "exact", "fp32"))
    coarse = Person.read(write_person(tmp_path, "coarse", "int8"))
    asked = windows(engine, [exact, None, coarse, exact])
    together = engine.denoise(asked)
    alone = [engine.denoise([window])[0] for window in asked]
    # A call shared by two windows quantises them together: theirs agree to rounding only.
    for k, tolerance in ((0, 1e-4), (1, 0), (2, 0), (3, 1e-4)):
        np.testing.assert_allclose(together[k], alone[k], atol=tolerance)
    shipped = engine.denoise([windows(engine, [None])[0]])[0]
    assert np.abs(alone[0] - shipped).max() > 1e-3  # the fp32 graph, not the shipped int8 one


def test_streams_share_a_persons_denoiser_and_the_last_one_frees_it(
    engine: LipSyncEngine, tmp_path: Path
) -> None:
    person = Person.read(write_person(tmp_path, "ada", "int8"))
    one, two = engine.open_stream(person=person), engine.open_stream(person=person)
    assert one._denoiser is two._denoiser
    held = weakref.ref(one._denoiser)
    one.close()
    gc.collect()
    assert held() is not None
    two.close()
    gc.collect()
    assert held() is None


def test_a_person_made_for_other_weights_is_refused(engine: LipSyncEngine, tmp_path: Path) -> None:
    stranger = Person.read(write_person(tmp_path, "ada", "int8", base="0" * 64))
    assert not engine.fits(stranger)
    with pytest.raises(PersonError, match="'ada' was made for other weights"):
        engine.open_stream(person=stranger)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 9},
        {"name": "../ada"},
        {"files": {}},
        {"files": {"int8": "../own.onnx"}},
        {"hashes": {"own.onnx": "0" * 64}},
        {"files": {"int8": "gone.onnx"}, "hashes": {"gone.onnx": ""}},
        {"hashes": 7},
    ],
)
def test_a_damaged_folder_is_one_clear_line(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(PersonError) as raised:
        Person.read(write_person(tmp_path, "ada", "int8", **changes))
    assert "\n" not in str(raised.value) and str(tmp_path) in str(raised.value)


def test_dub_with_no_such_person_says_so_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", numbered_frames(3))
    voice = write_voice(tmp_path / "voice.wav", 0.2)
    output = tmp_path / "out.mp4"
    given = ["--video", str(clip), "--audio", str(voice), "--output", str(output)]
    assert dub([*given, "--person", str(tmp_path / "nobody")]) == 2
    assert "no person in" in capsys.readouterr().err
    assert not output.exists()
