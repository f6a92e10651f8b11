"""The preset for one GPU runs on a CPU, too: nobody has trained it yet, so this is what shows that
its networks and its recipe go together.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.model.audio_encoder import AudioEncoder  # noqa: E402
from training import checkpoint, distill, teacher  # noqa: E402
from training.networks import load_denoiser  # noqa: E402
from training.preset import load_preset  # noqa: E402

pytestmark = pytest.mark.torch
FRAMES = 75


@pytest.fixture
def runs(made_up_data: Path, tmp_path: Path) -> Iterator[Path]:
    """One GRID clip's latents, its sound, and an untrained audio encoder, in the preset's sizes."""
    preset, rng = load_preset("base"), np.random.default_rng(0)
    c, side = preset.audio, preset.autoencoder.latent_side
    latents = rng.normal(size=(1, 2, FRAMES, preset.autoencoder.latent_channels, side, side))
    np.save(tmp_path / "latents_grid.npy", latents.astype(np.float16))
    names, starts = np.array([["aaaa0a", "aaaa0a"]]), np.zeros((1, 2), np.int64)
    np.savez(tmp_path / "latents_grid_index.npz", clips=names, starts=starts)
    sound = {
        "mel/aaaa0a": rng.normal(size=(c.mel_bands, 4 * FRAMES)),
        "pose/aaaa0a": rng.normal(size=(FRAMES, c.pose_components)),
        "open/aaaa0a": rng.random(FRAMES),
    }
    stored = {name: values.astype(np.float32) for name, values in sound.items()}
    np.savez(tmp_path / "sound.npz", **stored)  # type: ignore[arg-type]
    checkpoint.save(tmp_path / "sound.pt", AudioEncoder(c), 0)
    yield tmp_path
    for path in tmp_path.glob("*.pt"):  # large, and pytest keeps its folders for a while
        path.unlink()


@pytest.mark.slow
def test_teacher_and_student_of_base_take_two_steps(runs: Path) -> None:
    taught, folded = runs / "teacher.pt", runs / "denoiser.pt"
    common = ["--preset", "base", "--device", "cpu", "--data", str(runs), "--steps", "2"]
    common += ["--batch", "1", "--audio", str(runs / "sound.pt")]
    assert teacher.main([*common, "--run", str(taught)]) == 0
    assert distill.main([*common, "--teacher", str(taught), "--run", str(folded)]) == 0
    first, second = (checkpoint.load(path) for path in (taught, folded))
    assert (first.step, second.step) == (2, 2)
    changed = [k for k, v in first.weights.items() if not torch.equal(v, second.weights[k])]
    assert any(k.startswith("blocks.") for k in changed)
    assert all(torch.isfinite(v).all() for v in second.weights.values())
    assert load_denoiser(folded).config == load_preset("base").denoiser
