"""The networks alone: each graph, and a tick of several streams, on one executor and variant."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from engine import LipSyncEngine
from engine.audio import MEL_COLUMNS, N_MELS, SILENCE_LEVEL, WINDOW_COLUMNS
from engine.runtime.protocol import GRAPHS, REFERENCE, Input, Manifest, Runtime, Tensor
from engine.stream import WindowInput

from .errors import BenchError
from .figures import Spread, spread
from .product_limit import product_gflops
from .work import Work, count_work

WARM = 5
PATCH = 96  # px of the landmark net's input
DEFAULT_SLOTS = 3


@dataclass(frozen=True, slots=True)
class GraphSpeed:
    """One graph, one frame a call. work: None where it cannot be counted."""

    graph: str
    spent: Spread
    work: Work | None

    @property
    def gflops(self) -> float | None:
        return self.work.gflop / (self.spent.p50 / 1000) if self.work else None


@dataclass(frozen=True, slots=True)
class TickSpeed:
    """encode, audio, denoise, decode and motion of `batch` streams, the denoiser called once."""

    slots: int
    batch: int
    tick: Spread
    denoiser: Spread


@dataclass(frozen=True, slots=True)
class ModelSpeed:
    """limit_gflops: of matrix products on the same executor, same precision, None without onnx."""

    name: str
    threads: int
    graphs: list[GraphSpeed]
    ticks: list[TickSpeed]
    limit_gflops: float | None

    def tick(self, slots: int, batch: int = 1) -> Spread | None:
        found = [t.tick for t in self.ticks if (t.slots, t.batch) == (slots, batch)]
        return found[0] if found else None


def timed(job: Callable[[], object], count: int, warm: int = WARM) -> Spread:
    """Milliseconds."""
    spent = []
    for _ in range(count + warm):
        begin = time.perf_counter()
        job()
        spent.append(1000 * (time.perf_counter() - begin))
    found = spread(spent[warm:])
    assert found is not None
    return found


def measure_model(
    name: str,
    manifest: Manifest,
    runtime: Runtime,
    *,
    threads: int,
    count: int,
    slots: list[int],
    batches: list[int],
) -> ModelSpeed:
    """Raises EngineError."""
    shown = DEFAULT_SLOTS if DEFAULT_SLOTS in slots else slots[0]
    graphs = []
    for graph, inputs in graph_inputs(manifest, shown, runtime).items():
        spent = timed(partial(runtime.run, graph, inputs), count)
        graphs.append(GraphSpeed(graph, spent, _work(manifest, graph, inputs)))
    ticks = [
        _tick_speed(LipSyncEngine(manifest, runtime, length), batch, count)
        for length in slots
        for batch in batches
    ]
    try:
        limit = product_gflops(runtime, int8=runtime.variant == "int8")
    except BenchError:
        limit = None
    return ModelSpeed(name, threads, graphs, ticks, limit)


def _work(manifest: Manifest, graph: str, inputs: dict[str, Input]) -> Work | None:
    """Of the fp32 file: what another variant computes is the same."""
    try:
        return count_work(manifest.path(graph, REFERENCE), inputs)
    except BenchError:
        return None


def graph_inputs(manifest: Manifest, slots: int, runtime: Runtime) -> dict[str, dict[str, Input]]:
    """What one tick of one stream gives to each graph: random, of the right shape and size. The
    tokens are what `runtime` hears.
    """
    rng = np.random.default_rng(0)

    def noise(*shape: int) -> Tensor:
        return rng.standard_normal(shape).astype(np.float32)

    side, crop = manifest.latent_side, manifest.crop_px
    z = noise(1, manifest.latent_channels, side, side)
    window = noise(1, slots, *z.shape[1:])
    sound = {
        "mel": SILENCE_LEVEL + noise(slots, N_MELS, WINDOW_COLUMNS),
        "heard": np.ones((slots, MEL_COLUMNS), np.float32),
    }
    inputs = {
        "encoder": {"crop": rng.integers(0, 256, (1, crop, crop, 3), np.uint8)},
        "audio": sound,
        "denoiser": {
            "x": window,
            "z": window,
            "level": np.array([manifest.levels[slots]], np.float32),
            "tokens": runtime.run("audio", sound)[0][None],
            "strength": np.ones(1, np.float32),
            "mouth": np.full((1, 2), 0.5, np.float32),
        },
        "decoder": {"z": z},
        "motion": {"z": z, "source": z},
        "landmarks": {"patch": rng.integers(0, 256, (1, PATCH, PATCH, 3), np.uint8)},
    }
    return {graph: inputs[graph] for graph in GRAPHS}


class Tick:
    """The networks' part of one tick of `batch` streams, as `LipSyncStream` calls them."""

    def __init__(self, engine: LipSyncEngine, batch: int) -> None:
        rng = np.random.default_rng(0)
        slots, side = len(engine.levels), engine.latent_side
        shape = (slots, engine.latent_channels, side, side)
        self._engine, self._batch = engine, batch
        self._crop = rng.integers(0, 255, (engine.facts.crop_px,) * 2 + (3,), dtype=np.uint8)
        self._latents = rng.standard_normal(shape).astype(np.float32)
        self._mel = np.full((slots, N_MELS, WINDOW_COLUMNS), SILENCE_LEVEL, np.float32)
        self._heard = np.ones((slots, MEL_COLUMNS), np.float32)
        self._level = np.array(engine.levels, np.float32)
        self.denoise_ms: list[float] = []

    def __call__(self) -> None:
        engine, windows = self._engine, []
        for _ in range(self._batch):
            engine.encode(self._crop)
            tokens = engine.hear(self._mel, self._heard)
            latents = self._latents
            windows.append(WindowInput(latents, latents, self._level, tokens, 1.0, (0.5, 0.5)))
        begin = time.perf_counter()
        found = engine.denoise(windows)
        self.denoise_ms.append(1000 * (time.perf_counter() - begin))
        for x0 in found:
            engine.decode(x0[0])
            engine.move(x0[0], self._latents[0])


def _tick_speed(engine: LipSyncEngine, batch: int, count: int) -> TickSpeed:
    tick = Tick(engine, batch)
    whole = timed(tick, count)
    denoiser = spread(tick.denoise_ms[-count:])
    assert denoiser is not None
    return TickSpeed(len(engine.levels), batch, whole, denoiser)
