"""Training data of toy size: a few sentences' worth of noise for the networks of toy.toml."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from training.latents import Tracks
    from training.sound import SoundTable

FRAMES = 75
TOY = Path(__file__).parent / "toy.toml"


@pytest.fixture
def moments() -> tuple[dict[str, Tracks], SoundTable]:
    """One clip of 30 frames whose latents say which frame they are, in its second track 100 more;
    so does the pose of the sound table.
    """
    torch = pytest.importorskip("torch")
    from training.latents import Tracks
    from training.sound import SoundTable

    frame = torch.arange(30.0)
    latents = (frame + torch.tensor([[0.0], [100.0]]))[None, :, :, None, None, None]
    tracks = Tracks(
        latents.expand(1, 2, 30, 16, 4, 4).half(), [["a", "a"]], torch.zeros(1, 2).long()
    )
    table = SoundTable(
        torch.zeros(30, 80, 64).half(), frame[:, None].expand(30, 10), torch.zeros(30), {"a": 0}
    )
    return {"portraits": tracks}, table


@pytest.fixture(scope="module")
def made_up_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a module's tests: six sentences to train on, three held out, in names
    alone.
    """
    folder = tmp_path_factory.mktemp("data")
    held = {"test": ["cccc0a"], "validation": ["bbbb0a", "bbbb1a"]}
    split = {"grid_s1": held, "portraits": {"test": [], "validation": []}}
    (folder / "split.json").write_text(json.dumps(split))
    (folder / "grid_s1").mkdir()
    for name in (*(f"aaaa{k}a" for k in range(6)), *held["test"], *held["validation"]):
        (folder / "grid_s1" / f"{name}.mp4").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMNISYNC_DATA", str(folder))
        yield folder


@pytest.fixture(scope="module")
def toy_runs(tmp_path_factory: pytest.TempPathFactory, made_up_data: Path) -> Path:
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
    trained = grid_names("train")
    for name in trained + validation_names("grid_s1"):
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
