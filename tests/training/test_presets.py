"""Presets: what ships is what the code's defaults say, what cannot work is refused in one line, and
checkpoints carry their network's sizes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from engine.model.audio_encoder import AudioEncoder  # noqa: E402
from engine.model.autoencoder import Autoencoder  # noqa: E402
from engine.model.dit import Denoiser, DenoiserConfig  # noqa: E402
from training import checkpoint, teacher  # noqa: E402
from training.networks import MisfitError, load_denoiser, restore  # noqa: E402
from training.preset import FOLDER, Preset, PresetError, load_preset  # noqa: E402

pytestmark = pytest.mark.torch
SMALL = DenoiserConfig(width=48, depth=2, heads=2, grid=8, edited=(2, 8, 1, 7))


def test_what_a_preset_leaves_out_is_as_in_what_ships() -> None:
    assert load_preset("tiny") == Preset()


@pytest.mark.parametrize("name", sorted(p.stem for p in FOLDER.glob("*.toml")))
def test_the_networks_of_a_preset_fit_each_other(name: str) -> None:
    """Each is built and called once."""
    preset = load_preset(name)
    pixels, hearing = Autoencoder(preset.autoencoder), AudioEncoder(preset.audio)
    editor, side, c = Denoiser(preset.denoiser), preset.autoencoder.crop_px, preset.audio
    with torch.no_grad():
        z = pixels.encoder(torch.zeros(1, 3, side, side))
        mel = torch.zeros(1, c.mel_bands, c.earlier + c.mel_columns)
        told = hearing(mel, torch.zeros(1, c.mel_columns))
        tokens = editor.conditioner(*told)
        x0 = editor(
            *(z[None], z[None], torch.zeros(1, 1), tokens[None], torch.zeros(1)),
            torch.zeros(1, 2),
        )
        motion, kept, covered = pixels.motion(x0[0], z)
        crop = pixels.decoder(x0[0])
    assert x0.shape == (1, *z.shape)
    assert crop.shape == (1, 3, side, side)
    assert motion.shape[-1] == kept.shape[-1] == covered.shape[-1] == 4 * preset.denoiser.grid


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[denoiser]\nwidht = 192", "unknown key 'widht'"),
        ("[denoiser]\nwidth = 192.5", "width is to be int, not 192.5"),
        ("[denoiser]\nedited = [4, 16]", "edited is to have 4 values"),
        ("[denoiser]\nheads = 5", "no multiple of 5 heads"),
        ("[denoiser]\ngrid = 32", "autoencoder.latent_side is 16, but denoiser.grid is 32"),
        ("[train.teacher]\nbatch = true", "batch is to be int, not True"),
        ("train = 3", "train is to be a table"),
        ("device = 'tpu'", "device is to be cpu or cuda"),
        ("[denoiser", "Expected"),
    ],
)
def test_what_cannot_work_is_refused_by_name(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(PresetError, match=r"mine\.toml") as refused:
        load_preset(str(path))
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("preset", ["huge", "nowhere.toml"])
def test_a_stage_ends_with_one_line(
    preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [f"--{name}={tmp_path / name}" for name in ("data", "run", "audio")]
    with pytest.raises(SystemExit) as ended:
        teacher.main([*paths, "--preset", preset])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_cuda_a_run_on_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [f"--{name}={tmp_path / name}" for name in ("data", "run", "audio")]
    with pytest.raises(SystemExit) as ended:
        teacher.main([*paths, "--preset", "base"])
    assert ended.value.code == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_a_checkpoint_builds_its_own_network(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "small.pt", Denoiser(SMALL), 3, peak=2.0)
    checkpoint.halve(tmp_path / "small.pt", tmp_path / "half.pt")
    for name in ("small.pt", "half.pt"):
        assert load_denoiser(tmp_path / name).config == SMALL
        assert checkpoint.load(tmp_path / name).facts == {"peak": 2.0}
    with pytest.raises(MisfitError, match="width 48 instead of 192"):
        restore(Denoiser(), tmp_path / "small.pt")


def test_a_checkpoint_older_than_presets_is_one_of_tiny(tmp_path: Path) -> None:
    model = Denoiser()
    stored = {"step": 5, "weights": model.state_dict(), "facts": {}}
    torch.save(stored, tmp_path / "old.pt")
    assert load_denoiser(tmp_path / "old.pt").config == load_preset("tiny").denoiser
    with pytest.raises(MisfitError, match=r"old\.pt holds another network"):
        restore(Denoiser(SMALL), tmp_path / "old.pt")
