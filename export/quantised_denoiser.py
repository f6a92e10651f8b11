"""The denoiser in int8 for ONNX Runtime: the same sums as `engine.model.dit`, in a quarter of the
nodes.

Linear layers run in int8, activations quantised as they come; what all slots share is computed
once. Level, age and strength reach every block through one linear layer instead of seven.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.model.dit import Block, Denoiser
from export.builder import Builder, as_array, quantised_columns


def write_denoiser(model: Denoiser, path: Path) -> None:
    """Inputs and output as `Denoiser.forward`, B and L free."""
    c = model.config
    latent = ("batch", "slots", c.latent_channels, c.grid, c.grid)
    with torch.no_grad():
        graph = _Graph(model)
        x0 = graph.build()
    graph.b.save(
        path,
        {
            "x": latent,
            "z": latent,
            "level": ("batch", "slots"),
            "tokens": ("batch", "slots", 1 + c.sound_tokens, c.width),
            "strength": ("batch",),
            "mouth": ("batch", 2),
        },
        {"x0": (x0, latent)},
    )


class _Graph:
    """N = B L frames of P places each, D wide; hidden (N, P, D), attention over (B, L P, D)."""

    def __init__(self, model: Denoiser) -> None:
        self.b = Builder()
        self.model, self.config = model, model.config
        top, bottom, left, right = model.config.edited
        self.height, self.width = bottom - top, right - left
        self.places = self.height * self.width // model.config.patch**2
        sizes = self.b.op("Shape", "level")
        batch = self.b.op("Gather", sizes, np.array([0]))
        self.slots = self.b.op("Gather", sizes, np.array([1]))
        rest = np.array([-1, model.config.width])
        self.windows = self.b.op("Concat", batch, rest, axis=0)

    def build(self) -> str:
        b, m, c = self.b, self.model, self.config
        pose = b.op("Gather", "tokens", np.array(0), axis=2)  # (B, L, D)
        both = self._near()
        hidden = b.op("Add", self._embedded(both), self._placed(pose))
        parts = self._modulation(pose)
        sound = self._keys_and_values()
        for block in m.blocks:
            hidden = self._block(block, hidden, parts[:6], sound)
            parts = parts[6:]
        shift, scale = parts
        out = b.dense(self._norm(hidden, scale, shift), m.out.weight.T, m.out.bias)
        rows, columns = self.height // c.patch, self.width // c.patch
        out = b.reshape(b.op("Transpose", out, perm=[0, 2, 1]), 0, 0, rows, columns)
        edit = self._refined(both, b.op("DepthToSpace", out, blocksize=c.patch, mode="CRD"))
        top, bottom, left, right = c.edited
        margins = np.array([0, 0, top, left, 0, 0, c.grid - bottom, c.grid - right])
        edit = b.op("Pad", edit, margins)
        return b.op("Add", "z", b.op("Reshape", edit, b.op("Shape", "z")))

    def _near(self) -> str:
        """x and z round the mouth, (N, 2 C, height, width)."""
        top, bottom, left, right = self.config.edited
        both = self.b.op("Concat", "x", "z", axis=2)
        starts, ends, axes = (np.array(v) for v in ((top, left), (bottom, right), (3, 4)))
        near = self.b.op("Slice", both, starts, ends, axes)
        return self.b.reshape(near, -1, 2 * self.config.latent_channels, self.height, self.width)

    def _conv(self, x: str, weight: Tensor, bias: Tensor, stride: int, pad: int) -> str:
        return self.b.op(
            "Conv", x, weight, bias,
            kernel_shape=list(weight.shape[2:]), strides=[stride] * 2, pads=[pad] * 4,
        )  # fmt: skip

    def _silu(self, x: str) -> str:
        return self.b.contrib("QuickGelu", x, alpha=1.0)

    def _embedded(self, both: str) -> str:
        """Patches of the latents and of the stem's features through one strided convolution."""
        m, p, width = self.model, self.config.patch, self.config.width
        stem = self._silu(self._conv(both, m.stem.weight, m.stem.bias, 1, 1))
        kernels = [w.reshape(width, -1, p, p) for w in (m.embed.weight, m.embed_stem.weight)]
        patches = self._conv(
            self.b.op("Concat", both, stem, axis=1),
            torch.cat(kernels, 1),
            m.embed.bias + m.embed_stem.bias,
            p,
            0,
        )
        return self.b.op("Transpose", self.b.reshape(patches, 0, 0, -1), perm=[0, 2, 1])

    def _placed(self, pose: str) -> str:
        """What each place adds: the pose's map, the place itself, how near the mouth it is."""
        b, m, c = self.b, self.model, self.config
        rank = b.dense(pose, m.pose_rank.weight.T, m.pose_rank.bias)
        posed = b.reshape(b.dense(rank, m.pose_map.flatten(1)), 0, 0, self.places, c.width)
        top, bottom, left, right = c.edited
        y, x = np.mgrid[top : bottom : c.patch, left : right : c.patch] + c.patch / 2
        at = np.stack([x, y], -1).reshape(1, -1, 2).astype(np.float32) / c.grid
        away = b.op("Sub", b.reshape("mouth", -1, 1, 2), at)
        away = b.op("ReduceSum", b.op("Mul", away, away), np.array([2]))  # (B, P, 1)
        spread = np.float32(-1 / (2 * c.guidance_sigma**2))
        gaussian = b.op("Exp", b.op("Mul", away, spread))
        near, guided = m.near_mouth.weight.T
        push = b.op("Add", b.op("Mul", b.reshape("strength", -1, 1, 1), guided), near)
        seen = b.op("Add", b.op("Mul", gaussian, push), m.near_mouth.bias + m.place)
        placed = b.op("Add", posed, b.reshape(seen, 0, 1, self.places, c.width))
        return b.reshape(placed, -1, self.places, c.width)

    def _modulation(self, pose: str) -> list[str]:
        """Shift, scale and gate of every block, then shift and scale of the last norm, each
        (N, 1, D); the scales with their 1 added.
        """
        b, m, width = self.b, self.model, self.config.width
        frequency = 100 * torch.exp(-np.log(1000.0) * torch.arange(width // 2) / (width // 2))
        phase = b.op("Mul", b.op("Unsqueeze", "level", np.array([2])), frequency)
        waves = b.op("Concat", b.op("Cos", phase), b.op("Sin", phase), axis=2)
        first, last = m.level[0], m.level[2]
        told = b.dense(self._silu(b.dense(waves, first.weight.T, first.bias)), last.weight.T)
        newest_last = m.age.flip(0)
        age = b.op("Slice", newest_last, b.op("Neg", self.slots), np.array([len(newest_last)]))
        push = b.op("Mul", b.reshape("strength", -1, 1, 1), m.strength.weight[:, 0])
        push = b.op("Add", push, m.strength.bias + last.bias)
        condition = b.op("Add", b.op("Add", told, pose), b.op("Add", age, push))
        condition = b.reshape(self._silu(condition), -1, 1, width)
        layers = [block.adaln for block in m.blocks] + [m.adaln]
        bias = torch.cat([layer.bias for layer in layers]).reshape(-1, width).clone()
        bias[1::6] += 1  # scale1 of each block, and the last norm's
        bias[4::6] += 1  # scale2
        weight = torch.cat([layer.weight for layer in layers])
        every = b.dense(condition, weight.T, bias.flatten())
        return b.ops("Split", len(bias), every, axis=2)

    def _keys_and_values(self) -> list[str]:
        """Of all blocks that attend to sound, each (N, 1 + K, D)."""
        listening = [block.key_value for block in self.model.blocks if block.attends_sound]
        tokens = self.b.reshape("tokens", -1, 1 + self.config.sound_tokens, self.config.width)
        weight = torch.cat([layer.weight for layer in listening])
        every = self.b.dense(tokens, weight.T, torch.cat([layer.bias for layer in listening]))
        return self.b.ops("Split", 2 * len(listening), every, axis=2)

    def _norm(self, x: str, scale: str, shift: str) -> str:
        return self.b.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-5)

    def _block(self, block: Block, hidden: str, parts: list[str], sound: list[str]) -> str:
        """As `Block.forward`; takes its keys and values off `sound`."""
        b, heads = self.b, block.heads
        shift1, scale1, gate1, shift2, scale2, gate2 = parts
        y = b.op("Reshape", self._norm(hidden, scale1, shift1), self.windows)
        y = b.dense(self._attention(y, block), block.project.weight.T, block.project.bias)
        y = b.reshape(y, -1, self.places, self.config.width)
        hidden = b.op("Add", hidden, b.op("Mul", y, gate1))
        if block.attends_sound:
            norm = block.norm_sound
            y = self._norm(hidden, b.constant(norm.weight), b.constant(norm.bias))
            query = b.dense(y, block.query.weight.T, block.query.bias)
            y = b.contrib("MultiHeadAttention", query, sound.pop(0), sound.pop(0), num_heads=heads)
            y = b.dense(y, block.project_sound.weight.T, block.project_sound.bias)
            hidden = b.op("Add", hidden, y)
        y = b.dense(self._norm(hidden, scale2, shift2), block.up.weight.T, block.up.bias)
        y = b.dense(b.contrib("FastGelu", y), block.down.weight.T, block.down.bias)
        return b.op("Add", hidden, b.op("Mul", y, gate2))

    def _attention(self, x: str, block: Block) -> str:
        """Queries, keys and values in int8, the attention itself in float32."""
        q, scale = quantised_columns(as_array(block.qkv.weight.T))
        x, x_scale, x_zero = self.b.ops("DynamicQuantizeLinear", 3, x)
        zero = np.zeros(len(scale), np.int8)
        return self.b.contrib(
            "QAttention", x, q, block.qkv.bias, x_scale, scale, "", x_zero, zero,
            num_heads=block.heads,
        )  # fmt: skip

    def _refined(self, both: str, edit: str) -> str:
        first, last = self.model.refine[0], self.model.refine[2]
        y = self._conv(self.b.op("Concat", both, edit, axis=1), first.weight, first.bias, 1, 1)
        return self.b.op("Add", edit, self._conv(self._silu(y), last.weight, last.bias, 1, 1))
