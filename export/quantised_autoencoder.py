"""The autoencoder in int8 for ONNX Runtime: convolutions channels last, from ranges seen on
calibration crops.

The encoder reads grey levels as they are, 8 bits. Convolutions that read latents stay float32, and
the decoder's last, whose rounding would show as grain. After a ReLU the 8 bits are all spent above
zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.model.autoencoder import Decoder, Encoder
from engine.model.motion import MotionNet
from engine.model.residual import Residual
from export.builder import CONTRIB, LARGEST_WEIGHT, Builder
from export.graphs import HALF_RANGE


@dataclass(frozen=True)
class Quantity:
    """A quantised picture: name of the uint8 value (N, h, w, C), value = scale (q - zero), and what
    the float32 network has there on the calibration crops, (N, C, h, w).
    """

    name: str
    scale: float
    zero: int
    seen: Tensor


def quantised_range(seen: Tensor) -> tuple[float, int]:
    """Scale and zero point of uint8 that cover `seen`, and 0 exactly."""
    low, high = min(float(seen.min()), 0.0), max(float(seen.max()), 1e-6)
    scale = (high - low) / 255
    return scale, round(-low / scale)


class PictureBuilder(Builder):
    """Builds and calibrates at once: each layer also runs in float32 on the calibration crops."""

    def quantise(self, x: str, seen: Tensor) -> Quantity:
        """From a float32 value (N, C, h, w)."""
        scale, zero = quantised_range(seen)
        q = self.op("QuantizeLinear", x, np.float32(scale), np.uint8(zero))
        return Quantity(self.op("Transpose", q, perm=[0, 2, 3, 1]), scale, zero, seen)

    def dequantise(self, x: Quantity) -> str:
        """A float32 value (N, C, h, w)."""
        q = self.op("Transpose", x.name, perm=[0, 3, 1, 2])
        return self.op("DequantizeLinear", q, np.float32(x.scale), np.uint8(x.zero))

    def float_conv(self, x: str, weight: Tensor, bias: Tensor) -> str:
        """3 x 3 on a float32 value (N, C, h, w)."""
        return self.op("Conv", x, weight, bias, kernel_shape=[3, 3], pads=[1] * 4)

    def conv(
        self, x: Quantity, conv: nn.Conv2d, relu: bool, order: Tensor | None = None
    ) -> Quantity:
        """`order` renumbers the output channels."""
        weight, bias = conv.weight, conv.bias
        assert bias is not None
        if order is not None:
            weight, bias = weight[order], bias[order]
        seen = F.conv2d(x.seen, weight, bias, conv.stride, conv.padding)
        seen = F.relu(seen) if relu else seen
        scale, zero = quantised_range(seen)
        step = weight.abs().amax((1, 2, 3)).clamp(min=1e-9) / LARGEST_WEIGHT
        q = (weight / step[:, None, None, None]).round().to(torch.int8)
        sum_bias = (bias / (step * x.scale)).round().to(torch.int32)
        name = self.op(
            "QLinearConv",
            *(x.name, np.float32(x.scale), np.uint8(x.zero)),
            *(q, step, np.zeros(len(q), np.int8)),
            *(np.float32(scale), np.uint8(zero), sum_bias),
            domain=CONTRIB,
            channels_last=1,
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            pads=[int(side) for side in conv.padding] * 2,
        )
        return Quantity(name, scale, zero, seen)

    def residual(self, x: Quantity, block: Residual) -> Quantity:
        y = self.conv(self.conv(x, block.first, relu=True), block.second, relu=False)
        seen = F.relu(x.seen + y.seen)
        scale, zero = quantised_range(seen)
        sides = [v for q in (x, y) for v in (q.name, np.float32(q.scale), np.uint8(q.zero))]
        name = self.contrib("QLinearAdd", *sides, np.float32(scale), np.uint8(zero))
        return Quantity(name, scale, zero, seen)

    def layers(self, x: Quantity, layers: nn.Sequential, first: int, last: int) -> Quantity:
        """Layers first .. last-1 of an autoencoder's half, strided or residual."""
        k = first
        while k < last:
            layer, following = layers[k], layers[k + 1]
            if isinstance(layer, Residual):
                x = self.residual(x, layer)
            elif isinstance(following, nn.PixelShuffle):
                x = self.upsampled(x, layer)
                k += 1
            else:
                x = self.conv(x, layer, isinstance(following, nn.ReLU))
                k += isinstance(following, nn.ReLU)
            k += 1
        return x

    def upsampled(self, x: Quantity, conv: nn.Conv2d) -> Quantity:
        """A convolution, then PixelShuffle(2): with the channels in the order (row, column, C),
        whole rows of memory move.
        """
        count = conv.out_channels // 4
        order = torch.arange(4 * count).reshape(count, 4).T.flatten()
        x = self.conv(x, conv, relu=False, order=order)
        seen = F.pixel_shuffle(x.seen[:, order.argsort()], 2)
        return Quantity(self.spread(x.name, 2, count), x.scale, x.zero, seen)

    def spread(self, x: str, factor: int, count: int) -> str:
        """(N, h, w, factor factor count), in the order (row, column, count), -> (N, factor h,
        factor w, count).
        """
        blocks = self.reshape(x, 0, 0, 0, factor, factor * count)
        rows = self.op("Transpose", blocks, perm=[0, 1, 3, 2, 4])
        sizes = self.op("Mul", self.op("Shape", x), np.array([1, factor, factor, 1]))
        sizes = self.op("Slice", sizes, np.array([0]), np.array([3]))
        return self.op("Reshape", rows, self.op("Concat", sizes, np.array([count]), axis=0))


@torch.no_grad()
def on_pixels(conv: nn.Conv2d, fold: int) -> nn.Conv2d:
    """PixelUnshuffle(fold) and a 3 x 3 convolution as one on pixels as they lie in memory: `fold`
    neighbours of a row are the channels, (N, 3 fold, S, S / fold) in the order (column, colour).
    """
    reach, weight = 3 * fold, conv.weight.reshape(-1, 3, fold, fold, 3, 3)
    weight = weight.permute(0, 3, 1, 4, 2, 5)  # (O, column, colour, i, row, j)
    direct = nn.Conv2d(reach, conv.out_channels, (reach, 3), (fold, 1), (fold, 1))
    direct.weight.copy_(weight.reshape(-1, reach, reach, 3))
    assert conv.bias is not None and direct.bias is not None
    direct.bias.copy_(conv.bias)
    return direct


@torch.no_grad()
def write_encoder(encoder: Encoder, path: Path, crops: Tensor) -> None:
    """crops: uint8 (N, S, S, 3) to calibrate with."""
    b, layers = PictureBuilder(), encoder.layers
    fold, side = layers[0].downscale_factor, crops.shape[1]
    first, last = on_pixels(layers[1], fold), layers[-1]
    # Grey level q is (q - 128) / 127.5, and half a level more, which the bias takes.
    half = 0.5 / HALF_RANGE
    first.bias += half * first.weight.sum((1, 2, 3))
    seen = crops.reshape(len(crops), side, side // fold, 3 * fold).permute(0, 3, 1, 2)
    beside = b.reshape("crop", 0, side, side // fold, 3 * fold)
    pixels = Quantity(beside, 1 / HALF_RANGE, 128, (seen.float() - 128) / HALF_RANGE)
    x = b.layers(b.conv(pixels, first, relu=True), layers, 3, len(layers) - 1)
    x = b.conv(x, last, relu=False)
    z = (
        b.op("Mul", b.dequantise(x), encoder.scale),
        ("batch", last.out_channels, side // (4 * fold), side // (4 * fold)),
    )
    b.save(path, {"crop": ("batch", side, side, 3)}, {"z": z}, pixels=("crop",))


def _upward(b: PictureBuilder, layers: nn.Sequential, x: str, weight: Tensor, seen: Tensor) -> str:
    """From latents, the float32 value `x` with `seen` in it, to what the last convolution takes:
    decoder and motion net have the same shape. `weight`: of the first convolution.
    """
    first = layers[0]
    features = b.op("Relu", b.float_conv(x, weight, first.bias))
    quantised = b.quantise(features, F.relu(F.conv2d(seen, weight, first.bias, padding=1)))
    return b.dequantise(b.layers(quantised, layers, 2, len(layers) - 2))


@torch.no_grad()
def write_decoder(decoder: Decoder, path: Path, latents: Tensor) -> None:
    """latents: float32 (N, 16, h, w) to calibrate with; height and width stay free."""
    b, layers = PictureBuilder(), decoder.layers
    last, fold = layers[-2], layers[-1].upscale_factor
    order = torch.arange(3 * fold**2).reshape(3, -1).T.flatten()  # as `spread` takes them
    features = _upward(b, layers, "z", layers[0].weight / decoder.scale, latents)
    weight, bias = last.weight[order] * HALF_RANGE, (last.bias[order] + 1) * HALF_RANGE
    folded = b.float_conv(features, weight, bias)
    crop = b.spread(b.op("Transpose", folded, perm=[0, 2, 3, 1]), fold, 3)
    b.save(
        path,
        {"z": ("batch", layers[0].in_channels, "height", "width")},
        {"crop": (crop, ("batch", "rows", "columns", 3))},
    )


@torch.no_grad()
def write_motion(net: MotionNet, path: Path, latents: Tensor, sources: Tensor) -> None:
    """latents, sources: float32 (N, 16, h, w) to calibrate with; height and width stay free."""
    b, c = PictureBuilder(), net.config
    both = b.op("Concat", b.op("Sub", "z", "source"), "source", axis=1)
    seen = torch.cat([latents - sources, sources], 1)
    first, last = net.layers[0], net.layers[-2]
    features = _upward(b, net.layers, both, first.weight, seen)
    folded, factor = b.float_conv(features, last.weight, last.bias), net.layers[-1].upscale_factor
    fields = b.op("DepthToSpace", folded, blocksize=factor, mode="CRD")
    motion, kept, covered = b.ops("Split", 3, fields, np.array([2, 1, 1]), axis=1)
    motion = b.op("Mul", b.op("Tanh", motion), np.float32(c.reach))
    motion = b.op("Transpose", motion, perm=[0, 2, 3, 1])
    kept = b.op("Sigmoid", b.op("Add", kept, np.float32(c.first_kept)))
    covered = b.op("Sigmoid", b.op("Add", covered, np.float32(c.first_covered)))
    side = ("batch", c.latent_channels, "height", "width")
    b.save(
        path,
        {"z": side, "source": side},
        {
            "motion": (motion, ("batch", "rows", "columns", 2)),
            "kept": (kept, ("batch", 1, "rows", "columns")),
            "covered": (covered, ("batch", 1, "rows", "columns")),
        },
    )
