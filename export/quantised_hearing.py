"""The audio encoder and conditioner in int8 for ONNX Runtime, time before channels throughout:
convolutions are linear layers on neighbouring columns.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from engine.model.audio_encoder import Earlier
from export.builder import Builder, as_array
from export.graphs import Hearing


@torch.no_grad()
def write_hearing(hearing: Hearing, path: Path) -> None:
    """Inputs and outputs as `Hearing.forward`, N free."""
    b, audio, conditioner = Builder(), hearing.audio, hearing.conditioner
    c, columns = audio.config, audio.config.mel_columns
    both = b.op("Transpose", "mel", perm=[0, 2, 1])
    before, mel = b.ops("Split", 2, both, np.array([c.earlier, columns]), axis=1)
    heard = b.reshape("heard", 0, columns, 1)
    known = b.op("Mul", b.op("Sub", mel, audio.unheard), heard)
    x = b.op("Concat", b.op("Add", known, audio.unheard), heard, axis=2)  # (N, M, 81)
    x = _gelu(b, _conv(b, x, audio.stem, columns))
    x = _blocks(b, x, audio.blocks, audio.norms, columns)
    pool = audio.pool
    stride = pool.stride[0]
    pooled = b.reshape(x, 0, columns // stride, stride * c.width)
    sound = _gelu(b, b.dense(pooled, pool.weight.permute(2, 1, 0).flatten(0, 1), pool.bias))
    scale, shift = _earlier(b, before, audio.earlier, c.earlier)
    hidden = _linear(b, b.reshape(sound, 0, -1), audio.pose_hidden)
    hidden = _gelu(b, b.op("Add", b.op("Mul", hidden, scale), shift))
    pose = _float_linear(b, hidden, audio.pose_out)
    first, last = conditioner.pose[0], conditioner.pose[2]
    told = b.contrib("QuickGelu", _float_linear(b, pose, first), alpha=1.0)
    pose_token = b.op("Unsqueeze", _linear(b, told, last), np.array([1]))
    if conditioner.hears_sound:
        shift = conditioner.sound.bias + conditioner.place
        sound_tokens = b.op("Add", b.dense(sound, conditioner.sound.weight.T), shift)
    else:
        batch = b.op("Slice", b.op("Shape", pose), np.array([0]), np.array([1]))
        shape = b.op("Concat", batch, np.array(conditioner.null_sound.shape), axis=0)
        sound_tokens = b.op("Expand", conditioner.null_sound[None], shape)
    tokens = b.op("Concat", pose_token, sound_tokens, axis=1)
    b.save(
        path,
        {"mel": ("batch", c.mel_bands, c.earlier + columns), "heard": ("batch", columns)},
        {
            "tokens": (tokens, ("batch", 1 + c.sound_tokens, c.token_width)),
            "pose": (pose, ("batch", c.pose_components)),
        },
    )


def _earlier(b: Builder, before: str, net: Earlier, columns: int) -> list[str]:
    """What came before, (N, H, 80) -> 1 + scale, shift (N, width)."""
    x = _blocks(b, _gelu(b, _conv(b, before, net.stem, columns)), net.blocks, net.norms, columns)
    last = b.op("Gather", x, np.array(columns - 1), axis=1)
    mean = b.op("ReduceMean", x, axes=[1], keepdims=0)
    largest = b.op("ReduceMax", x, axes=[1], keepdims=0)
    pooled = b.op("Concat", last, mean, largest, axis=1)
    told = _float_linear(b, _gelu(b, _linear(b, pooled, net.hidden)), net.out)
    width = net.out.out_features // 2
    scale, shift = b.ops("Split", 2, told, np.array([width, width]), axis=1)
    return [b.op("Add", scale, np.array(1, np.float32)), shift]


def _blocks(b: Builder, x: str, blocks: nn.ModuleList, norms: nn.ModuleList, columns: int) -> str:
    """Residual convolutions of columns (N, M, C)."""
    for block, norm in zip(blocks, norms, strict=True):
        assert isinstance(block, nn.Conv1d)
        assert isinstance(norm, nn.LayerNorm)
        scale, shift = b.constant(norm.weight), b.constant(norm.bias)
        y = b.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=norm.eps)
        x = b.op("Add", x, _gelu(b, _conv(b, y, block, columns)))
    return x


def _gelu(b: Builder, x: str) -> str:
    return b.contrib("Gelu", x)


def _linear(b: Builder, x: str, layer: nn.Linear) -> str:
    return b.dense(x, layer.weight.T, layer.bias)


def _float_linear(b: Builder, x: str, layer: nn.Linear) -> str:
    """In float32: the lip pose is few numbers, and all that the mouth's shape hangs on."""
    return b.op("Gemm", x, as_array(layer.weight), as_array(layer.bias), transB=1)


def _conv(b: Builder, x: str, conv: nn.Conv1d, columns: int) -> str:
    """x (N, M, C) -> (N, M, O): each column beside its neighbours, then one linear layer."""
    taps, spread = conv.kernel_size[0], conv.dilation[0]
    reach = spread * (taps // 2)
    padded = b.op("Pad", x, np.array([0, reach, 0, 0, reach, 0]))
    neighbours = np.arange(columns)[:, None] + spread * np.arange(taps)
    beside = b.reshape(b.op("Gather", padded, neighbours, axis=1), 0, 0, taps * conv.in_channels)
    return b.dense(beside, conv.weight.permute(2, 1, 0).flatten(0, 1), conv.bias)
