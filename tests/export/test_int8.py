"""The int8 graphs compute what torch does, up to their rounding, for every size that the engine
asks for.
"""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnxruntime  # noqa: E402
from torch.nn import functional  # noqa: E402

from engine.model.audio_encoder import AudioEncoder, AudioEncoderConfig  # noqa: E402
from engine.model.autoencoder import Autoencoder, AutoencoderConfig  # noqa: E402
from engine.model.dit import Denoiser, DenoiserConfig  # noqa: E402
from engine.model.motion import MotionConfig, MotionNet  # noqa: E402
from engine.model.residual import Residual  # noqa: E402
from export.graphs import HALF_RANGE, FromPixels, Hearing, Moving, ToPixels  # noqa: E402
from export.parity import LARGEST_RMS, compare, lost, run_onnx  # noqa: E402
from export.quantised_autoencoder import (  # noqa: E402
    on_pixels,
    write_decoder,
    write_encoder,
    write_motion,
)
from export.quantised_denoiser import write_denoiser  # noqa: E402
from export.quantised_hearing import write_hearing  # noqa: E402

pytestmark = pytest.mark.torch
DENOISER = DenoiserConfig(
    width=48, depth=3, heads=2, grid=8, edited=(2, 8, 1, 7), sound_width=48, stem_width=16
)
AUTOENCODER = AutoencoderConfig(encoder_widths=(8, 16, 24), decoder_widths=(8, 16, 24))


@pytest.fixture
def denoiser() -> Denoiser:
    torch.manual_seed(1)
    model = Denoiser(DENOISER).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


@pytest.fixture
def autoencoder() -> Autoencoder:
    torch.manual_seed(2)
    model = Autoencoder(AUTOENCODER).eval()
    for module in model.modules():
        if isinstance(module, Residual):
            torch.nn.init.normal_(module.second.weight, std=0.1)
    model.set_scale(0.3)
    return model


def window(batch: int, slots: int) -> list[torch.Tensor]:
    torch.manual_seed(3)
    return [
        torch.randn(batch, slots, 16, 8, 8),
        torch.randn(batch, slots, 16, 8, 8),
        torch.rand(batch, slots),
        torch.randn(batch, slots, 5, 48),
        torch.rand(batch) * 2,
        torch.rand(batch, 2),
    ]


def run(path: Path, *inputs: torch.Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return session.run(None, {n: i.numpy() for n, i in zip(names, inputs, strict=True)})


def relative_rms(got: np.ndarray, expected: torch.Tensor) -> float:
    wanted = expected.detach().numpy()
    return float(np.sqrt(((got - wanted) ** 2).mean()) / wanted.std())


@pytest.mark.parametrize(("batch", "slots"), [(1, 1), (1, 3), (2, 4)])
def test_the_denoiser_for_any_window(
    batch: int, slots: int, denoiser: Denoiser, tmp_path: Path
) -> None:
    path = tmp_path / "denoiser.onnx"
    write_denoiser(denoiser, path)
    given = window(batch, slots)
    expected = denoiser(*given) - given[1]
    assert relative_rms(run(path, *given)[0] - given[1].numpy(), expected) < 0.04


@pytest.mark.parametrize("which", range(6))
def test_every_input_matters_as_much_as_in_torch(
    which: int, denoiser: Denoiser, tmp_path: Path
) -> None:
    path = tmp_path / "denoiser.onnx"
    write_denoiser(denoiser, path)
    given = window(1, 3)
    changed = [t.clone() for t in given]
    changed[which] = changed[which].flip(-1) * 0.5
    expected = denoiser(*given) - denoiser(*changed)
    got = run(path, *given)[0] - run(path, *changed)[0]
    assert np.corrcoef(got.ravel(), expected.detach().numpy().ravel())[0, 1] > 0.8


def test_the_first_convolution_reads_pixels_directly(autoencoder: Autoencoder) -> None:
    crop = torch.rand(1, 48, 48, 3)
    first = autoencoder.encoder.layers[1]
    direct = on_pixels(first, 3)(crop.reshape(1, 48, 16, 9).permute(0, 3, 1, 2))
    unshuffled = first(functional.pixel_unshuffle(crop.permute(0, 3, 1, 2), 3))
    torch.testing.assert_close(direct, unshuffled, atol=1e-5, rtol=1e-5)


def picture(count: int) -> torch.Tensor:
    return torch.randint(256, (count, 48, 48, 3), generator=torch.Generator().manual_seed(0)).byte()


def test_the_encoder(autoencoder: Autoencoder, tmp_path: Path) -> None:
    crops = picture(6)
    write_encoder(autoencoder.encoder, tmp_path / "encoder.onnx", crops[:4])
    got = run(tmp_path / "encoder.onnx", crops[4:])[0]
    expected = autoencoder.encoder(crops[4:].permute(0, 3, 1, 2) / HALF_RANGE - 1)
    assert relative_rms(got, expected) < 0.05
    torch.testing.assert_close(FromPixels(autoencoder.encoder)(crops[4:]), expected)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 6)])
def test_the_decoder_for_a_part_of_a_crop(
    height: int, width: int, autoencoder: Autoencoder, tmp_path: Path
) -> None:
    write_decoder(autoencoder.decoder, tmp_path / "decoder.onnx", torch.randn(4, 16, 8, 8))
    latents = torch.randn(2, 16, height, width)
    got = run(tmp_path / "decoder.onnx", latents)[0]
    assert got.shape == (2, 12 * height, 12 * width, 3)
    expected = (autoencoder.decoder(latents).permute(0, 2, 3, 1) + 1) * HALF_RANGE
    assert relative_rms(got, expected) < 0.05
    torch.testing.assert_close(ToPixels(autoencoder.decoder)(latents), expected)


def test_the_motion_net_for_a_part_of_a_crop(tmp_path: Path) -> None:
    torch.manual_seed(5)
    net = MotionNet(MotionConfig(widths=(24, 12))).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.06)
    write_motion(net, tmp_path / "motion.onnx", *torch.randn(2, 4, 16, 8, 8))
    z, source = torch.randn(2, 2, 16, 5, 6)
    whole = Moving(net)(z, source)
    for got, expected in zip(run(tmp_path / "motion.onnx", z, source), whole, strict=True):
        assert got.shape == ((2, 20, 24, 2) if got.shape[3] == 2 else (2, 1, 20, 24))
        assert relative_rms(got, expected) < 0.06


@pytest.mark.parametrize("hears_sound", [False, True])
def test_hearing(hears_sound: bool, denoiser: Denoiser, tmp_path: Path) -> None:
    torch.manual_seed(4)
    denoiser.conditioner.hears_sound = hears_sound
    audio = AudioEncoder(AudioEncoderConfig(width=48, token_width=48)).eval()
    torch.nn.init.normal_(audio.earlier.out.weight, std=0.1)
    hearing = Hearing(audio, denoiser).eval()
    write_hearing(hearing, tmp_path / "audio.onnx")
    mel, heard = torch.randn(3, 80, 64), torch.ones(3, 32)
    heard[1, 20:] = 0
    tokens, pose = run(tmp_path / "audio.onnx", mel, heard)
    expected_tokens, expected_pose = hearing(mel, heard)
    assert relative_rms(tokens, expected_tokens) < 0.04
    assert relative_rms(pose, expected_pose) < 0.04


def test_wrong_weights_are_told_from_rounding(autoencoder: Autoencoder, tmp_path: Path) -> None:
    crops = picture(4)
    right, wrong = tmp_path / "right.onnx", tmp_path / "wrong.onnx"
    write_encoder(autoencoder.encoder, right, crops)
    with torch.no_grad():
        autoencoder.encoder.layers[3].weight.mul_(-1)
    write_encoder(autoencoder.encoder, wrong, crops)
    calls = [{"crop": crops.numpy()}]
    expected = run_onnx(right, calls)
    assert lost(compare("encoder", expected, expected, calls)) == 0
    assert lost(compare("encoder", expected, run_onnx(wrong, calls), calls)) > LARGEST_RMS


def test_every_output_is_compared() -> None:
    values = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    right = [{"motion": 2 * values, "kept": 3 * values}]
    wrong = [{"motion": 2 * values, "kept": 4 * values}]
    found = compare("motion", right, wrong, [{"x": values}])
    assert found["motion"].rms == 0
    assert found["kept"].rms > 0.3
    assert found["kept"].largest == pytest.approx(np.abs(values).max() / (3 * values.std()), 1e-2)
    assert lost(found) == found["kept"].rms


def test_an_output_that_is_no_number_is_lost() -> None:
    right = [{"motion": np.ones((1, 4), np.float32), "kept": np.ones((1, 4), np.float32)}]
    wrong = [{**right[0], "kept": np.full((1, 4), np.nan, np.float32)}]
    assert not lost(compare("motion", right, wrong, [{"z": right[0]["kept"]}])) < LARGEST_RMS


def test_what_the_denoiser_is_told_by_is_its_edit() -> None:
    z = np.random.default_rng(0).standard_normal((1, 3, 4)).astype(np.float32)
    expected, got = [{"x0": 1.1 * z}], [{"x0": 1.2 * z}]
    assert compare("denoiser", expected, got, [{"z": z}])["x0"].rms > 0.9
