"""The TensorRT runtime with ONNX Runtime in TensorRT's place: slots, noise, batches and order on
the device give what the runtime on the CPU gives.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest

from engine import LipSyncEngine, LipSyncStream, SyncedFrame, WeightsError
from engine.engine import WEIGHTS
from engine.runtime.device import Device
from engine.runtime.latents import Latent, Latents
from engine.runtime.onnxruntime import OnnxRuntime
from engine.runtime.protocol import GRAPHS, REFERENCE, Manifest
from engine.runtime.tensorrt import TensorRtRuntime
from tests.engine.cuda.host_memory import OrtNetwork

onnx = pytest.importorskip("onnx")

from export.precision import with_cached_noise  # noqa: E402
from export.tensorrt import profiles  # noqa: E402

HERE = Path(__file__).parent
BATCH = 3
TOKENS = (5, 192)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return Manifest.read(WEIGHTS)


@pytest.fixture(scope="module")
def runtime(gpu: Device, driver: ctypes.CDLL, manifest: Manifest) -> TensorRtRuntime:
    networks = {}
    for graph in GRAPHS:
        model = onnx.load(str(manifest.path(graph, REFERENCE)))
        if graph == "denoiser":
            model = with_cached_noise(model)
        networks[graph] = OrtNetwork(driver, model.SerializeToString())
    sizes = {
        graph: {
            name: (least, usual, (BATCH * (4 if graph == "audio" else 1), *largest[1:]))
            for name, (least, usual, largest) in profile.items()
        }
        for graph, profile in profiles(manifest, TOKENS).items()
    }
    return TensorRtRuntime.of(gpu, networks, sizes, manifest)


@pytest.fixture(scope="module")
def engine(runtime: TensorRtRuntime, manifest: Manifest) -> LipSyncEngine:
    return LipSyncEngine(manifest, runtime)


@pytest.fixture(scope="module")
def golden(manifest: Manifest) -> LipSyncEngine:
    return LipSyncEngine(manifest, OnnxRuntime(manifest, REFERENCE))


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    picture = cv2.imread(str(HERE / "rendered_head.jpg"))
    return np.ascontiguousarray(picture[:, :, ::-1])


def views(face: np.ndarray, frames: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """A face that drifts, and sound."""
    rng = np.random.default_rng(0)
    for k in range(frames):
        yield np.roll(face, k, 1), rng.integers(-6000, 6000, 640).astype(np.int16)


def play(stream: LipSyncStream, face: np.ndarray, frames: int) -> list[SyncedFrame]:
    out: list[SyncedFrame] = []
    for rgb, pcm in views(face, frames):
        stream.push_audio(pcm)
        out += stream.push_frame(rgb)
    return out + stream.flush()


def same(got: list[SyncedFrame], expected: list[SyncedFrame]) -> None:
    assert [f.index for f in got] == [f.index for f in expected]
    for one, other in zip(got, expected, strict=True):
        # Rounding may tip a grey value.
        assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 1


def test_every_graph_from_host_to_host(runtime: TensorRtRuntime, golden: LipSyncEngine) -> None:
    rng = np.random.default_rng(1)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    expected = OnnxRuntime(Manifest.read(WEIGHTS), REFERENCE)
    calls = {
        "encoder": {"crop": rng.integers(0, 256, (2, 192, 192, 3), np.uint8)},
        "audio": {"mel": normal(15, 80, 32), "heard": np.ones((15, 32), np.float32)},
        "denoiser": {
            "x": normal(2, 3, 16, 16, 16),
            "z": normal(2, 3, 16, 16, 16),
            "level": rng.random((2, 3), np.float32),
            "tokens": normal(2, 3, *TOKENS),
            "strength": np.ones(2, np.float32),
            "mouth": np.full((2, 2), 0.5, np.float32),
        },
        "decoder": {"z": normal(2, 16, 13, 14)},
        "motion": {"z": normal(1, 16, 13, 14), "source": normal(1, 16, 13, 14)},
        "landmarks": {"patch": rng.integers(0, 256, (1, 96, 96, 3), np.uint8)},
    }
    for graph, inputs in calls.items():
        for _ in range(3):  # as it is, captured, launched again
            for got, wanted in zip(
                runtime.run(graph, inputs), expected.run(graph, inputs), strict=True
            ):
                np.testing.assert_allclose(got, wanted, atol=2e-4)


def test_a_stream_of_25_ticks_equals_the_one_on_the_cpu(
    engine: LipSyncEngine, golden: LipSyncEngine, face: np.ndarray
) -> None:
    same(play(engine.open_stream(), face, 25), play(golden.open_stream(), face, 25))


def test_latents_stay_on_the_device(
    engine: LipSyncEngine,
    runtime: TensorRtRuntime,
    face: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = engine.open_stream()
    pool = runtime.latents.pool
    monkeypatch.setattr(pool, "fetch", lambda latent: pytest.fail("a latent came to the host"))
    rgb, pcm = next(views(face, 1))
    for _ in range(3):
        stream.push_audio(pcm)
        window = stream.prepare(rgb)
        assert window is not None
        assert isinstance(window.z, Latents)
        [x0] = engine.denoise([window])
        stream.finish(x0)
    stream.close()


def test_a_batch_of_streams_equals_each_alone(
    engine: LipSyncEngine, golden: LipSyncEngine, face: np.ndarray
) -> None:
    together = [engine.open_stream(strength=k / 2, seed=k) for k in range(BATCH)]
    apart = [golden.open_stream(strength=k / 2, seed=k) for k in range(BATCH)]
    for tick, (rgb, pcm) in enumerate(views(face, 6)):
        for stream in together + apart:
            stream.push_audio(pcm)
        here = together[: 1 + tick % BATCH]  # slots come and go
        windows = [w for s in here if (w := s.prepare(rgb)) is not None]
        assert len(windows) == len(here)
        got = [s.finish(x0) for s, x0 in zip(here, engine.denoise(windows), strict=True)]
        expected = [s.push_frame(rgb) for s in apart[: len(here)]]
        for one, other in zip(got, expected, strict=True):
            same(one, other)


def test_threads_share_the_device(
    engine: LipSyncEngine, golden: LipSyncEngine, face: np.ndarray
) -> None:
    found: dict[int, list[SyncedFrame]] = {}

    def work(seed: int) -> None:
        found[seed] = play(engine.open_stream(seed=seed), face, 6)

    threads = [Thread(target=work, args=(seed,)) for seed in range(BATCH)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(BATCH):
        same(found[seed], play(golden.open_stream(seed=seed), face, 6))


def test_a_window_changes_its_size_and_frames_come_between(
    engine: LipSyncEngine, golden: LipSyncEngine, face: np.ndarray
) -> None:
    results = []
    for stream in (engine.open_stream(), golden.open_stream()):
        out: list[SyncedFrame] = []
        for tick, (rgb, pcm) in enumerate(views(face, 12)):
            stream.slots = 2 if 3 <= tick < 7 else 3
            stream.every_second = tick >= 8
            stream.push_audio(pcm)
            out += stream.push_frame(rgb)
        results.append(out + stream.flush())
    same(*results)


def test_rows_are_given_back_when_a_stream_closes(
    engine: LipSyncEngine, runtime: TensorRtRuntime, face: np.ndarray
) -> None:
    before = int(runtime.latents.pool.in_use.sum())
    stream = engine.open_stream()
    for rgb, pcm in views(face, 4):
        stream.push_audio(pcm)
        stream.push_frame(rgb)
    held = int(runtime.latents.pool.in_use.sum()) - before
    assert 4 <= held <= 8  # eps, three sources, two or three estimates
    stream.close()
    del stream
    assert int(runtime.latents.pool.in_use.sum()) == before


def test_a_size_is_set_up_once_and_then_launched(
    runtime: TensorRtRuntime, engine: LipSyncEngine
) -> None:
    network = runtime._graphs["encoder"]._network
    assert isinstance(network, OrtNetwork)
    crop = np.zeros((192, 192, 3), np.uint8)
    for _ in range(2):
        engine.encode(crop)
    enqueued = network.enqueued
    latents = [engine.encode(crop + np.uint8(k)) for k in (0, 90)]
    assert network.enqueued == enqueued
    assert all(isinstance(latent, Latent) for latent in latents)
    assert np.abs(np.asarray(latents[0]) - np.asarray(latents[1])).max() > 0.1


def test_a_personal_denoiser_is_refused_in_one_line(runtime: TensorRtRuntime) -> None:
    with pytest.raises(WeightsError, match="personal denoisers do not run on TensorRT"):
        runtime.load(Path("denoiser.int8.onnx"))
