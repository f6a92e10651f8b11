"""OpenVINO: streams, threads, personal denoisers, and that no call compiles once warm."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from engine import LipSyncEngine, RuntimeUnavailableError, WeightsError
from engine.engine import WEIGHTS
from engine.runtime import openvino
from engine.runtime.choice import choices, start
from engine.runtime.openvino import OpenVinoRuntime, hindrance
from engine.runtime.protocol import Manifest
from tests.engine.runtime.test_variants import inputs_of
from tests.engine.test_stream import run

MANIFEST = Manifest.read(WEIGHTS)
DEMO_VOICE = Path(__file__).parents[3] / "web_client" / "demo" / "voice.mp3"
VARIANTS = [v for v in openvino.VARIANTS if not hindrance(v)]

pytestmark = pytest.mark.openvino


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    picture = cv2.imread(str(Path(__file__).parent.parent / "rendered_head.jpg"))
    return np.ascontiguousarray(picture[:, :, ::-1])


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """30 frames of speech: bursts of one vowel are laughter to the audio encoder."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
    with av.open(str(DEMO_VOICE)) as stored:
        parts = [r.to_ndarray()[0] for f in stored.decode(audio=0) for r in resampler.resample(f)]
    return np.concatenate(parts)[8000 : 8000 + 30 * 640]


@pytest.fixture(scope="module")
def expected(face: np.ndarray, voice: np.ndarray) -> list[np.ndarray]:
    exact = LipSyncEngine.load(runtime="onnxruntime:fp32")
    return run(exact.open_stream(), face, voice, 30)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stream_gives_nearly_the_same_pictures(
    variant: str, face: np.ndarray, voice: np.ndarray, expected: list[np.ndarray]
) -> None:
    engine = LipSyncEngine.load(runtime=f"openvino:{variant}")
    assert engine.facts.runtime == f"openvino:{variant}"
    got = run(engine.open_stream(), face, voice, 30)
    assert len(got) == len(expected) == 30
    edited = [np.abs(frame.astype(int) - face).mean() for frame in expected]
    apart = [np.abs(a.astype(int) - b).mean() for a, b in zip(got, expected, strict=True)]
    assert max(edited) > 0.2  # the mouth did move
    assert max(apart) < 0.05 * max(edited)


def test_one_that_does_not_import_is_a_hindrance(monkeypatch: pytest.MonkeyPatch) -> None:
    def core() -> None:
        raise ImportError("libopenvino.so: cannot open\nshared object file")

    monkeypatch.setattr(openvino, "_core", core)
    told = [choice.hindrance for choice in choices(MANIFEST) if choice.runtime == "openvino"]
    assert told == 3 * ["does not start: libopenvino.so: cannot open shared object file"]
    with pytest.raises(RuntimeUnavailableError, match="does not start"):
        start("openvino:fp32", MANIFEST)


def test_two_threads_get_each_their_own_outputs() -> None:
    runtime = OpenVinoRuntime(MANIFEST, "fp32")
    given = [inputs_of("denoiser", slots=slots) for slots in (2, 3)]
    with runtime.warming():
        alone = [runtime.run("denoiser", inputs)[0] for inputs in given]
    kept = [x0.copy() for x0 in alone]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(runtime.run, "denoiser", given[k % 2]) for k in range(12)]
        for k, job in enumerate(jobs):
            np.testing.assert_allclose(job.result()[0], alone[k % 2], atol=1e-5)
    for before, after in zip(kept, alone, strict=True):
        np.testing.assert_array_equal(before, after)


def test_nothing_is_compiled_once_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = OpenVinoRuntime(MANIFEST, "fp32")
    warm, other = inputs_of("encoder", 1), inputs_of("encoder", 2)
    compiled = []

    class Counted(openvino._Pool):
        def __init__(self, *given: object) -> None:
            compiled.append(given)
            super().__init__(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(openvino, "_Pool", Counted)
    with runtime.warming():
        runtime.run("encoder", warm)
        runtime.run("encoder", warm)
    assert len(compiled) == 1
    for inputs in (warm, other):
        runtime.run("encoder", inputs)
    assert len(compiled) == 1


@pytest.mark.parametrize("file", ["denoiser.onnx", "denoiser.int8.onnx"])
def test_a_personal_denoiser_of_either_precision(file: str, tmp_path: Path) -> None:
    path = shutil.copy(WEIGHTS / file, tmp_path / "own.onnx")
    inputs = inputs_of("denoiser")
    runtime = OpenVinoRuntime(MANIFEST, "fp32")
    variant = "int8" if "int8" in file else "fp32"
    wanted = start(f"onnxruntime:{variant}", MANIFEST).run("denoiser", inputs)[0]
    np.testing.assert_allclose(runtime.load(path).run(inputs)[0], wanted, atol=2e-3)


def test_a_damaged_graph_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes((WEIGHTS / "denoiser.onnx").read_bytes()[:5000])
    with pytest.raises(WeightsError, match=r"own\.onnx") as raised:
        OpenVinoRuntime(MANIFEST, "fp32").load(path)
    assert "\n" not in str(raised.value)


def test_a_cpu_without_bfloat16_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "_has", lambda variant: variant != "bf16")
    assert "no bf16" in hindrance("bf16")
    assert OpenVinoRuntime(MANIFEST).variant == "int8"
    with pytest.raises(RuntimeUnavailableError, match="no bf16"):
        start("openvino:bf16", MANIFEST)


def test_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "find_spec", lambda name: None)
    found = {c.variant: c.hindrance for c in choices(MANIFEST) if c.runtime == "openvino"}
    assert set(found) == set(openvino.VARIANTS)
    assert all("pip install" in words for words in found.values())
    with pytest.raises(RuntimeUnavailableError, match="pip install"):
        start("openvino", MANIFEST)
