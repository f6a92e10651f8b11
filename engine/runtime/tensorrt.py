"""TensorRT on an NVIDIA GPU. Latents stay there: the encoder's, the window's and the denoiser's;
crops, sound tokens and what is pasted cross the bus, in pinned memory.

Each graph has an engine, a CUDA stream and buffers for its largest batch of its own. For each size
that is asked for there is an execution context, and from its second call on a captured CUDA graph
of copies and kernels together.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol
from weakref import finalize

import numpy as np
from numpy.typing import DTypeLike, NDArray

from engine.errors import RuntimeUnavailableError, WeightsError
from engine.runtime import device as cuda
from engine.runtime.device import CapturedGraph, Device
from engine.runtime.latents import DeviceWindow, Latent, LatentPool, Latents, NoisyLatent
from engine.runtime.plans import (
    PRECISIONS,
    BuildLog,
    PlanCache,
    PlanError,
    Prepared,
    Profile,
    Shape,
    build_here,
)
from engine.runtime.protocol import DRAWN, Input, Manifest, Session, Tensor

if TYPE_CHECKING:
    import tensorrt as trt

Shapes = Mapping[str, Shape]
DENOISER = "denoiser"
WINDOWED = (DENOISER, DRAWN)  # graphs that mix the window's noise themselves


def hindrance(variant: str = "") -> str:
    """Why it cannot run here; empty if it can."""
    if find_spec("tensorrt") is None:
        return "not installed: pip install -e '.[gpu]'"
    if reason := cuda.hindrance():
        return reason
    try:
        importlib.import_module("tensorrt")
    except (ImportError, OSError) as error:
        return f"tensorrt does not import: {error}"
    return ""


class Context(Protocol):
    """A network, ready to run for one set of input shapes."""

    @property
    def outputs(self) -> Shapes: ...

    def enqueue(self, addresses: Mapping[str, int], stream: int) -> None:
        """Queue one run on a CUDA stream; addresses of inputs and outputs on the device, the same
        in every call.
        """
        ...


class Network(Protocol):
    """A graph on the device."""

    @property
    def inputs(self) -> Sequence[str]: ...

    @property
    def outputs(self) -> Sequence[str]: ...

    @property
    def dtypes(self) -> Mapping[str, DTypeLike]:
        """Of inputs and outputs: float32 or uint8."""
        ...

    def context(self, shapes: Shapes) -> Context: ...


class TensorRtNetwork:
    """A deserialized plan."""

    def __init__(self, engine: trt.ICudaEngine, library: Any) -> None:
        self._engine = engine
        names = [engine.get_tensor_name(k) for k in range(engine.num_io_tensors)]
        modes = {name: engine.get_tensor_mode(name) for name in names}
        self.inputs = [n for n in names if modes[n] == library.TensorIOMode.INPUT]
        self.outputs = [n for n in names if modes[n] == library.TensorIOMode.OUTPUT]
        pixels = library.DataType.UINT8
        self.dtypes = {
            n: np.uint8 if engine.get_tensor_dtype(n) == pixels else np.float32 for n in names
        }

    def context(self, shapes: Shapes) -> Context:
        return TensorRtContext(self._engine, self.outputs, shapes)


class TensorRtContext:
    """An execution context of its own: a captured graph is void once its context takes another
    shape.
    """

    def __init__(self, engine: trt.ICudaEngine, outputs: Sequence[str], shapes: Shapes) -> None:
        context: trt.IExecutionContext = engine.create_execution_context()
        if context is None:
            raise WeightsError("TensorRT has no memory for one more size of batch")
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                raise WeightsError(f"TensorRT's engine takes no {name} of {shape}")
        self._context = context
        self.outputs = {name: tuple(context.get_tensor_shape(name)) for name in outputs}

    def enqueue(self, addresses: Mapping[str, int], stream: int) -> None:
        context: trt.IExecutionContext = self._context
        for name, address in addresses.items():
            context.set_tensor_address(name, address)
        if not context.execute_async_v3(stream):
            raise WeightsError("TensorRT refused to run a graph")


class GraphOnDevice:
    """A network with its stream and buffers; one call at a time, from any thread.

    largest: input shapes that the buffers hold.
    """

    def __init__(self, device: Device, network: Network, largest: Shapes) -> None:
        self._device, self._network = device, network
        self._lock = Lock()
        self._sizes: dict[tuple[Shape, ...], Context] = {}
        self._captured: dict[tuple[object, ...], CapturedGraph | None] = {}
        self._busy: Any = None  # event after the last call
        self.largest_batch = min(shape[0] for shape in largest.values())
        with device.current():
            self.stream = device.stream()
            shapes = {**largest, **network.context(largest).outputs}
            self._pinned = {
                n: device.pinned((int(np.prod(s)),), network.dtypes[n]) for n, s in shapes.items()
            }
            self._memory = {n: device.memory(self._pinned[n].nbytes) for n in shapes}
        self._addresses = {n: int(m) for n, m in self._memory.items()}

    @contextmanager
    def call(self, shapes: Shapes) -> Iterator[Call]:
        """The only call of this graph, with the device current, while the block lasts."""
        with self._lock, self._device.current():
            if self._busy is not None:
                self._busy.synchronize()  # until then its inputs are read
            key = tuple(shapes[name] for name in self._network.inputs)
            if key not in self._sizes:
                self._sizes[key] = self._network.context(shapes)
            call = Call(self, shapes, self._sizes[key])
            try:
                yield call
            finally:
                self._busy = self._device.mark(self.stream)

    def close(self) -> None:
        """Free all memory. No call may run or follow."""
        with self._device.current():
            for graph in self._captured.values():
                if graph is not None:
                    graph.free()
            self._captured.clear()
            self._sizes.clear()
            self._memory.clear()
            self._pinned.clear()
            del self._busy, self._network, self.stream  # while the device is current

    def launch(self, call: Call, host_inputs: Sequence[str], host_outputs: Sequence[str]) -> None:
        """Copies in, network, copies out. The first call of its kind runs as it is, for TensorRT
        to set itself up; the second is captured.
        """
        key = (tuple(call.shapes.items()), tuple(host_inputs), tuple(host_outputs))

        def queue() -> None:
            for name in host_inputs:
                self._device.to_device(self._addresses[name], call.pinned(name), self.stream)
            call.context.enqueue(self._addresses, self.stream.handle)
            for name in host_outputs:
                self._device.to_host(call.pinned(name), self._addresses[name], self.stream)

        if key not in self._captured:
            self._captured[key] = None
            queue()
            return
        graph = self._captured[key]
        if graph is None:
            graph = self._captured[key] = self._device.capture(self.stream, queue)
        graph.launch(self.stream)

    def pinned(self, name: str, shape: Shape) -> NDArray[Any]:
        return self._pinned[name][: int(np.prod(shape))].reshape(shape)

    def address(self, name: str) -> int:
        return self._addresses[name]

    @property
    def outputs(self) -> Sequence[str]:
        return self._network.outputs

    def run(self, inputs: Mapping[str, Input]) -> list[Tensor]:
        """From host to host; a batch beyond the largest in several calls."""
        batch = len(next(iter(inputs.values())))
        if batch > self.largest_batch:
            parts = [
                self.run({n: v[k : k + self.largest_batch] for n, v in inputs.items()})
                for k in range(0, batch, self.largest_batch)
            ]
            return [np.concatenate(values) for values in zip(*parts, strict=True)]
        with self.call({name: value.shape for name, value in inputs.items()}) as call:
            for name, value in inputs.items():
                call.pinned(name)[...] = value
            self.launch(call, list(inputs), self.outputs)
            self.stream.synchronize()
            return [call.pinned(name).copy() for name in self.outputs]


class Call:
    """One call of a graph: where its inputs and outputs lie."""

    def __init__(self, graph: GraphOnDevice, shapes: Shapes, context: Context) -> None:
        self._graph, self.shapes, self.context = graph, shapes, context

    def pinned(self, name: str) -> NDArray[Any]:
        shape = self.shapes[name] if name in self.shapes else self.context.outputs[name]
        return self._graph.pinned(name, shape)


class DenoiserOnDevice:
    """A denoiser beside the runtime's own, in a graph that is freed with the last reference to
    this.
    """

    def __init__(self, graph: GraphOnDevice, pool: LatentPool) -> None:
        self.graph = graph

        def free() -> None:
            with pool.device.current():
                graph.stream.synchronize()
                pool.forget(graph.stream)
            graph.close()

        finalize(self, free)

    def run(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        return self.graph.run(_with_noise(inputs))


def _with_noise(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The denoiser's inputs where x has its noise already."""
    rest = dict(inputs)
    x = rest.pop("x")
    return rest | {
        "base": x,
        "eps": np.zeros_like(x[:, 0]),
        "mix": np.zeros(x.shape[:2], np.float32),
    }


class LatentsOnDevice:
    """What the engine asks of the graphs, with latents that stay where they are."""

    def __init__(self, device: Device, graphs: Mapping[str, GraphOnDevice], pool: LatentPool):
        self._device, self._graphs, self.pool = device, graphs, pool

    def window(
        self, levels: tuple[float, ...], seed: int, others: Mapping[int, tuple[float, ...]]
    ) -> DeviceWindow[Any]:
        """A stream's window."""
        return DeviceWindow(self.pool, levels, seed, others)

    def encode(self, crop: NDArray[np.uint8]) -> Latent:
        """crop uint8 (1, H, W, 3) -> its latent. Returns before it is there."""
        graph, latent = self._graphs["encoder"], self.pool.take()[0]
        with graph.call({"crop": crop.shape}) as call:
            call.pinned("crop")[...] = crop
            graph.launch(call, ["crop"], [])
            self.pool.wait([latent.row], graph.stream)
            self._device.copy(latent.address, graph.address("z"), self.pool.row_bytes, graph.stream)
            self.pool.used([latent.row], graph.stream)
        return latent

    def denoise(
        self,
        x: Sequence[Sequence[NoisyLatent]],
        z: Sequence[Latents],
        others: Mapping[str, Tensor],
        own: Session | None = None,
    ) -> list[Latents]:
        """x0 of several windows of as many slots each. Returns before it is there.

        Args:
            others: level, tokens, strength and mouth, as the denoiser takes them.
            own: a denoiser that `TensorRtRuntime.load` gave; the runtime's by default.
        """
        graph = own.graph if isinstance(own, DenoiserOnDevice) else self._graphs[DENOISER]
        row_bytes = self.pool.row_bytes
        batch, slots = len(x), len(x[0])
        latents = (batch, slots, *self.pool.shape)
        mix = np.array([[noisy.mix for noisy in window] for window in x], np.float32)
        given = {**others, "mix": mix}
        shapes = {
            "base": latents,
            "z": latents,
            "eps": (batch, *self.pool.shape),
            **{name: value.shape for name, value in given.items()},
        }
        estimates = [self.pool.take(slots) for _ in range(batch)]
        moves = [(n.base, "base", b * slots + k) for b, w in enumerate(x) for k, n in enumerate(w)]
        moves += [(n, "z", b * slots + k) for b, w in enumerate(z) for k, n in enumerate(w)]
        moves += [(window[0].eps, "eps", b) for b, window in enumerate(x)]
        written = [latent for window in estimates for latent in window]
        rows = [latent.row for latent in [*(m[0] for m in moves), *written]]
        with graph.call(shapes) as call:
            for name, value in given.items():
                call.pinned(name)[...] = value
            self.pool.wait(rows, graph.stream)
            for latent, name, place in moves:
                target = graph.address(name) + place * row_bytes
                self._device.copy(target, latent.address, row_bytes, graph.stream)
            graph.launch(call, list(given), [])
            for place, latent in enumerate(written):
                source = graph.address("x0") + place * row_bytes
                self._device.copy(latent.address, source, row_bytes, graph.stream)
            self.pool.used(rows, graph.stream)
        return estimates

    def wait(self, given: Sequence[Latents]) -> None:
        """Until they are there."""
        with self._device.current():
            self.pool.synchronize(latent.row for latents in given for latent in latents)

    def run(self, name: str, inputs: Mapping[str, Latent]) -> list[Tensor]:
        """Decoder or motion net of one latent, or of the same part of two."""
        graph = self._graphs[name]
        rows = [latent.row for latent in inputs.values()]
        with graph.call({n: (1, *latent.shape) for n, latent in inputs.items()}) as call:
            self.pool.wait(rows, graph.stream)
            for tensor, latent in inputs.items():
                self._device.copy_part(
                    graph.address(tensor),
                    latent.address,
                    self.pool.shape,
                    (latent.top, latent.left),
                    latent.shape[1:],
                    graph.stream,
                )
            graph.launch(call, [], graph.outputs)
            self.pool.used(rows, graph.stream)
            graph.stream.synchronize()
            return [call.pinned(output).copy() for output in graph.outputs]


class TensorRtRuntime:
    """All graphs on the first GPU. threads: unused."""

    name = "tensorrt"

    def __init__(self, manifest: Manifest, variant: str = "", threads: int = 1) -> None:
        """variant: a precision, fp16 if empty.

        Raises:
            RuntimeUnavailableError: it cannot run here.
            WeightsError: the files for TensorRT are missing or do not load.
        """
        if reason := hindrance(variant):
            raise RuntimeUnavailableError(f"tensorrt cannot run: {reason}")
        self.variant = variant or PRECISIONS[0]
        prepared = Prepared.read(manifest)
        if self.variant not in prepared.files:
            raise WeightsError(
                f"no {self.variant} files for TensorRT: run `omnisync export tensorrt`"
            )
        device = Device()
        with device.current():
            networks = load_networks(device, prepared, self.variant)
        self._set_up(device, networks, prepared.profiles, manifest)

    def _set_up(
        self,
        device: Device,
        networks: Mapping[str, Network],
        profiles: Mapping[str, Profile],
        manifest: Manifest,
    ) -> None:
        self._device, self._profiles = device, profiles
        self._graphs = {
            graph: GraphOnDevice(device, network, largest_of(profiles[graph]))
            for graph, network in networks.items()
        }
        side = manifest.latent_side
        pool = LatentPool(device, (manifest.latent_channels, side, side))
        self.latents = LatentsOnDevice(device, self._graphs, pool)
        drawn = self._graphs.get(DRAWN)
        self.drawn = DenoiserOnDevice(drawn, pool) if drawn is not None else None

    def load(self, path: Path) -> Session:
        """A denoiser in a file that is made for TensorRT. The first time on a GPU its engine is
        built, which may take a minute.

        Raises:
            WeightsError: it cannot be read.
            PlanError: TensorRT refuses it.
        """
        profile = self._profiles[DENOISER]
        try:
            onnx = path.read_bytes()
        except OSError as error:
            raise WeightsError(f"{path}: {error.strerror}") from error
        with self._device.current():
            network = load_network(self._device, DENOISER, onnx, profile)
        graph = GraphOnDevice(self._device, network, largest_of(profile))
        return DenoiserOnDevice(graph, self.latents.pool)

    def run(self, graph: str, inputs: Mapping[str, Input]) -> list[Tensor]:
        return self._graphs[graph].run(_with_noise(inputs) if graph in WINDOWED else inputs)

    def warming(self) -> AbstractContextManager[None]:
        return nullcontext()


def largest_of(profile: Profile) -> Shapes:
    return {name: largest for name, (_, _, largest) in profile.items()}


def load_networks(device: Device, prepared: Prepared, precision: str) -> dict[str, Network]:
    """All graphs that there are files of; see `load_network`."""
    return {
        graph: load_network(
            device, graph, prepared.onnx(graph, precision), prepared.profiles[graph]
        )
        for graph in prepared.files[precision]
    }


def load_network(device: Device, graph: str, onnx: bytes, profile: Profile) -> Network:
    """An engine from the cache; one that is not there, or that this TensorRT does not read, is
    built.

    Raises:
        PlanError: TensorRT refuses the graph.
    """
    library: Any = importlib.import_module("tensorrt")
    cache = PlanCache(device.name, library.__version__)
    log = BuildLog(library)
    loader: trt.Runtime = library.Runtime(log.logger)
    path = cache.path(graph, onnx, profile)
    plan = cache.read(path)
    engine: trt.ICudaEngine = loader.deserialize_cuda_engine(plan) if plan else None
    if engine is None:
        plan = build_here(library, graph, onnx, profile, cache)
        cache.keep(path, plan)
        engine = loader.deserialize_cuda_engine(plan)
    if engine is None:
        raise PlanError(f"{graph}: TensorRT does not load what it built: {log.last()}")
    return TensorRtNetwork(engine, library)
