"""Each stage that trains runs two steps at toy size, writes a checkpoint that the next stage loads,
and resumes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from training import (  # noqa: E402
    appearance,
    articulation,
    autoencoder,
    checkpoint,
    covers,
    distill,
    sound,
    teacher,
)
from training.alignment import write_phonemes  # noqa: E402
from training.phonemes import Phoneme  # noqa: E402
from training.preset import load_preset  # noqa: E402
from training.sound import grid_names  # noqa: E402

from .conftest import TOY  # noqa: E402

pytestmark = pytest.mark.torch


def run(stage: object, runs: Path, *options: object) -> None:
    common = ["--data", str(runs), "--preset", str(TOY)]
    assert stage.main([*common, *map(str, options)]) == 0  # type: ignore[attr-defined]


def shifted(path: Path, by: float) -> dict[str, torch.Tensor]:
    """Move all weights of a checkpoint."""
    stored = torch.load(path, weights_only=True)
    stored["weights"] = {k: v + by for k, v in stored["weights"].items()}
    torch.save(stored, path)
    return stored["weights"]


def resumes(path: Path, before: dict[str, torch.Tensor]) -> None:
    """Two steps more, from the weights that were there, with nothing kept but weights."""
    stored = torch.load(path, weights_only=True)
    assert set(stored) == {"step", "weights", "facts", "config"}
    assert stored["step"] == 4
    moved = torch.cat([(v - before[k]).abs().flatten() for k, v in stored["weights"].items()])
    assert moved.median() < 0.01
    assert moved.max() > 0


@pytest.mark.parametrize(("stage", "name"), [(autoencoder, "autoencoder"), (sound, "audio")])
def test_what_sees_and_what_hears_train(
    toy_runs: Path, tmp_path: Path, stage: object, name: str
) -> None:
    path = tmp_path / "run.pt"
    run(stage, toy_runs, "--run", path)
    stored, own = checkpoint.load(path), getattr(load_preset(str(TOY)), name)
    assert stored.step == 2
    assert stored.config is not None
    assert stored.config["latent_side" if name == "autoencoder" else "width"] == getattr(
        own, "latent_side" if name == "autoencoder" else "width"
    )
    before = shifted(path, 0.1)
    run(stage, toy_runs, "--run", path)
    resumes(path, before)


def test_lips_learn_from_phonemes(
    toy_runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [Phoneme(s, 0.25 * k, 0.25 * (k + 1)) for k, s in enumerate("pamibotesʌbə")]
    table = {name: said for part in ("train", "held_out") for name in grid_names(part)}
    write_phonemes(tmp_path / "phonemes.json", table)
    path = tmp_path / "articulation.pt"
    options = ["--data", str(toy_runs), "--phonemes", str(tmp_path / "phonemes.json")]
    options += ["--run", str(path), "--steps", "2"]
    assert articulation.main(options) == 0
    before = shifted(path, 0.1)
    assert articulation.main(options) == 0
    resumes(path, before)
    assert "4 loss" in capsys.readouterr().out
    curve = json.loads(path.with_suffix(".curve.json").read_text())
    assert [step for step, _ in curve["loss"]] == [2, 4]
    assert path.with_suffix(".curve.png").exists()
    checkpoint.save(tmp_path / "other.pt", torch.nn.Linear(1, 1), 0)
    with pytest.raises(SystemExit) as ended:
        articulation.main([*options[:-4], "--run", str(tmp_path / "other.pt")])
    assert ended.value.code == 2
    assert "other.pt holds another network" in capsys.readouterr().err


def test_teacher_student_and_appearance_train_in_turn(toy_runs: Path, tmp_path: Path) -> None:
    taught, folded, tuned = (tmp_path / f"{n}.pt" for n in ("teacher", "denoiser", "tuned"))
    audio = ("--audio", toy_runs / "sound.pt")
    run(teacher, toy_runs, *audio, "--run", taught)
    run(teacher, toy_runs, *audio, "--run", taught, "--queue-share", "1")
    assert checkpoint.load(taught).step == 4
    run(distill, toy_runs, *audio, "--teacher", taught, "--run", folded)
    assert checkpoint.load(folded).facts == {"peak": 2.0, "floor": 0.5}
    own = toy_runs / "ae.pt"
    other = tmp_path / "drawn.pt"
    run(distill, toy_runs, *audio, "--teacher", taught, "--beside", folded, "--run", other)
    before, after = checkpoint.load(folded).weights, checkpoint.load(other).weights
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed
    assert not any(k.startswith("conditioner.") for k in changed)  # one audio graph for both
    run(appearance, toy_runs, *audio, "--autoencoder", own, "--denoiser", folded, "--run", tuned)
    before, after = checkpoint.load(own).weights, checkpoint.load(tuned).weights
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed
    assert all(k.startswith(("decoder.", "motion.")) for k in changed)  # latents keep their meaning
    alone = tmp_path / "alone.pt"
    run(appearance, toy_runs, "--autoencoder", tuned, "--decoder-alone", "--run", alone)
    redone = checkpoint.load(alone).weights
    changed = {k for k in after if not torch.equal(after[k], redone[k])}
    assert changed
    assert all(k.startswith("decoder.") for k in changed)
    out = tmp_path / "covers.pt"
    run(covers, toy_runs, "--autoencoder", tuned, "--run", out)
    final = checkpoint.load(out).weights
    changed = {k for k in after if not torch.equal(after[k], final[k])}
    assert changed
    assert all(k.startswith("motion.") for k in changed)
