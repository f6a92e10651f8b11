"""Moves of a picture and of its latent mean the same shift."""

import pytest

torch = pytest.importorskip("torch")

from training.autoencoder import moved, random_moves  # noqa: E402

pytestmark = pytest.mark.torch


def blob(size: int, x: float, y: float, width: float) -> torch.Tensor:
    at = (torch.arange(size) + 0.5) / size
    return torch.exp(-((at[None, :] - x) ** 2 + (at[:, None] - y) ** 2) / (2 * width**2))[
        None, None
    ]


def centre(picture: torch.Tensor) -> torch.Tensor:
    at = (torch.arange(picture.shape[-1]) + 0.5) / picture.shape[-1]
    grey = picture[0, 0]
    return torch.stack([(grey * at[None, :]).sum(), (grey * at[:, None]).sum()]) / grey.sum()


def test_a_move_shifts_picture_and_latent_alike() -> None:
    move = torch.tensor([[[1.0, 0.0, 0.1], [0.0, 1.0, -0.06]]])
    large, small = blob(128, 0.5, 0.5, 0.08), blob(16, 0.5, 0.5, 0.08)
    expected = torch.tensor([0.45, 0.53])
    assert torch.allclose(centre(moved(large, move)), expected, atol=2e-3)
    assert torch.allclose(centre(moved(small, move)), expected, atol=6e-3)


def test_moves_are_small() -> None:
    torch.manual_seed(0)
    moves = random_moves(500)
    scale = moves[:, :, :2].det().sqrt()
    assert scale.min() > 0.8 and scale.max() < 1.25
    assert moves[:, :, 2].std().item() == pytest.approx(0.05, rel=0.2)
