"""The export command: what it writes loads as an engine, in every variant it offers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from engine import EngineError, LipSyncEngine  # noqa: E402
from engine.engine import WEIGHTS  # noqa: E402
from engine.flow import DRAWN_LAST_LEVEL, LAST_LEVEL  # noqa: E402
from engine.model.audio_encoder import AudioEncoder  # noqa: E402
from engine.model.autoencoder import Autoencoder  # noqa: E402
from engine.model.dit import Denoiser  # noqa: E402
from engine.runtime.protocol import DRAWN, Manifest  # noqa: E402
from export import calibration  # noqa: E402
from export.weights import main  # noqa: E402
from training import checkpoint  # noqa: E402

pytestmark = pytest.mark.torch
FACE = Path(__file__).parent.parent / "engine" / "rendered_head.jpg"


def test_calibrated_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    networks = {"ae": Autoencoder(), "sound": AudioEncoder()}
    for name in ("denoiser", "drawn"):
        networks[name] = Denoiser()
        for parameter in networks[name].parameters():
            torch.nn.init.normal_(parameter, std=0.03)
    networks["drawn"].conditioner.load_state_dict(networks["denoiser"].conditioner.state_dict())
    for parameter in networks["ae"].parameters():
        if parameter.dim() == 4:  # PyTorch's own start lets the picture fade in a few layers
            torch.nn.init.kaiming_normal_(parameter)
    for name, network in networks.items():
        checkpoint.save(tmp_path / f"{name}.pt", network, 0)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(FACE, pictures / name)
    (pictures / "LICENSE").write_text("not a picture")
    monkeypatch.setattr(calibration, "TICKS", 8)
    weights = tmp_path / "weights"
    options = ["--runs", str(tmp_path), "--output", str(weights)]
    assert main(options) == 0
    manifest = json.loads((weights / "manifest.json").read_text())
    assert manifest["default"] == "fp32"
    assert set(manifest["parity"]) == {"fp32"}
    assert not {"tau", "default_strength"} & manifest.keys()
    assert main([*options, "--calibrate", str(pictures), "--default", "int8"]) == 0

    manifest = json.loads((weights / "manifest.json").read_text())
    for variant, largest in (("fp32", 1e-4), ("int8", 0.08)):
        graphs = manifest["parity"][variant]
        assert set(graphs) == {"encoder", "audio", "denoiser", "drawn", "decoder", "motion"}
        assert all(0 < o["rms"] < largest for outputs in graphs.values() for o in outputs.values())
    assert manifest["levels"]["3"][0] == LAST_LEVEL
    assert manifest["drawn_levels"]["3"][0] == DRAWN_LAST_LEVEL
    assert Manifest.read(weights).path(DRAWN, "int8").name == "denoiser.drawn.int8.onnx"
    engine = LipSyncEngine.load(weights)
    assert engine.facts.runtime == "onnxruntime:int8"
    assert engine.drawn is not None
    (tmp_path / "drawn.pt").unlink()
    assert main(options) == 0
    assert LipSyncEngine.load(weights).drawn is None
    assert not (weights / "denoiser.drawn.onnx").exists()
    assert main([*options, "--calibrate", str(pictures), "--default", "int8"]) == 0
    reference = LipSyncEngine.load(weights, "onnxruntime:fp32")
    assert reference.facts.runtime == "onnxruntime:fp32"
    crop = np.random.default_rng(0).integers(0, 255, (192, 192, 3), dtype=np.uint8)
    z = reference.encode(crop)
    assert 0 < np.abs(LipSyncEngine.load(weights).encode(crop) - z).mean() < 0.1 * z.std()


def test_an_export_that_fails_leaves_what_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, network in (("ae", Autoencoder()), ("sound", AudioEncoder()), ("d", Denoiser())):
        checkpoint.save(tmp_path / f"{name}.pt", network, 0)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_text("no picture")
    weights = tmp_path / "weights"
    weights.mkdir()
    kept = ("manifest.json", "encoder.onnx", "encoder.int8.onnx")
    for name in kept:
        (weights / name).write_text(name)
    options = ["--runs", str(tmp_path), "--denoiser", "d.pt", "--output", str(weights)]
    assert main([*options, "--calibrate", str(tmp_path / "pictures")]) == 1
    assert capsys.readouterr().err.startswith("omnisync: ")
    assert {p.name: p.read_text() for p in weights.iterdir()} == {name: name for name in kept}


def test_a_denoiser_for_drawings_must_take_the_same_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    networks = {"ae": Autoencoder(), "sound": AudioEncoder()}
    networks |= {"denoiser": Denoiser(), "drawn": Denoiser()}
    for name, network in networks.items():
        checkpoint.save(tmp_path / f"{name}.pt", network, 0)
    with pytest.raises(SystemExit):
        main(["--runs", str(tmp_path), "--output", str(tmp_path / "weights")])
    assert "distil it with --beside" in capsys.readouterr().err
    assert not (tmp_path / "weights").exists()


def test_graphs_of_another_format_are_refused_in_one_line(tmp_path: Path) -> None:
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    path = tmp_path / "weights" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 3}))
    with pytest.raises(EngineError, match=r"format 3 is not 5, .*export yours again") as told:
        LipSyncEngine.load(tmp_path / "weights")
    assert "\n" not in str(told.value)


def test_a_default_needs_its_variant(tmp_path: Path) -> None:
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    path = tmp_path / "weights" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"default": "int4"}))
    with pytest.raises(EngineError, match="default variant 'int4' is none of these"):
        LipSyncEngine.load(tmp_path / "weights")


def test_a_folder_without_pictures_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--runs", str(tmp_path), "--calibrate", str(tmp_path)])
    assert "holds no picture or clip" in capsys.readouterr().err
