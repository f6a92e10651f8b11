"""Exported graphs compute what torch does, for every window size and batch."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnxruntime  # noqa: E402

from engine.model.audio_encoder import AudioEncoder  # noqa: E402
from engine.model.autoencoder import Autoencoder  # noqa: E402
from engine.model.dit import Denoiser  # noqa: E402
from engine.model.landmark_net import LandmarkNet  # noqa: E402
from export.graphs import graphs  # noqa: E402
from export.onnx_files import export_graph  # noqa: E402
from training.landmarks import export as export_landmarks  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def networks() -> tuple[Autoencoder, AudioEncoder, Denoiser]:
    torch.manual_seed(0)
    denoiser = Denoiser()
    for parameter in (denoiser.out.weight, denoiser.adaln.weight):
        torch.nn.init.normal_(parameter, std=0.02)
    autoencoder = Autoencoder()
    torch.nn.init.normal_(autoencoder.motion.layers[-2].weight, std=0.05)
    return autoencoder.eval(), AudioEncoder().eval(), denoiser.eval()


@pytest.mark.parametrize("name", ["encoder", "audio", "denoiser", "decoder", "motion"])
def test_parity(
    name: str, networks: tuple[Autoencoder, AudioEncoder, Denoiser], tmp_path: Path
) -> None:
    assert export_graph(name, graphs(*networks)[name], tmp_path / f"{name}.onnx") < 1e-4


def test_the_landmark_net_reads_bytes_as_they_lie(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net, path = LandmarkNet().eval(), tmp_path / "landmarks.onnx"
    export_landmarks(net, path)
    patch = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), np.uint8)
    with torch.no_grad():
        expected = net(torch.from_numpy(patch).permute(0, 3, 1, 2) / 127.5 - 1)
    got = onnxruntime.InferenceSession(str(path)).run(None, {"patch": patch})
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b.numpy(), atol=1e-4)


@pytest.mark.parametrize(("batch", "slots"), [(1, 1), (1, 2), (3, 4)])
def test_the_denoiser_takes_any_window(
    batch: int, slots: int, networks: tuple[Autoencoder, AudioEncoder, Denoiser], tmp_path: Path
) -> None:
    path = tmp_path / "denoiser.onnx"
    export_graph("denoiser", graphs(*networks)["denoiser"], path)
    shape = (batch, slots, 16, 16, 16)
    given = {
        "x": torch.randn(shape),
        "z": torch.randn(shape),
        "level": torch.rand(batch, slots),
        "tokens": torch.randn(batch, slots, 5, 192),
        "strength": torch.rand(batch),
        "mouth": torch.rand(batch, 2),
    }
    with torch.no_grad():
        expected = networks[2](*given.values()).numpy()
    session = onnxruntime.InferenceSession(str(path))
    got = session.run(None, {k: v.numpy() for k, v in given.items()})[0]
    np.testing.assert_allclose(got, expected, atol=2e-4)


@pytest.mark.parametrize("hears_sound", [True, False])
def test_hearing_takes_any_number_of_frames(
    hears_sound: bool, networks: tuple[Autoencoder, AudioEncoder, Denoiser], tmp_path: Path
) -> None:
    networks[2].conditioner.hears_sound = hears_sound
    torch.nn.init.normal_(networks[1].earlier.out.weight, std=0.1)
    path = tmp_path / "audio.onnx"
    hearing = graphs(*networks)["audio"]
    export_graph("audio", hearing, path)
    session = onnxruntime.InferenceSession(str(path))
    for frames in (1, 4):
        mel, heard = torch.randn(frames, 80, 64), torch.ones(frames, 32)
        with torch.no_grad():
            expected = hearing.module(mel, heard)
        got = session.run(None, {"mel": mel.numpy(), "heard": heard.numpy()})
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b.numpy(), atol=2e-4)
