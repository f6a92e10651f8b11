"""TensorRT itself on a real GPU: every graph and a stream against ONNX Runtime, and the cache."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytestmark = [pytest.mark.gpu, pytest.mark.slow]
pytest.importorskip("onnx")

from engine import LipSyncEngine, Person, SyncedFrame  # noqa: E402
from engine.engine import WEIGHTS  # noqa: E402
from engine.personal import TENSORRT, base_of  # noqa: E402
from engine.runtime.onnxruntime import OnnxRuntime  # noqa: E402
from engine.runtime.plans import FOLDER, PRECISIONS, Prepared  # noqa: E402
from engine.runtime.protocol import DRAWN, REFERENCE, Manifest  # noqa: E402
from engine.runtime.tensorrt import TensorRtRuntime  # noqa: E402
from export.calibration import FACE, record  # noqa: E402
from export.parity import LARGEST_RMS, compare, lost, run_onnx  # noqa: E402
from export.tensorrt import write  # noqa: E402

HERE = Path(__file__).parent
SMALL_GREY_LEVELS = 0.5  # mean difference of what is pasted


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Manifest:
    """The shipped weights in a folder of their own, with files for TensorRT beside them and an
    empty cache.
    """
    folder = tmp_path_factory.mktemp("weights")
    for path in WEIGHTS.iterdir():
        if path.is_file():
            (folder / path.name).symlink_to(path)
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    request.addfinalizer(patch.undo)
    manifest = Manifest.read(folder)
    write(manifest, folder / FOLDER)
    return manifest


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_output_of_every_graph(precision: str, manifest: Manifest) -> None:
    runtime = TensorRtRuntime(manifest, precision)
    calls = record(WEIGHTS, [FACE], 12)
    for graph in manifest.graphs:
        alike = "denoiser" if graph == DRAWN else graph
        some = calls[alike][-3:]  # set up, captured, launched
        wanted = run_onnx(manifest.path(graph, REFERENCE), some)
        got = [dict(zip(wanted[0], runtime.run(graph, call), strict=True)) for call in some]
        assert lost(compare(alike, wanted, got, some)) < LARGEST_RMS


def test_25_ticks_of_a_stream(manifest: Manifest) -> None:
    picture = cv2.imread(str(HERE / "rendered_head.jpg"))
    face = np.ascontiguousarray(picture[:, :, ::-1])
    pcm = np.random.default_rng(0).integers(-6000, 6000, (25, 640)).astype(np.int16)
    found: list[list[SyncedFrame]] = []
    for runtime in (TensorRtRuntime(manifest, "fp32"), OnnxRuntime(manifest, REFERENCE)):
        stream = LipSyncEngine(manifest, runtime).open_stream()
        frames: list[SyncedFrame] = []
        for k in range(25):
            stream.push_audio(pcm[k])
            frames += stream.push_frame(np.roll(face, k, 1))
        found.append(frames + stream.flush())
    for one, other in zip(*found, strict=True):
        assert one.index == other.index
        assert one.mask is not None
        pasted = one.mask > 0
        difference = np.abs(one.rgb[pasted].astype(int) - other.rgb[pasted])
        assert difference.mean() < SMALL_GREY_LEVELS


def test_a_person_has_an_engine_of_their_own(manifest: Manifest, tmp_path: Path) -> None:
    data = Prepared.read(manifest).onnx("denoiser", "fp16")
    (tmp_path / "own.onnx").write_bytes(data)
    person = Person("ada", tmp_path, base_of(manifest), {TENSORRT: "own.onnx"}, {})
    engine = LipSyncEngine(manifest, TensorRtRuntime(manifest, "fp16"))
    face = np.ascontiguousarray(cv2.imread(str(HERE / "rendered_head.jpg"))[:, :, ::-1])
    for _ in range(2):  # the first one's is freed
        streams = engine.open_stream(person=person), engine.open_stream()
        for _ in range(6):
            own, shipped = (stream.push_frame(face) for stream in streams)
            for one, other in zip(own, shipped, strict=True):
                np.testing.assert_array_equal(one.rgb, other.rgb)
        for stream in streams:
            stream.close()


def test_a_damaged_plan_is_built_anew(manifest: Manifest, tmp_path: Path) -> None:
    TensorRtRuntime(manifest, "fp16")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path))
        TensorRtRuntime(manifest, "fp16")
        plans = sorted(tmp_path.rglob("*.plan"))
        assert len(plans) == len(manifest.graphs)
        plans[0].write_bytes(b"damaged")
        TensorRtRuntime(manifest, "fp16")
        assert plans[0].stat().st_size > 100_000
