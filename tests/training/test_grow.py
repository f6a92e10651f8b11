"""An autoencoder grown to larger crops starts as the smaller one did."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from engine.model.autoencoder import Autoencoder, AutoencoderConfig  # noqa: E402
from training.autoencoder import grow  # noqa: E402

pytestmark = pytest.mark.torch


def test_same_latents_and_same_picture_at_more_pixels() -> None:
    torch.manual_seed(0)
    small, large = Autoencoder(AutoencoderConfig(fold=2)), Autoencoder(AutoencoderConfig(fold=4))
    for parameter in small.parameters():
        if parameter.dim() == 4:
            torch.nn.init.kaiming_normal_(parameter)
    grow(large, small.state_dict())
    crop = torch.rand(2, 3, 32, 32) * 2 - 1
    enlarged = functional.interpolate(crop, scale_factor=2, mode="nearest")
    z = small.encoder(crop)
    torch.testing.assert_close(large.encoder(enlarged), z, atol=1e-4, rtol=1e-4)
    shown = functional.avg_pool2d(large.decoder(z), 2)
    torch.testing.assert_close(shown, small.decoder(z), atol=1e-4, rtol=1e-4)
