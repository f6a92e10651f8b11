"""`omnisync bench`: what cannot be measured ends in one line."""

from pathlib import Path

import pytest

from benchmarks.cli import main

from .house import DEMO

MATERIAL = ["--picture", str(DEMO / "face.mp4"), "--voice", str(DEMO / "voice.mp3")]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["latency", "--seconds", "0"], "0 is not above zero"),
        (["latency", "--rounds", "0"], "0 is below one"),
        (["sessions", "--most", "-1"], "-1 is below one"),
        (["soak", "--minutes", "nan"], "nan is not above zero"),
        (["sync", "--warm-up", "-1"], "-1 is below zero"),
    ],
)
def test_amounts_that_measure_nothing_are_refused(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["network", "--only", "5 % lost", *MATERIAL], "no row '5 % lost'"),
        (["peers", "--only", "Wav2Lip", *MATERIAL], "no peer 'Wav2Lip'"),
        (["engine", "--picture", "no/such.mp4"], "no/such.mp4"),
        (["engine", "--weights", "no/such", *MATERIAL], "no/such"),
    ],
)
def test_what_is_not_there_is_named(
    arguments: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--output", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert reason in told and told.count("\n") == 1


def test_an_output_that_is_a_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    assert main(["engine", *MATERIAL, "--output", str(tmp_path / "taken")]) == 1
    assert "taken" in capsys.readouterr().err
