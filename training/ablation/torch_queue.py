"""The live queue in torch, for whole clips of many streams at once: as `engine.stream` runs it,
with any number of slots, entry level and guidance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.face.align import MOUTH_CENTRE
from engine.flow import level_grid
from engine.model.audio_encoder import AudioEncoder
from engine.model.dit import Denoiser
from training.ablation.rows import Guidance
from training.distill import guidance_push
from training.sound import heard_mask

Estimate = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Candidate:
    """Weights, and how the queue runs them. tau, last: levels of its newest and oldest slot.
    peak, floor: of DS-CFG.
    """

    model: Denoiser
    guidance: Guidance
    slots: int
    tau: float
    last: float
    tells_pose: bool
    peak: float
    floor: float


def _told(candidate: Candidate, audio: AudioEncoder, mel: Tensor) -> list[Tensor]:
    """Tokens (N, T, 1 + K, D) by a slot's age: what it has heard by then."""
    count, length = mel.shape[:2]
    flat = mel.flatten(0, 1).float()
    keep = torch.full((len(flat),), candidate.tells_pose)
    by_age = []
    for age in range(candidate.slots):
        heard = heard_mask(torch.full((len(flat),), age))
        tokens = candidate.model.conditioner(*audio(flat, heard), keep_pose=keep)
        by_age.append(tokens.unflatten(0, (count, length)))
    return by_age


def _estimate(candidate: Candidate, level: Tensor) -> Estimate:
    """(x, z, level, tokens) -> x0, guided as the row says."""
    model, guidance = candidate.model, candidate.guidance
    count = len(level)
    mouth = torch.tensor(MOUTH_CENTRE).expand(count, 2)
    strength = torch.full((count,), float(guidance.kind == "folded"))
    if guidance.kind in ("folded", "none"):
        return lambda x, z, level, tokens: model(x, z, level, tokens, strength, mouth)
    silent = torch.cat([model.conditioner.null_pose[None], model.conditioner.null_sound])
    c = model.config
    push: Tensor | float = guidance.weight - 1
    if guidance.kind == "placed":
        push = guidance_push(
            level, mouth, c.grid, candidate.peak, candidate.floor, c.guidance_sigma
        )

    def guided(x: Tensor, z: Tensor, level: Tensor, tokens: Tensor) -> Tensor:
        true = model(x, z, level, tokens, strength, mouth)
        null = model(x, z, level, silent.expand_as(tokens), strength, mouth)
        return true + push * (true - null)

    return guided


@torch.no_grad()
def finished(
    candidate: Candidate, audio: AudioEncoder, source: Tensor, mel: Tensor, seed: int
) -> Tensor:
    """Source latents (N, T, 16, h, w) and mel windows (N, T, 80, 64) -> the finished latents of
    frames 0 .. T - slots, (N, T - slots + 1, 16, h, w).
    """
    count, length = source.shape[:2]
    slots = candidate.slots
    by_age = _told(candidate, audio, mel)
    level = torch.from_numpy(level_grid(slots, candidate.tau, candidate.last)).expand(count, slots)
    t = level[:, :, None, None, None]
    eps = torch.randn(count, 1, *source.shape[2:], generator=torch.Generator().manual_seed(seed))
    estimate = _estimate(candidate, level)
    held = source[:, :1].float().repeat(1, slots, 1, 1, 1)
    done = []
    for newest in range(slots - 1, length):
        frames = range(newest - slots + 1, newest + 1)
        held[:, -1] = source[:, newest]
        tokens = torch.stack([by_age[newest - frame][:, frame] for frame in frames], 1)
        seen = source[:, list(frames)].float()
        with torch.autocast("cpu", torch.bfloat16):
            x0 = estimate((1 - t) * held + t * eps, seen, level, tokens).float()
        done.append(x0[:, 0])
        held = torch.cat([x0[:, 1:], x0[:, -1:]], 1)
    return torch.stack(done, 1)
