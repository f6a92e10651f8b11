"""The TensorRT runtime with ONNX Runtime in TensorRT's place: slots, noise, batches and order on
the device give what the runtime on the CPU gives.
"""

from __future__ import annotations

import ctypes
import gc
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest

from engine import (
    LipSyncEngine,
    LipSyncStream,
    Person,
    PersonError,
    SyncedFrame,
    WeightsError,
    WindowInput,
)
from engine.costs import CallCosts
from engine.engine import WEIGHTS
from engine.personal import TENSORRT, base_of
from engine.runtime import tensorrt
from engine.runtime.device import Device
from engine.runtime.latents import Latent, Latents
from engine.runtime.onnxruntime import OnnxRuntime
from engine.runtime.plans import PRECISIONS
from engine.runtime.protocol import DRAWN, REFERENCE, Manifest
from engine.runtime.tensorrt import DenoiserOnDevice, TensorRtRuntime
from tests.engine.cuda.host_memory import OrtNetwork
from tests.engine.test_drawings import BOX, drawing

onnx = pytest.importorskip("onnx")

from export.precision import with_cached_noise  # noqa: E402
from export.tensorrt import profiles  # noqa: E402

HERE = Path(__file__).parent
BATCH = 4
TOKENS = (5, 192)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return Manifest.read(WEIGHTS)


@pytest.fixture(scope="module")
def runtime(gpu: Device, driver: ctypes.CDLL, manifest: Manifest) -> TensorRtRuntime:
    networks = {}
    for graph in manifest.graphs:
        model = onnx.load(str(manifest.path(graph, REFERENCE)))
        if graph in ("denoiser", DRAWN):
            model = with_cached_noise(model)
        networks[graph] = OrtNetwork(driver, model.SerializeToString())
    sizes = {
        graph: {
            name: (least, usual, (BATCH * (4 if graph == "audio" else 1), *largest[1:]))
            for name, (least, usual, largest) in profile.items()
        }
        for graph, profile in profiles(manifest, TOKENS).items()
    }
    running = TensorRtRuntime.__new__(TensorRtRuntime)  # its networks are loaded already
    running.variant = PRECISIONS[0]
    running._set_up(gpu, networks, sizes, manifest)
    return running


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
        "audio": {"mel": normal(15, 80, 64), "heard": np.ones((15, 32), np.float32)},
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


def test_calls_are_measured_where_latents_stay_until_they_are_done(
    engine: LipSyncEngine, runtime: TensorRtRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = runtime._graphs["denoiser"]._network
    assert isinstance(network, OrtNetwork)
    monkeypatch.setattr(network, "ran", 0)
    sizes: list[int] = []

    def denoise(windows: list[WindowInput]) -> list[np.ndarray]:
        assert all(isinstance(w.z, Latents) for w in windows)
        sizes.append(len(windows))
        return LipSyncEngine.denoise(engine, windows)

    def measure(call: Callable[[list[WindowInput]], object], window: WindowInput) -> CallCosts:
        for size in (1, 4):
            before = network.ran
            call([window] * size)
            assert network.ran == before + 1
        return CallCosts((1, 2, 3, 4), (1, 2, 3, 4))

    monkeypatch.setattr(engine, "denoise", denoise)
    monkeypatch.setattr("engine.engine.measure_costs", measure)
    engine.measure_calls()
    assert sizes == [1, 4]
    assert engine.measure_tick_ms(2) > 0


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


@pytest.fixture
def person(
    driver: ctypes.CDLL, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Person:
    """Whose denoiser adds half of the shipped one's edit."""
    model = onnx.load(str(manifest.path("denoiser", REFERENCE)))
    (added,) = (n for n in model.graph.node if n.output[0] == "x0")
    edit = next(name for name in added.input if name != "z")
    half = onnx.numpy_helper.from_array(np.array(0.5, np.float32), "half")
    model.graph.initializer.append(half)
    added.input[list(added.input).index(edit)] = "half_edit"
    place = list(model.graph.node).index(added)
    model.graph.node.insert(place, onnx.helper.make_node("Mul", [edit, "half"], ["half_edit"]))
    files = {REFERENCE: "denoiser.onnx", TENSORRT: "denoiser.tensorrt.onnx"}
    onnx.save(model, str(tmp_path / files[REFERENCE]))
    onnx.save(with_cached_noise(model), str(tmp_path / files[TENSORRT]))

    def load_network(device: Device, graph: str, data: bytes, profile: object) -> OrtNetwork:
        assert graph == "denoiser"
        return OrtNetwork(driver, data)

    monkeypatch.setattr(tensorrt, "load_network", load_network)
    return Person("ada", tmp_path, base_of(manifest), files, {})


def test_a_person_runs_on_their_own_denoiser_beside_others(
    engine: LipSyncEngine, golden: LipSyncEngine, face: np.ndarray, person: Person
) -> None:
    streams = [engine.open_stream(person=p, seed=k) for k, p in enumerate((person, None, person))]
    expected = [golden.open_stream(person=p, seed=k) for k, p in enumerate((person, None, person))]
    assert streams[0].denoiser is streams[2].denoiser
    edited = [0.0, 0.0, 0.0]
    for rgb, pcm in views(face, 6):
        for stream in streams + expected:
            stream.push_audio(pcm)
        windows = [w for s in streams if (w := s.prepare(rgb)) is not None]
        for k, (stream, x0) in enumerate(zip(streams, engine.denoise(windows), strict=True)):
            edited[k] += float(np.abs(np.asarray(x0) - np.asarray(windows[k].z)).mean())
            same(stream.finish(x0), expected[k].push_frame(rgb))
    assert edited[0] < 0.7 * edited[1]
    for stream in streams + expected:
        stream.close()


def test_the_last_stream_frees_a_persons_denoiser_from_any_thread(
    engine: LipSyncEngine,
    golden: LipSyncEngine,
    runtime: TensorRtRuntime,
    face: np.ndarray,
    person: Person,
) -> None:
    def known() -> set[int]:
        return {handle for users in runtime.latents.pool._last_use for handle in users}

    before = known()
    for _ in range(2):
        stream = engine.open_stream(person=person)
        # Pictures come to be wanted only after the denoiser is gone.
        for rgb, pcm in views(face, 3):
            stream.push_audio(pcm)
            frames = stream.push_frame(rgb)
        assert len(frames) == 1
        denoiser = stream.denoiser
        assert denoiser is not None and isinstance(denoiser.session, DenoiserOnDevice)
        graph, held = denoiser.session.graph, weakref.ref(denoiser)
        assert graph.stream.handle in known() - before
        window = stream.prepare(face)
        assert window is not None
        [x0] = engine.denoise([window])
        del denoiser, window
        with warnings.catch_warnings(record=True) as told:  # of what cannot be freed there
            thread = Thread(target=stream.close)
            thread.start()
            thread.join()
            gc.collect()
        assert held() is None and not told
        assert not graph._memory and not graph._pinned and not hasattr(graph, "stream")
        assert known() <= before
        assert np.isfinite(np.asarray(x0)).all()  # what it gave is whole
        del x0


def test_a_drawing_runs_on_the_denoiser_for_drawings(
    engine: LipSyncEngine, golden: LipSyncEngine
) -> None:
    streams = [e.open_stream(face_box=BOX) for e in (engine, golden)]
    same(*(play(stream, drawing(), 6) for stream in streams))
    streams[0].prepare(drawing())
    assert streams[0].denoiser is engine.drawn is not None


def test_a_personal_denoiser_runs_from_host_to_host(
    engine: LipSyncEngine, golden: LipSyncEngine, person: Person
) -> None:
    rng = np.random.default_rng(2)
    inputs = {
        "x": rng.standard_normal((1, 3, 16, 16, 16), np.float32),
        "z": rng.standard_normal((1, 3, 16, 16, 16), np.float32),
        "level": np.array([[0.7, 0.8, 0.9]], np.float32),
        "tokens": rng.standard_normal((1, 3, *TOKENS), np.float32),
        "strength": np.ones(1, np.float32),
        "mouth": np.full((1, 2), 0.5, np.float32),
    }
    got, wanted = (e._personal.get(person).session.run(inputs)[0] for e in (engine, golden))
    np.testing.assert_allclose(got, wanted, atol=2e-4)


def test_a_person_without_a_file_for_tensorrt_is_refused_in_one_line(
    engine: LipSyncEngine, person: Person
) -> None:
    older = replace(person, files={"int8": "denoiser.int8.onnx"})
    assert engine.fits(person) and not engine.fits(older)
    with pytest.raises(PersonError, match="'ada' has no file for tensorrt: personalize again"):
        engine.open_stream(person=older)
    with pytest.raises(WeightsError, match=r"gone\.onnx: No such file"):
        engine.open_stream(person=replace(person, files={TENSORRT: "gone.onnx"}))
