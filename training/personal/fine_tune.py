"""Fits an adapter to one person's windows for some CPU time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.model.dit import Denoiser
from training.critic import LatentSharpness
from training.losses import backward, latent_weight
from training.personal.adapter import Adapter
from training.personal.windows import SLOTS, Batch, Material, PersonWindows
from training.teacher import jittered_mouth

WARM_UP = 50  # steps
STRONGEST = 1.5
UNGUIDED = 0.5  # share of windows without guidance
SHOW_EVERY = 50


@dataclass(frozen=True)
class Tuning:
    """How long and how: minutes of CPU time, or `steps`; batch in windows of SLOTS frames."""

    minutes: float = 12.0
    steps: int = 0
    rank: int = 8
    rate: float = 1e-3
    decay: float = 0.01
    batch: int = 8
    queue_share: float = 0.5
    sharpness: float = 0.2
    looks: int = 4
    seed: int = 0


def fine_tune(
    model: Denoiser, material: Material, tuning: Tuning, show: Callable[[str], None]
) -> Adapter:
    """Adapts `model`, which carries the adapter's parametrisations afterwards."""
    torch.manual_seed(tuning.seed)
    torch.set_flush_denormal(True)
    adapter = Adapter(model, tuning.rank)
    windows = PersonWindows(material, model.conditioner, tuning.batch, tuning.seed)
    optimiser = torch.optim.AdamW(
        adapter.parameters, tuning.rate, betas=(0.9, 0.98), weight_decay=tuning.decay
    )
    weight = latent_weight(model.config.grid)
    sharp = LatentSharpness(model.config, tuning.sharpness) if tuning.sharpness else None
    begin, step, shown = time.process_time(), 0, deque[dict[str, float]](maxlen=SHOW_EVERY)
    while True:
        spent = time.process_time() - begin
        done = step / tuning.steps if tuning.steps else spent / (60 * tuning.minutes)
        if done >= 1:
            return adapter
        for group in optimiser.param_groups:
            group["lr"] = tuning.rate * min(1.0, (step + 1) / WARM_UP) * (1 - done) ** 0.7
        queue = torch.rand(1).item() < tuning.queue_share
        batch = windows.queue() if queue else windows.single(tuning.batch * SLOTS)
        estimate, target = _estimate(model, adapter, batch)
        if queue:
            windows.advance(estimate.detach())
        shown.append(backward(estimate, target, weight, sharp, batch.source, batch.pose))
        torch.nn.utils.clip_grad_norm_(adapter.parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        adapter.remember()
        step += 1
        if step % SHOW_EVERY == 0:
            figures = {k: np.mean([s[k] for s in shown]) for k in shown[0]}
            told = "  ".join(f"{k} {v:.4f}" for k, v in figures.items())
            show(f"step {step}  {spent:.0f} s of CPU time  {told}")


def _estimate(model: Denoiser, adapter: Adapter, batch: Batch) -> tuple[Tensor, Tensor]:
    """x0 with its graph, and what it should be: the truth, pushed as far as the base's own guidance
    pushes it, which makes good what a squared error takes from a mouth's motion.
    """
    count = len(batch.level)
    strength = STRONGEST * torch.rand(count) * (torch.rand(count) >= UNGUIDED)
    mouth, guided = jittered_mouth(count), torch.nonzero(strength)[:, 0]
    inputs = (batch.x, batch.source, batch.level, batch.tokens)
    target = batch.target.clone()
    with torch.autocast("cpu", torch.bfloat16):
        if len(guided):
            some = tuple(v[guided] for v in inputs)
            with torch.no_grad(), adapter.off():
                pushed, plain = (
                    model(*some, s, mouth[guided]).float()
                    for s in (strength[guided], torch.zeros(len(guided)))
                )
            target[guided] += pushed - plain
        return model(*inputs, strength, mouth).float(), target
