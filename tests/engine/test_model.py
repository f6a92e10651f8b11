"""The torch networks: they start as the identity edit, obey their inputs, and refuse nothing that
the queue hands them.
"""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from engine.model.audio_encoder import AudioEncoder  # noqa: E402
from engine.model.autoencoder import Autoencoder  # noqa: E402
from engine.model.dit import Conditioner, Denoiser, DenoiserConfig  # noqa: E402
from engine.model.motion import MotionNet  # noqa: E402

pytestmark = pytest.mark.torch
SMALL = DenoiserConfig(width=48, depth=2, heads=2, grid=8, edited=(2, 8, 1, 7))


def inputs(slots: int = 3, batch: int = 2) -> list[torch.Tensor]:
    torch.manual_seed(0)
    shape = (batch, slots, 16, 8, 8)
    return [
        torch.randn(shape),
        torch.randn(shape),
        torch.linspace(0.3, 0.85, slots).expand(batch, slots),
        torch.randn(batch, slots, 5, 48),
        torch.ones(batch),
        torch.full((batch, 2), 0.5),
    ]


def test_an_untrained_denoiser_returns_the_source() -> None:
    x, z, *rest = inputs()
    assert torch.equal(Denoiser(SMALL)(x, z, *rest), z)


@pytest.fixture
def trained() -> Denoiser:
    torch.manual_seed(1)
    model = Denoiser(SMALL).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return model


@pytest.mark.parametrize("which", range(6))
def test_every_input_matters(trained: Denoiser, which: int) -> None:
    given = inputs()
    changed = [t.clone() for t in given]
    changed[which] = changed[which] + 0.3 * torch.randn_like(changed[which])
    with torch.no_grad():
        assert (trained(*given) - trained(*changed)).abs().max() > 1e-4


@pytest.mark.parametrize("slots", [1, 2, 3, 4])
def test_windows_of_any_size_and_streams_do_not_mix(trained: Denoiser, slots: int) -> None:
    given = inputs(slots)
    with torch.no_grad():
        both = trained(*given)
        alone = trained(*[t[:1] for t in given])
    assert both.shape == given[0].shape
    assert torch.allclose(both[:1], alone, atol=1e-5)


def test_dropped_sound_and_pose_carry_no_information() -> None:
    conditioner = Conditioner(replace(SMALL, hears_sound=True))
    sound, pose = torch.randn(3, 4, 192), torch.randn(3, 10)
    nothing = torch.zeros(3, dtype=torch.bool)
    tokens = conditioner(sound, pose, nothing, nothing)
    assert torch.equal(tokens[0], tokens[1])
    assert not torch.equal(conditioner(sound, pose)[0], conditioner(sound, pose)[1])


def test_a_pose_is_all_that_a_denoiser_without_sound_is_told() -> None:
    conditioner, pose = Conditioner(SMALL), torch.randn(3, 10)
    assert torch.equal(
        conditioner(torch.randn(3, 4, 192), pose), conditioner(torch.randn(3, 4, 192), pose)
    )


def test_what_is_not_heard_does_not_matter() -> None:
    torch.manual_seed(0)
    audio = AudioEncoder().eval()
    mel, heard = torch.randn(2, 80, 64), torch.ones(2, 32)
    heard[:, 20:] = 0
    other = mel.clone()
    other[:, :, 32 + 20 :] += 5.0
    with torch.no_grad():
        assert torch.equal(audio(mel, heard)[1], audio(other, heard)[1])
        assert not torch.equal(audio(mel, heard)[1], audio(mel, torch.ones(2, 32))[1])


def test_what_came_earlier_matters_once_it_is_learnt() -> None:
    torch.manual_seed(0)
    audio = AudioEncoder().eval()
    mel, heard = torch.randn(2, 80, 64), torch.ones(2, 32)
    other = mel.clone()
    other[:, :, :32] += 1.0
    with torch.no_grad():
        assert torch.equal(audio(mel, heard)[1], audio(other, heard)[1])
        torch.nn.init.normal_(audio.earlier.out.weight, std=0.1)
        assert not torch.equal(audio(mel, heard)[1], audio(other, heard)[1])


def test_an_untrained_motion_net_keeps_the_source() -> None:
    motion, kept, covered = MotionNet()(torch.randn(2, 16, 6, 7), torch.randn(2, 16, 6, 7))
    assert motion.shape == (2, 2, 24, 28)
    assert motion.abs().max() == 0
    assert kept.shape == (2, 1, 24, 28)
    assert kept.min() > 0.9
    assert covered.shape == kept.shape
    assert covered.max() < 0.05


def test_a_motion_net_from_before_covers_grows() -> None:
    old, net = MotionNet(), MotionNet()
    for parameter in old.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    stored = old.state_dict()
    last = f"layers.{len(old.layers) - 2}."
    stored |= {k: v[:12] for k, v in stored.items() if k.startswith(last)}
    net.load_state_dict(stored)
    z, source = torch.randn(2, 1, 16, 4, 4)
    for got, expected in zip(net(z, source)[:2], old(z, source)[:2], strict=True):
        torch.testing.assert_close(got, expected)
    assert net(z, source)[2].max() < 0.05


def test_the_autoencoder_keeps_shapes_and_scale() -> None:
    model = Autoencoder()
    crop = torch.rand(2, 3, 96, 96) * 2 - 1
    z = model.encoder(crop)
    assert z.shape == (2, 16, 8, 8)
    assert model.decoder(z).shape == crop.shape
    before = model.decoder(z)
    model.set_scale(2.0)
    assert torch.allclose(model.encoder(crop), z / 2)
    assert torch.allclose(model.decoder(model.encoder(crop)), before, atol=1e-5)
