"""`omnisync train`: what goes wrong in a stage ends in one line and an exit code."""

import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

pytest.importorskip("torch")

from training import cli, rendered, sound
from training.loop import add_options, read_options
from training.splits import HeldOutError

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def kept_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command names itself in sys.argv."""
    monkeypatch.setattr(sys, "argv", ["omnisync"])


@pytest.mark.parametrize(
    ("failure", "code", "told"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (HeldOutError("that is held out"), 2, "that is held out"),
        (FileNotFoundError(2, "No such file or directory", "a.npz"), 2, "a.npz: No such file"),
        (ModuleNotFoundError("", name="torch"), 2, "needs torch: make setup-train"),
        (ModuleNotFoundError("", name="pocketsphinx"), 2, "pip install pocketsphinx"),
    ],
)
def test_a_stage_fails_in_one_line(
    failure: BaseException,
    code: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: list[str]) -> int:
        raise failure

    monkeypatch.setattr(rendered, "main", fail)
    assert cli.main(["rendered"]) == code
    error = capsys.readouterr().err
    assert error.startswith("omnisync train rendered: ") and error.count("\n") == 1
    assert told in error


def test_a_folder_without_heads_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["rendered", "--heads", str(tmp_path), "--output", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert f"no heads in {tmp_path}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("amount", [["--minutes", "nan"], ["--batch", "0"], ["--rate", "-1"]])
def test_amounts_that_train_nothing_are_refused(
    amount: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        sound.main(["--data", str(tmp_path), "--run", str(tmp_path / "run.pt"), *amount])
    assert ended.value.code == 2
    assert f"{amount[0]} {float(amount[1]):g}" in capsys.readouterr().err


def test_minutes_may_be_fractions_whatever_the_default() -> None:
    parser = ArgumentParser()
    add_options(parser, "sound")
    args = read_options(parser, "sound", ["--data", "d", "--run", "r.pt", "--minutes", "0.5"])
    assert args.minutes == 0.5
