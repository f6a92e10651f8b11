"""Graphs of the shape of other lip-sync networks small enough for a CPU, with random weights.

Only sizes are theirs: channels, kernels, strides and skip connections, as their definitions state
them (versions: Wav2Lip 5c90fa9, Wav2Lip-256 as LiveTalking runs it, Ultralight 5aa8b5a, FeatherTalk
126d66f, Nota's arXiv 2304.00471). Batch norms are folded into the convolutions, as for inference.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import BenchError

OPSET, IR_VERSION = 17, 8


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """inputs: name -> shape of one frame; params and macs as counted from the definitions, MACs of
    convolutions a frame.
    """

    name: str
    inputs: dict[str, tuple[int, ...]]
    params: float
    macs: float


@dataclass(frozen=True, slots=True)
class Conv:
    """kernel and stride of (rows, columns)."""

    channels: int
    kernel: int = 3
    stride: tuple[int, int] = (1, 1)
    pad: int = 1


@dataclass(frozen=True, slots=True)
class _Value:
    name: str
    channels: int


class _Graph:
    """Collects nodes; every weight is drawn so that activations keep their scale."""

    def __init__(self) -> None:
        try:
            import onnx
        except ImportError as error:
            raise BenchError("building graphs needs onnx: pip install -e '.[export]'") from error
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._rng = np.random.default_rng(0)

    def conv(self, x: _Value, conv: Conv, *, groups: int = 1, act: str | None = "Relu") -> _Value:
        shape = (conv.channels, x.channels // groups, conv.kernel, conv.kernel)
        fan_in = x.channels // groups * conv.kernel**2
        out = self._node(
            "Conv",
            [x.name, self._weight(shape, fan_in), self._zeros(conv.channels)],
            strides=conv.stride,
            pads=[conv.pad] * 4,
            group=groups,
        )
        return self._act(_Value(out, conv.channels), act)

    def transposed(self, x: _Value, channels: int, kernel: int, stride: int) -> _Value:
        """Stride 1 without padding grows 1 to `kernel`; stride 2 doubles."""
        pad = stride - 1
        out = self._node(
            "ConvTranspose",
            [
                x.name,
                self._weight((x.channels, channels, kernel, kernel), x.channels * kernel**2),
                self._zeros(channels),
            ],
            strides=[stride] * 2,
            pads=[pad] * 4,
            output_padding=[pad] * 2,
        )
        return self._act(_Value(out, channels), "Relu")

    def convs(self, x: _Value, layers: tuple[Conv, ...]) -> _Value:
        """One after another; those that keep their input's shape are residual."""
        for layer in layers:
            if layer == Conv(x.channels):
                kept = self.add(x, self.conv(x, layer, act=None))
                x = self._act(kept, "Relu")
            else:
                x = self.conv(x, layer)
        return x

    def add(self, a: _Value, b: _Value) -> _Value:
        return _Value(self._node("Add", [a.name, b.name]), a.channels)

    def join(self, a: _Value, b: _Value) -> _Value:
        return _Value(self._node("Concat", [a.name, b.name], axis=1), a.channels + b.channels)

    def doubled(self, x: _Value) -> _Value:
        """Bilinear, twice the size."""
        scales = self._constant(np.array([1, 1, 2, 2], np.float32))
        out = self._node(
            "Resize", [x.name, "", scales], mode="linear",
            coordinate_transformation_mode="align_corners",
        )  # fmt: skip
        return _Value(out, x.channels)

    def sigmoid(self, x: _Value) -> _Value:
        return self._act(x, "Sigmoid")

    def write(self, facts: PeerFacts, result: _Value, path: Path) -> None:
        """One frame a call: the batch is 1."""
        helper, float32 = self._onnx.helper, self._onnx.TensorProto.FLOAT
        inputs = [
            helper.make_tensor_value_info(name, float32, [1, *shape])
            for name, shape in facts.inputs.items()
        ]
        outputs = [helper.make_tensor_value_info(result.name, float32, None)]
        graph = helper.make_graph(self._nodes, "peer", inputs, outputs, self._weights)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        self._onnx.save(model, str(path))

    def _act(self, x: _Value, act: str | None) -> _Value:
        return x if act is None else _Value(self._node(act, [x.name]), x.channels)

    def _node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        out = f"v{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [out], **attributes))
        return out

    def _weight(self, shape: tuple[int, ...], fan_in: int) -> str:
        drawn = self._rng.standard_normal(shape, np.float32) * np.float32((2 / fan_in) ** 0.5)
        return self._constant(drawn)

    def _zeros(self, channels: int) -> str:
        return self._constant(np.zeros(channels, np.float32))

    def _constant(self, array: np.ndarray) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(self._onnx.numpy_helper.from_array(array, name))
        return name


def _halved(channels: int, same: int = 0) -> tuple[Conv, ...]:
    return (Conv(channels, stride=(2, 2)), *(Conv(channels),) * same)


def _narrowing(channels: int, kernel: int) -> tuple[Conv, ...]:
    """A map of `kernel` pixels becomes one."""
    return (Conv(channels, kernel, pad=0), Conv(channels, 1, pad=0))


_HEARING = (
    Conv(32), Conv(32), Conv(32),
    Conv(64, stride=(3, 1)), Conv(64), Conv(64),
    Conv(128, stride=(3, 3)), Conv(128), Conv(128),
    Conv(256, stride=(3, 2)), Conv(256),
    *_narrowing(512, 3),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Wav2Lip:
    """seeing: blocks of the face encoder, each of whose results is a skip connection; drawing: a
    transposed convolution each (channels, kernel, stride) and how many residual ones follow.
    """

    hearing: tuple[Conv, ...]
    seeing: tuple[tuple[Conv, ...], ...]
    first: int
    drawing: tuple[tuple[int, int, int, int], ...]
    last: int


_WAV2LIP_96 = _Wav2Lip(
    hearing=_HEARING,
    seeing=(
        (Conv(16, 7, pad=3),), _halved(32, 2), _halved(64, 3), _halved(128, 2), _halved(256, 2),
        _halved(512, 1), _narrowing(512, 3),
    ),
    first=512,
    drawing=(
        (512, 3, 1, 1), (512, 3, 2, 2), (384, 3, 2, 2), (256, 3, 2, 2), (128, 3, 2, 2),
        (64, 3, 2, 2),
    ),
    last=32,
)  # fmt: skip
_WAV2LIP_256 = _Wav2Lip(
    hearing=_HEARING,
    seeing=(
        (Conv(16, 7, pad=3),), _halved(32, 2), _halved(64, 3), _halved(128, 2), _halved(256, 2),
        _halved(512, 1), _halved(512, 1), _narrowing(512, 4),
    ),
    first=512,
    drawing=(
        (512, 4, 1, 1), (512, 3, 2, 1), (512, 3, 2, 2), (384, 3, 2, 2), (256, 3, 2, 2),
        (128, 3, 2, 2), (64, 3, 2, 2),
    ),
    last=32,
)  # fmt: skip
_NOTA = _Wav2Lip(
    hearing=(
        Conv(8), Conv(16, stride=(3, 1)), Conv(32, stride=(3, 3)), Conv(64, stride=(3, 2)),
        *_narrowing(128, 3),
    ),
    seeing=(
        (Conv(4, 7, pad=3),), _halved(8), _halved(16), _halved(32), _halved(64), _halved(128),
        _narrowing(128, 3),
    ),
    first=128,
    drawing=(
        (128, 3, 1, 0), (128, 3, 2, 0), (96, 3, 2, 0), (64, 3, 2, 0), (32, 3, 2, 0), (16, 3, 2, 0),
    ),
    last=8,
)  # fmt: skip


def _build_wav2lip(shape: _Wav2Lip) -> tuple[_Graph, _Value]:
    graph = _Graph()
    face, skips = _Value("face", 6), []
    for block in shape.seeing:
        face = graph.convs(face, block)
        skips.append(face)
    x = graph.convs(_Value("sound", 1), shape.hearing)
    x = graph.join(graph.conv(x, Conv(shape.first, 1, pad=0)), skips.pop())
    for channels, kernel, stride, same in shape.drawing:
        x = graph.transposed(x, channels, kernel, stride)
        x = graph.join(graph.convs(x, (Conv(channels),) * same), skips.pop())
    x = graph.conv(graph.conv(x, Conv(shape.last)), Conv(3, 1, pad=0), act=None)
    return graph, graph.sigmoid(x)


class _UNet:
    """Ultralight and FeatherTalk: the same U of halves, with a block of their own."""

    widths = (32, 64, 128, 256, 512)

    def __init__(self) -> None:
        self.graph = _Graph()

    def block(self, x: _Value, channels: int, stride: int = 1) -> _Value:
        raise NotImplementedError

    def hear(self, x: _Value) -> _Value:
        x = self.block(self.block(x, 64), 128)
        x = self.block(self.graph.conv(x, Conv(256, stride=(2, 2))), 256)
        x = self.graph.conv(x, Conv(512, stride=(2, 2), pad=3))
        return self.two(x, 512)

    def two(self, x: _Value, channels: int, stride: int = 1) -> _Value:
        return self.block(self.block(x, channels, stride), channels)

    def build(self) -> tuple[_Graph, _Value]:
        graph, (w0, w1, w2, w3, w4) = self.graph, self.widths
        skips = [self.block(_Value("face", 6), w0)]
        for channels in (w1, w2, w3, w4):
            skips.append(self.two(skips[-1], channels, 2))
        x = graph.join(skips.pop(), self.hear(_Value("sound", 16)))
        x = self.two(self.two(x, w4), w3)
        for channels in (w3 // 2, w2 // 2, w1 // 2, w0):
            x = self.two(graph.join(graph.doubled(x), skips.pop()), channels)
        return graph, graph.sigmoid(graph.conv(x, Conv(3, 1, pad=0), act=None))


class _Ultralight(_UNet):
    def block(self, x: _Value, channels: int, stride: int = 1) -> _Value:
        """Inverted residual, twice as wide within."""
        wide = Conv(2 * x.channels, 1, pad=0)
        inner = self.graph.conv(x, wide)
        depth = Conv(wide.channels, stride=(stride, stride))
        inner = self.graph.conv(inner, depth, groups=wide.channels)
        out = self.graph.conv(inner, Conv(channels, 1, pad=0), act=None)
        # The first of two changes the width or the size; the second, residual one neither.
        return self.graph.add(x, out) if channels == x.channels and stride == 1 else out


class _FeatherTalk(_UNet):
    def block(self, x: _Value, channels: int, stride: int = 1) -> _Value:
        """MobileOne with its branches merged: by channel, then across channels."""
        depth = Conv(x.channels, stride=(stride, stride))
        return self.graph.conv(
            self.graph.conv(x, depth, groups=x.channels), Conv(channels, 1, pad=0)
        )


_MEL, _HUBERT = (1, 80, 16), (16, 32, 32)

# Counted from their definitions; published next to them where a paper gives figures.
PEERS: tuple[tuple[PeerFacts, Callable[[], tuple[_Graph, _Value]]], ...] = (
    (
        PeerFacts("Wav2Lip-96", {"sound": _MEL, "face": (6, 96, 96)}, 36.30e6, 3967e6),
        lambda: _build_wav2lip(_WAV2LIP_96),
    ),
    (
        PeerFacts("Wav2Lip-256", {"sound": _MEL, "face": (6, 256, 256)}, 53.61e6, 27789e6),
        lambda: _build_wav2lip(_WAV2LIP_256),
    ),
    (
        PeerFacts("Ultralight", {"sound": _HUBERT, "face": (6, 160, 160)}, 12.16e6, 3164e6),
        lambda: _Ultralight().build(),
    ),
    (
        PeerFacts("FeatherTalk", {"sound": _HUBERT, "face": (6, 160, 160)}, 3.76e6, 766e6),
        lambda: _FeatherTalk().build(),
    ),
    (
        PeerFacts("Nota Wav2Lip", {"sound": _MEL, "face": (6, 96, 96)}, 1.258e6, 75.0e6),
        lambda: _build_wav2lip(_NOTA),
    ),
)


def write_peers(folder: Path, only: Collection[str] | None = None) -> dict[Path, PeerFacts]:
    """One ONNX file each. Raises BenchError without onnx, and for a name that is none of theirs."""
    names = [facts.name for facts, _ in PEERS]
    if unknown := set(only or ()) - set(names):
        raise BenchError(f"no peer '{min(unknown)}': choose among {', '.join(names)}")
    written = {}
    for facts, build in PEERS:
        if not only or facts.name in only:
            path = folder / f"{facts.name.lower().replace(' ', '-')}.onnx"
            graph, result = build()
            graph.write(facts, result, path)
            written[path] = facts
    return written
