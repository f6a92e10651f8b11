"""All data with one command: steps are what their makers take, and are not made twice."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from training import data, drawn
from training.crops import crop_shards


def test_every_step_is_one_that_its_maker_takes(capsys: pytest.CaptureFixture[str]) -> None:
    made = list(data.steps(Path("labels"), Path("runs"), 0.01))
    assert len({step.name for step in made}) == len(made)
    for step in made:
        with pytest.raises(SystemExit):
            importlib.import_module(step.module).main(["--help"])
        told = capsys.readouterr().out
        assert all(flag in told for flag in step.options if flag.startswith("--")), step.name


def test_a_run_cut_short_goes_on_where_it_was(
    toy_runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(drawn, "LENGTH", 2)
    for name in ("sound.npz", "pose_basis.npz"):
        (tmp_path / name).symlink_to(toy_runs / name)
    options = ["--output", str(tmp_path), "--faces", "1", "--jobs", "1"]
    todo = [
        data.Step("drawn", "training.drawn", options),
        data.Step("held out", "training.drawn", [*options, "--first-seed", str(drawn.FIRST_TEST)]),
    ]
    assert data.make(tmp_path, todo) == 2
    assert list(json.loads((tmp_path / data.DONE).read_text())) == ["drawn"]
    (shard,) = crop_shards(tmp_path)
    shard.unlink()
    assert data.make(tmp_path, todo[:1]) == 0
    assert "done before" in capsys.readouterr().out
    assert not list((tmp_path / "drawn").glob("*.npz"))
    assert data.make(tmp_path, [todo[0]._replace(options=[*options, "--sketches"])]) == 0
    (shard,) = crop_shards(tmp_path)
    with np.load(shard) as file:
        assert file["frames"].shape[1] == 6


def test_missing_labels_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        data.main(["--labels", str(tmp_path), "--output", str(tmp_path / "runs")])
    assert ended.value.code == 2
    assert "make labels" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
