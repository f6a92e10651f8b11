"""`omnisync personalize` from clip to folder, at toy size."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine import LipSyncEngine, Person  # noqa: E402
from engine.engine import WEIGHTS  # noqa: E402
from engine.face.exposure import DARK  # noqa: E402
from engine.media import Picture  # noqa: E402
from engine.model.dit import Denoiser, DenoiserConfig  # noqa: E402
from engine.runtime.protocol import Manifest  # noqa: E402
from export.read_back import read_denoiser  # noqa: E402
from tests.engine.clips import write_clip, write_voice  # noqa: E402
from training import personalize  # noqa: E402
from training.personal import clip as clips  # noqa: E402
from training.personal.adapter import Adapter  # noqa: E402
from training.personal.judge import Figures, is_better  # noqa: E402
from training.personal.mouth_pose import MouthPose  # noqa: E402

pytestmark = pytest.mark.torch
ROOT = Path(__file__).parents[2]
FRAMES = 100


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of the demo face, silent."""
    frames = list(islice(Picture(ROOT / "web_client" / "demo" / "face.mp4").once(), FRAMES))
    return write_clip(tmp_path_factory.mktemp("clip") / "ada.mp4", frames)


@pytest.fixture(autouse=True)
def short_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "SHORTEST_S", 3)


def run(clip: Path, output: Path, *options: str) -> int:
    given = ["--clip", str(clip), "--name", "ada", "--output", str(output)]
    return personalize.main([*given, "--steps", "2", "--looks", "1", *options])


def test_a_clip_becomes_a_person_whom_the_engine_runs(short: Path, tmp_path: Path) -> None:
    assert run(short, tmp_path, "--keep", "--sheet", str(tmp_path / "sheet.png")) == 0
    person = Person.read(tmp_path / "ada")
    card = json.loads((tmp_path / "ada" / "person.json").read_text())
    assert card["led_by"] == "seen poses"
    assert set(card["before"]) == set(card["after"])
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    engine = LipSyncEngine.load(runtime="onnxruntime")
    stream = engine.open_stream(person=person)
    frames = list(islice(Picture(short).once(), 6))
    made = [stream.push_frame(rgb) for rgb in frames]
    assert sum(len(m) for m in made) == 4
    # The stored adapter added to the base is the merged graph's network.
    base = read_denoiser(Manifest.read(WEIGHTS)).state_dict()
    with np.load(tmp_path / "ada" / "adapter.npz") as parts:
        names = {name.rpartition(".")[0] for name in parts.files}
        assert all(f"{name}.weight" in base for name in names)
        assert any(np.abs(parts[f"{name}.up"].astype(float)).max() > 0 for name in names)
    size = sum(file.stat().st_size for file in (tmp_path / "ada").iterdir())
    assert size < 20_000_000


def test_a_dark_face_is_learnt_in_the_light_in_which_the_networks_see_it(tmp_path: Path) -> None:
    day = list(islice(Picture(ROOT / "web_client" / "demo" / "face.mp4").once(), 80))
    dark = [(rgb * 0.25).astype(np.uint8) for rgb in day]
    engine = LipSyncEngine.load(runtime="onnxruntime")
    found = clips.read_clip(write_clip(tmp_path / "dark.mp4", dark), engine)
    inner = slice(clips.MARGIN, -clips.MARGIN)
    assert found.canvases[:, inner, inner].mean() == pytest.approx(DARK, abs=3)
    assert found.views.mean() > 1.2 * dark[0].mean()


def test_what_is_not_better_is_not_written(
    short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(short, tmp_path / "persons") == 1
    assert "nothing is written" in capsys.readouterr().err
    assert list((tmp_path / "persons").iterdir()) == []


def test_bad_input_is_one_line_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voice = write_voice(tmp_path / "voice.wav", 0.3)
    blank = write_clip(tmp_path / "blank.mp4", [np.zeros((64, 64, 3), np.uint8)] * 4)
    for clip, words in (
        (tmp_path / "gone.mp4", "no such file"),
        (voice, "holds no picture"),
        (blank, "a face shows in 0"),
    ):
        assert run(clip, tmp_path / "persons") == 2
        told = capsys.readouterr().err
        assert words in told and told.count("\n") == 1
    with pytest.raises(SystemExit) as left:
        personalize.main(["--clip", str(voice), "--name", "../ada"])
    assert left.value.code == 2
    assert not (tmp_path / "persons").exists()


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--threads", "0", "0 is less than 1"),
        ("--rank", "0", "0 is less than 1"),
        ("--seed", "-1", "-1 is less than 0"),
        ("--looks", "two", "invalid number value: 'two'"),
        ("--sheet", "a.mp4", "a.mp4 is to end in .png or .jpg"),
        ("--sheet", "no/folder/a.png", "no/folder is no folder"),
    ],
)
def test_what_would_fail_after_the_training_is_refused_before_it(
    option: str, value: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        personalize.main(["--clip", "a.mp4", "--name", "ada", f"{option}={value}"])
    assert left.value.code == 2
    assert told in capsys.readouterr().err


def test_where_persons_cannot_be_written_nothing_is_trained(
    short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "persons").write_text("a file")
    assert run(short, tmp_path / "persons") == 2
    told = capsys.readouterr()
    assert "step" not in told.out and told.err.count("\n") == 1


def test_without_torch_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import server;"
        "sys.exit(server.main(['personalize', '--clip', 'a.mp4', '--name', 'ada']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "omnisync personalize: needs torch: make setup-train\n"


def test_merging_gives_what_the_adapted_network_computed() -> None:
    torch.manual_seed(0)
    config = DenoiserConfig(width=24, depth=2)
    model = Denoiser(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape))
    x, z = (torch.randn(1, 2, 16, 16, 16) for _ in range(2))
    inputs = (x, z, torch.rand(1, 2), torch.randn(1, 2, 5, 24), torch.ones(1), torch.rand(1, 2))
    plain = model(*inputs)
    adapter = Adapter(model, rank=2)
    with torch.no_grad():
        assert torch.equal(model(*inputs), plain)  # it starts as nothing
        for parameter in adapter.parameters:
            parameter.copy_(0.1 * torch.randn(parameter.shape).half())
        adapter.remember()
        adapted = model(*inputs)
        with adapter.off():
            assert torch.equal(model(*inputs), plain)
        assert (adapted - plain).abs().max() > 1e-3
        adapter._average = [p.detach().clone() for p in adapter.parameters]
        stored = adapter.merged()
        torch.testing.assert_close(model(*inputs), adapted)
    assert "blocks.0.qkv.up" in stored and stored["blocks.0.qkv.up"].shape == (72, 2)


def test_poses_follow_lips_and_not_the_head() -> None:
    rng = np.random.default_rng(0)
    face = MouthPoseFace()
    gap = np.clip(np.sin(np.arange(500) / 3), 0, 1).astype(np.float32)
    opened = face.points(gap)
    pose = MouthPose.load()
    found = pose.opening(pose.read(opened))
    assert np.corrcoef(found, gap)[0, 1] > 0.95
    moved = opened + np.cumsum(rng.normal(0, 2, (500, 1, 2)), 0).astype(np.float32)
    np.testing.assert_allclose(pose.read(moved), pose.read(opened), atol=0.05)


class MouthPoseFace:
    """The template's face; its lower lip and chin go down by `gap` of a tenth of an eye distance
    each.
    """

    def points(self, gap: np.ndarray) -> np.ndarray:
        from engine.face.align import STABLE_POINTS
        from engine.face.points import LANDMARKS

        unit = 100.0
        places = {p: np.array(v) for p, v in STABLE_POINTS.items()}
        lips = {61: (-0.35, 1.1), 291: (0.35, 1.1), 0: (0, 0.98), 13: (0, 1.08), 14: (0, 1.1)}
        lips |= {17: (0, 1.25), 39: (-0.2, 1.0), 269: (0.2, 1.0), 181: (-0.2, 1.22)}
        lips |= {405: (0.2, 1.22), 152: (0, 1.8), 172: (-0.7, 1.4), 397: (0.7, 1.4)}
        places |= {p: np.array(v) for p, v in lips.items()}
        at = np.array([places.get(p, np.array([0.0, 0.3])) for p in LANDMARKS]) * unit + 300
        lower = [LANDMARKS.index(p) for p in (14, 17, 181, 405, 152)]
        out = np.repeat(at[None], len(gap), 0).astype(np.float32)
        out[:, lower, 1] += 0.2 * unit * gap[:, None]
        return out


def test_better_means_nearer_and_nothing_given_up() -> None:
    before = Figures(10.0, 0.9, 0.8, 1.0, 0.0, 0.8, 1.0)
    better = replace(before, error=9.5)
    assert is_better(before, better)
    assert not is_better(before, before)
    for worse in ({"r": 0.7}, {"detail": 0.7}, {"voice_r": 0.7}, {"r": float("nan")}):
        assert not is_better(before, replace(better, **worse))
