"""The denoiser: a Diffusion Transformer over a window of frames, each with a noise level of its
own.

It edits without a mask: the source latent is concatenated to the noisy latent, and what is
predicted is the edit x0 - z, so that identity is
the starting point and only the mouth must be learned. Guidance is an input (strength and a Gaussian
at the mouth), not a second pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class DenoiserConfig:
    """Sizes of the transformer; `grid` is the latent's side, tokens are patch x patch latent
    pixels.
    """

    width: int = 192
    depth: int = 6
    heads: int = 3
    patch: int = 2
    grid: int = 16
    latent_channels: int = 16
    sound_width: int = 192
    sound_tokens: int = 4
    pose_components: int = 10
    most_slots: int = 4
    edited: tuple[int, int, int, int] = (4, 16, 2, 14)  # top, bottom, left, right of the latent
    pose_rank: int = 16
    stem_width: int = 64
    guidance_sigma: float = 0.22  # of the DS-CFG Gaussian, in crop units
    # Lip pose alone tells strangers' mouths no worse than pose and sound, and it has no voice: the
    # sound side then learns from any speech, the picture side from any face.
    hears_sound: bool = False


def level_embedding(level: Tensor, width: int) -> Tensor:
    """Sinusoidal features of a noise level 0..1, (...) -> (..., width)."""
    frequency = torch.exp(-math.log(1000.0) * torch.arange(width // 2) / (width // 2))
    phase = level[..., None] * 100.0 * frequency
    return torch.cat([phase.cos(), phase.sin()], -1)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale) + shift


class Conditioner(nn.Module):
    """Sound features and lip pose -> the tokens the denoiser attends to: [pose, sound 1..K], all
    `width` wide.

    Learned null tokens stand in for a pose or a sound that is dropped in training, or absent.
    """

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.pose = nn.Sequential(
            nn.Linear(config.pose_components, config.width),
            nn.SiLU(),
            nn.Linear(config.width, config.width),
        )
        self.sound = nn.Linear(config.sound_width, config.width)
        self.place = nn.Parameter(torch.randn(config.sound_tokens, config.width) * 0.02)
        self.null_pose = nn.Parameter(torch.randn(config.width) * 0.02)
        self.null_sound = nn.Parameter(torch.randn(config.sound_tokens, config.width) * 0.02)
        self.hears_sound = config.hears_sound

    def forward(
        self,
        sound: Tensor,
        pose: Tensor,
        keep_sound: Tensor | None = None,
        keep_pose: Tensor | None = None,
    ) -> Tensor:
        """sound (N, K, W), pose (N, P), keep_* (N,) bool -> tokens (N, 1 + K, width)."""
        pose_token = self.pose(pose)
        if self.hears_sound:
            sound_tokens = self.sound(sound) + self.place
        else:
            sound_tokens = self.null_sound.expand(pose.shape[0], -1, -1)
        if keep_pose is not None:
            pose_token = torch.where(keep_pose[:, None], pose_token, self.null_pose)
        if keep_sound is not None and self.hears_sound:
            sound_tokens = torch.where(keep_sound[:, None, None], sound_tokens, self.null_sound)
        return torch.cat([pose_token[:, None], sound_tokens], 1)


class Block(nn.Module):
    def __init__(self, width: int, heads: int, attends_sound: bool) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.adaln = nn.Linear(width, 6 * width)
        # adaLN-Zero: every block starts as the identity.
        nn.init.zeros_(self.adaln.weight)
        nn.init.zeros_(self.adaln.bias)
        self.attends_sound = attends_sound
        if attends_sound:
            self.norm_sound = nn.LayerNorm(width)
            self.query = nn.Linear(width, width)
            self.key_value = nn.Linear(width, 2 * width)
            self.project_sound = nn.Linear(width, width)
            nn.init.zeros_(self.project_sound.weight)
            nn.init.zeros_(self.project_sound.bias)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(
            1, 2
        )  # (N, T, D) -> (N, heads, T, D / heads)

    def forward(self, x: Tensor, condition: Tensor, tokens: Tensor) -> Tensor:
        """x (B, L, P, D), condition (B, L, 1, D), tokens (B L, 1 + K, D)."""
        b, slots, patches, width = x.shape
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaln(condition).chunk(6, -1)
        y = modulate(self.norm1(x), shift1, scale1).reshape(b, slots * patches, width)
        q, k, v = (self._split(part) for part in self.qkv(y).chunk(3, -1))
        y = (
            F.scaled_dot_product_attention(q, k, v)
            .transpose(1, 2)
            .reshape(b, slots, patches, width)
        )
        x = x + gate1 * self.project(y)
        if self.attends_sound:
            q = self._split(self.query(self.norm_sound(x)).reshape(b * slots, patches, width))
            k, v = (self._split(part) for part in self.key_value(tokens).chunk(2, -1))
            y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
            x = x + self.project_sound(y.reshape(b, slots, patches, width))
        hidden = F.gelu(self.up(modulate(self.norm2(x), shift2, scale2)), approximate="tanh")
        return x + gate2 * self.down(hidden)


class Denoiser(nn.Module):
    """(x, z, level, tokens, strength, mouth) -> x0; see `forward`."""

    def __init__(self, config: DenoiserConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or DenoiserConfig()
        top, bottom, left, right = c.edited
        rows, columns = (bottom - top) // c.patch, (right - left) // c.patch
        inner = c.latent_channels * c.patch * c.patch
        self.embed = nn.Linear(2 * inner, c.width)
        self.stem = nn.Conv2d(2 * c.latent_channels, c.stem_width, 3, padding=1)
        self.embed_stem = nn.Linear(c.stem_width * c.patch * c.patch, c.width)
        self.place = nn.Parameter(torch.randn(rows * columns, c.width) * 0.02)
        # A pose moves each place in its own way: without this map the conditioning learns slowly.
        self.pose_rank = nn.Linear(c.width, c.pose_rank)
        self.pose_map = nn.Parameter(torch.zeros(c.pose_rank, rows * columns, c.width))
        self.age = nn.Parameter(torch.randn(c.most_slots, c.width) * 0.02)
        self.level = nn.Sequential(
            nn.Linear(c.width, c.width), nn.SiLU(), nn.Linear(c.width, c.width)
        )
        self.strength = nn.Linear(1, c.width)
        self.near_mouth = nn.Linear(2, c.width)
        nn.init.zeros_(self.strength.weight)
        nn.init.zeros_(self.strength.bias)
        nn.init.zeros_(self.near_mouth.weight)
        self.conditioner = Conditioner(c)
        self.blocks = nn.ModuleList(Block(c.width, c.heads, i % 2 == 0) for i in range(c.depth))
        self.norm = nn.LayerNorm(c.width, elementwise_affine=False)
        self.adaln = nn.Linear(c.width, 2 * c.width)
        self.out = nn.Linear(c.width, inner)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.refine = nn.Sequential(
            nn.Conv2d(3 * c.latent_channels, c.stem_width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(c.stem_width, c.latent_channels, 3, padding=1),
        )
        nn.init.zeros_(self.refine[2].weight)
        nn.init.zeros_(self.refine[2].bias)

    def _patch(self, z: Tensor) -> Tensor:
        """(B, L, C, h, w) -> (B, L, P, C p p)."""
        b, slots, channels, h, w = z.shape
        p = self.config.patch
        z = z.reshape(b, slots, channels, h // p, p, w // p, p)
        return z.permute(0, 1, 3, 5, 2, 4, 6).reshape(
            b, slots, (h // p) * (w // p), channels * p * p
        )

    def _unpatch(self, x: Tensor, h: int, w: int) -> Tensor:
        b, slots = x.shape[:2]
        p, channels = self.config.patch, self.config.latent_channels
        x = x.reshape(b, slots, h // p, w // p, channels, p, p)
        return x.permute(0, 1, 4, 2, 5, 3, 6).reshape(b, slots, channels, h, w)

    def _mouth_map(self, mouth: Tensor) -> Tensor:
        """DS-CFG's spatial Gaussian (OmniSync eq. 7) on the tokens: (B, 2) -> (B, 1, P, 1)."""
        top, bottom, left, right = self.config.edited
        p, grid = self.config.patch, self.config.grid
        y = (torch.arange(top, bottom, p) + p / 2) / grid
        x = (torch.arange(left, right, p) + p / 2) / grid
        dx = x[None, None, :] - mouth[:, 0, None, None]
        dy = y[None, :, None] - mouth[:, 1, None, None]
        gaussian = torch.exp(-(dx**2 + dy**2) / (2 * self.config.guidance_sigma**2))
        return gaussian.flatten(1)[:, None, :, None]

    def forward(
        self, x: Tensor, z: Tensor, level: Tensor, tokens: Tensor, strength: Tensor, mouth: Tensor
    ) -> Tensor:
        """One refinement of a whole window.

        Args:
            x: noisy latents (B, L, 16, h, w), oldest slot first.
            z: source latents, same shape.
            level: noise level of each slot (B, L), 0 = data, 1 = noise.
            tokens: pose and sound tokens (B, L, 1 + K, width) from the conditioner.
            strength: guidance (B,), 0 = unguided, 1 = as shipped.
            mouth: mouth centre (B, 2), crop units.
        Returns:
            x0 (B, L, 16, h, w), the estimate of the clean, re-synced latents.
        """
        b, slots = x.shape[:2]
        top, bottom, left, right = self.config.edited
        near_x, near_z = x[..., top:bottom, left:right], z[..., top:bottom, left:right]
        both = torch.cat([near_x, near_z], 2)  # (B, L, 2C, rows, columns)
        h, w = bottom - top, right - left
        gaussian = self._mouth_map(mouth)
        guided = strength[:, None, None, None] * gaussian
        seen = self.near_mouth(torch.cat([gaussian, guided], -1))
        # reshape, not unflatten: tracing would freeze the window's size.
        stem = F.silu(self.stem(both.flatten(0, 1))).reshape(b, slots, -1, h, w)
        posed = self.pose_rank(tokens[:, :, 0]) @ self.pose_map.flatten(1)
        posed = posed.reshape(b, slots, *self.place.shape)
        hidden = self.embed(torch.cat([self._patch(near_x), self._patch(near_z)], -1))
        hidden = hidden + self.embed_stem(self._patch(stem)) + posed + self.place + seen
        condition = self.level(level_embedding(level, self.config.width))  # (B, L, D)
        age = torch.flip(self.age[:slots], (0,))
        condition = condition + age + tokens[:, :, 0] + self.strength(strength[:, None])[:, None]
        condition = F.silu(condition)[:, :, None]
        flat_tokens = tokens.flatten(0, 1)
        for block in self.blocks:
            hidden = block(hidden, condition, flat_tokens)
        shift, scale = self.adaln(condition).chunk(2, -1)
        edit = self._unpatch(self.out(modulate(self.norm(hidden), shift, scale)), h, w)
        refined = self.refine(torch.cat([both, edit], 2).flatten(0, 1))
        edit = edit + refined.reshape(b, slots, -1, h, w)
        margins = (left, z.shape[-1] - right, top, z.shape[-2] - bottom)
        return z + F.pad(edit, margins)
