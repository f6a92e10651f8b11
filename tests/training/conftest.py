"""Training data of toy size: a few sentences' worth of noise for the networks of toy.toml."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

FRAMES = 75
TOY = Path(__file__).parent / "toy.toml"


@pytest.fixture(scope="module")
def toy_runs(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """Crops, sound, poses and their basis; untrained networks; latents of the crops."""
    torch = pytest.importorskip("torch")
    from engine.model.audio_encoder import AudioEncoder
    from engine.model.autoencoder import Autoencoder
    from training import checkpoint
    from training.latents import main as encode
    from training.lip_pose import POSE_POINTS, PoseBasis
    from training.preset import load_preset
    from training.sound import grid_names
    from training.splits import validation_names

    folder = tmp_path_factory.mktemp("runs")
    preset, rng = load_preset(str(TOY)), np.random.default_rng(0)
    side = preset.autoencoder.crop_px
    (folder / "grid").mkdir()
    sound: dict[str, np.ndarray] = {}
    trained = grid_names("train")[:6]
    for name in trained + validation_names("grid_s1")[:2]:
        sound[f"mel/{name}"] = rng.normal(size=(80, 4 * FRAMES)).astype(np.float32)
        sound[f"pose/{name}"] = rng.normal(size=(FRAMES, 10)).astype(np.float32)
        sound[f"open/{name}"] = rng.random(FRAMES).astype(np.float32)
    for name in trained:
        crops = rng.integers(0, 255, (2, FRAMES, side, side, 3), dtype=np.uint8)
        np.save(folder / "grid" / f"{name}.npy", crops)
    np.savez(folder / "sound.npz", **sound)
    moved = rng.normal(size=(40, 2 * len(POSE_POINTS))).astype(np.float32)
    PoseBasis.fit([moved]).save(folder / "pose_basis.npz")
    torch.manual_seed(0)
    checkpoint.save(folder / "ae.pt", Autoencoder(preset.autoencoder), 0)
    checkpoint.save(folder / "sound.pt", AudioEncoder(preset.audio), 0)
    paths = ["--data", str(folder), "--autoencoder", str(folder / "ae.pt")]
    assert encode([*paths, "--preset", str(TOY)]) == 0
    return folder
