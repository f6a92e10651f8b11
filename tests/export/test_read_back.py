"""What is fine-tuned is what ships: graphs read back into torch, and merged graphs written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

import onnxruntime  # noqa: E402

from engine import LipSyncEngine, Person, WeightsError, WindowInput  # noqa: E402
from engine.engine import WEIGHTS  # noqa: E402
from engine.flow import add_noise  # noqa: E402
from engine.model.dit import Denoiser  # noqa: E402
from engine.personal import TENSORRT, PersonalDenoisers  # noqa: E402
from engine.runtime.onnxruntime import OnnxRuntime  # noqa: E402
from engine.runtime.plans import build_plan  # noqa: E402
from engine.runtime.protocol import Manifest  # noqa: E402
from export.half_stored import read_graph  # noqa: E402
from export.personal import new_folder, publish, write_person  # noqa: E402
from export.read_back import main as read_back  # noqa: E402
from export.read_back import read_denoiser  # noqa: E402
from export.tensorrt import profiles  # noqa: E402
from training.networks import load_denoiser  # noqa: E402

pytestmark = pytest.mark.torch
HALF_RMS = 0.01  # of the edit's deviation


@pytest.fixture(scope="module")
def base() -> Denoiser:
    return read_denoiser(Manifest.read(WEIGHTS))


def test_every_parameter_comes_back(base: Denoiser) -> None:
    audio = read_graph(WEIGHTS / "audio.onnx").graph
    nulls = next(i for i in audio.initializer if i.name.endswith("null_sound"))
    found = base.conditioner.null_sound.detach().numpy()
    np.testing.assert_array_equal(found, onnx.numpy_helper.to_array(nulls))


def test_what_is_heard_is_what_the_conditioner_computes(base: Denoiser) -> None:
    engine = LipSyncEngine.load(runtime="onnxruntime:fp32")
    mel = np.random.default_rng(0).normal(size=(3, 80, 64)).astype(np.float32)
    heard = np.ones((3, 32), np.float32)
    pose = torch.from_numpy(engine.lip_pose(mel, heard))
    with torch.no_grad():
        tokens = base.conditioner(torch.zeros(3, 4, 192), pose).numpy()
    np.testing.assert_allclose(engine.hear(mel, heard), tokens, atol=1e-4)


def test_training_can_go_on_from_what_ships(base: Denoiser, tmp_path: Path) -> None:
    assert read_back(["--output", str(tmp_path)]) == 0
    photographs, drawings = (load_denoiser(tmp_path / f"{n}.pt") for n in ("denoiser", "drawn"))
    own = photographs.state_dict()
    for name, value in base.state_dict().items():
        torch.testing.assert_close(own[name], value, atol=1e-3, rtol=1e-3)  # stored in 16 bits
    heads = [m.state_dict()["out.weight"] for m in (photographs, drawings)]
    assert not torch.allclose(*heads)


def test_another_denoisers_weights_are_refused(tmp_path: Path) -> None:
    shutil.copytree(WEIGHTS, tmp_path / "w")
    manifest = Manifest.read(tmp_path / "w")
    manifest.files["fp32"]["denoiser"] = manifest.files["fp32"]["decoder"]
    with pytest.raises(WeightsError):
        read_denoiser(manifest)


def test_a_merged_denoiser_runs_as_torch_computes_it(base: Denoiser, tmp_path: Path) -> None:
    manifest = Manifest.read(WEIGHTS)
    with torch.no_grad():
        base.blocks[0].up.weight[:, :3] += 0.3
    write_person(tmp_path, "ada", manifest, base, {}, full_precision=True)
    rng, slots = np.random.default_rng(0), 3
    runtime = OnnxRuntime(manifest, "fp32")
    engine = LipSyncEngine(manifest, runtime)
    shape = (slots, engine.latent_channels, engine.latent_side, engine.latent_side)
    x, z = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    level = np.array(engine.levels, np.float32)
    tokens = rng.standard_normal((slots, 5, 192)).astype(np.float32)
    made = PersonalDenoisers(manifest, runtime).get(Person.read(tmp_path))
    (found,) = engine.denoise([WindowInput(x, z, level, tokens, 1.0, (0.5, 0.5), made)])
    given = (torch.from_numpy(v)[None] for v in (x, z, level, tokens))
    with torch.no_grad():
        expected = base(*given, torch.ones(1), torch.full((1, 2), 0.5))[0].numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.fixture(scope="module")
def for_tensorrt(base: Denoiser, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("ada")
    write_person(folder, "ada", Manifest.read(WEIGHTS), base, {})
    assert not (folder / "denoiser.onnx").exists()
    return Person.read(folder).path(TENSORRT, "fp16").read_bytes()


def test_the_file_for_tensorrt_is_the_same_network(base: Denoiser, for_tensorrt: bytes) -> None:
    session = onnxruntime.InferenceSession(for_tensorrt, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for batch, slots in ((1, 3), (3, 2), (2, 4)):
        shape = (batch, slots, 16, 16, 16)
        base_x, z = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
        eps = rng.standard_normal((batch, 16, 16, 16)).astype(np.float32)
        level = rng.uniform(0.7, 0.93, (batch, slots)).astype(np.float32)
        tokens = rng.standard_normal((batch, slots, 5, 192)).astype(np.float32)
        others = {
            "z": z,
            "level": level,
            "tokens": tokens,
            "strength": np.ones(batch, np.float32),
            "mouth": np.full((batch, 2), 0.5, np.float32),
        }
        (found,) = session.run(None, {"base": base_x, "eps": eps, "mix": level, **others})
        x = add_noise(base_x, eps[:, None], level[..., None, None, None])
        with torch.no_grad():
            expected = base(torch.from_numpy(x), *map(torch.from_numpy, others.values())).numpy()
        error = np.sqrt(np.square(found - expected).mean())
        assert error < HALF_RMS * (expected - z).std()


@pytest.mark.tensorrt
def test_the_file_for_tensorrt_becomes_an_engine(for_tensorrt: bytes) -> None:
    library = pytest.importorskip("tensorrt_rtx")
    profile = profiles(Manifest.read(WEIGHTS), (5, 192))["denoiser"]

    def for_ada(config: Any) -> None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(library.ComputeCapability.SM89, 0)

    assert len(build_plan(library, "denoiser", for_tensorrt, profile, for_ada)) > 1_000_000


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "persons" / "ada"
    with pytest.raises(ZeroDivisionError), new_folder(target) as draft:
        (draft / "part").write_text("half")
        raise ZeroDivisionError
    assert list(target.parent.iterdir()) == []
    for text in ("first", "second"):
        with new_folder(target) as draft:
            (draft / "whole").write_text(text)
            assert not target.exists() or (target / "whole").read_text() == "first"
            publish(draft, target)
        assert (target / "whole").read_text() == text
    assert [path.name for path in target.parent.iterdir()] == ["ada"]
