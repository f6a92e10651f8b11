"""What an estimate of the clean latents is judged by."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.face.align import MOUTH_CENTRE
from training.critic import LatentSharpness
from training.lip_reader import LipReading


def latent_weight(side: int) -> Tensor:
    """Where the mouth is, on the latent grid: 0.2 far away, 2 at the lips."""
    y, x = torch.meshgrid(
        (torch.arange(side) + 0.5) / side, (torch.arange(side) + 0.5) / side, indexing="ij"
    )
    cx, cy = MOUTH_CENTRE
    return 0.2 + 1.8 * torch.exp(-(((x - cx) / 0.27) ** 4 + ((y - cy - 0.06) / 0.27) ** 4))


def x0_loss(estimate: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Squared error with a little absolute error, which keeps teeth and lip lines from averaging
    out.
    """
    error = estimate - target
    return ((error.pow(2) + 0.1 * (error.pow(2) + 1e-4).sqrt()) * weight).mean()


def backward(
    estimate: Tensor,
    target: Tensor,
    weight: Tensor,
    sharp: LatentSharpness | None,
    source: Tensor,
    pose: Tensor,
    lips: LipReading | None = None,
) -> dict[str, float]:
    """Run the backward pass of all terms; returns their values for the log.

    Args:
        estimate: x0 (B, L, C, h, w) with its graph. target, source: same shape.
        pose: true lip pose (B L, P).
        sharp, lips: the sharpness term and the lip reader's, or None to train without.
    """
    leaf = estimate.detach().requires_grad_(True)
    loss = x0_loss(leaf, target, weight)
    (error,) = torch.autograd.grad(loss, leaf)
    shown, gradient = {"loss": loss.item()}, error
    if sharp is not None:
        push, shown["critic"] = sharp.gradient(leaf, target, source, pose, error)
        gradient = gradient + push
    if lips is not None:
        push, shown["lips"] = lips.gradient(leaf, target, pose, error)
        gradient = gradient + push
    estimate.backward(gradient)
    return shown
