"""Each stage that trains on latents runs two steps at toy size, writes a checkpoint that the next
stage loads, and resumes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.model.audio_encoder import AudioEncoder  # noqa: E402
from engine.model.autoencoder import Autoencoder  # noqa: E402
from training import appearance, checkpoint, distill, teacher  # noqa: E402
from training.latents import main as encode  # noqa: E402
from training.sound import grid_names  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.data]
FRAMES = 75


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """Two training sentences' worth of noise: crops, sound and poses, an autoencoder, an audio
    encoder.
    """
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    (folder / "grid").mkdir()
    sound: dict[str, np.ndarray] = {}
    for name in grid_names("train")[:2]:
        crops = rng.integers(0, 255, (2, FRAMES, 192, 192, 3), dtype=np.uint8)
        np.save(folder / "grid" / f"{name}.npy", crops)
        sound[f"mel/{name}"] = rng.normal(size=(80, 4 * FRAMES)).astype(np.float32)
        sound[f"pose/{name}"] = rng.normal(size=(FRAMES, 10)).astype(np.float32)
        sound[f"open/{name}"] = rng.random(FRAMES).astype(np.float32)
    np.savez(folder / "sound.npz", **sound)
    torch.manual_seed(0)
    checkpoint.save(folder / "ae.pt", Autoencoder(), 0)
    checkpoint.save(folder / "sound.pt", AudioEncoder(), 0)
    assert encode(["--data", str(folder), "--autoencoder", str(folder / "ae.pt")]) == 0
    return folder


def run(stage: object, runs: Path, *options: str) -> None:
    toy = ["--steps", "2", "--workers", "1", "--batch", "2", "--sharpness", "0.3"]
    common = ["--data", str(runs), "--audio", str(runs / "sound.pt")]
    assert stage.main([*common, *toy, *options]) == 0  # type: ignore[attr-defined]


def test_teacher_student_and_appearance_train_in_turn(runs: Path) -> None:
    taught, folded, tuned = runs / "teacher.pt", runs / "denoiser.pt", runs / "tuned.pt"
    run(teacher, runs, "--run", str(taught))
    run(teacher, runs, "--run", str(taught), "--queue-share", "1")
    assert checkpoint.load(taught).step == 4
    run(distill, runs, "--teacher", str(taught), "--run", str(folded))
    assert checkpoint.load(folded).facts == {"peak": 2.0, "floor": 0.5}
    ae, denoiser = ("--autoencoder", str(runs / "ae.pt")), ("--denoiser", str(folded))
    run(appearance, runs, *ae, *denoiser, "--shards", "2", "--run", str(tuned))
    before, after = checkpoint.load(runs / "ae.pt").weights, checkpoint.load(tuned).weights
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed
    assert all(k.startswith(("decoder.", "motion.")) for k in changed)  # latents keep their meaning
