"""Each stage that trains runs two steps at toy size, writes a checkpoint that the next stage loads,
and resumes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from training import appearance, autoencoder, checkpoint, covers, distill, sound, teacher  # noqa: E402
from training.preset import load_preset  # noqa: E402

from .conftest import TOY  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.data]


def run(stage: object, runs: Path, *options: object) -> None:
    common = ["--data", str(runs), "--preset", str(TOY)]
    assert stage.main([*common, *map(str, options)]) == 0  # type: ignore[attr-defined]


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
