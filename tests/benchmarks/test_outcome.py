"""How results are told and kept."""

import json
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.outcome import Outcome, Table, Target, machine_facts, save

TABLE = Table("Pictures", ["call", "fps", "lost"], [["echo", 24.96, 0], ["server", 0.5, None]])


def test_table_lines_up_and_rounds() -> None:
    assert TABLE.text().splitlines() == [
        "Pictures",
        "call     fps  lost",
        "echo    25.0     0",
        "server  0.50     -",
    ]


def test_target_is_missed_when_nothing_was_measured() -> None:
    assert Target("added latency", 119.0, 120.0, "ms").met
    assert not Target("added latency", 121.0, 120.0, "ms").met
    assert Target("new pictures", 24.1, 24.0, "a second", at_least=True).met
    assert not Target("new pictures", 23.9, 24.0, "a second", at_least=True).met
    assert not Target("added latency", None, 120.0, "ms").met
    assert "not measured" in Target("added latency", None, 120.0, "ms").text()


def test_json_holds_machine_command_and_verdicts(tmp_path: Path) -> None:
    target = Target("added latency", 100.0, 120.0, "ms")
    outcome = Outcome("latency", [TABLE], [target], {"rounds": 2})
    path = save(outcome, tmp_path, machine_facts(), ["latency", "--seconds", "10"])
    stored = json.loads(path.read_text())
    assert stored["command"] == "omnisync bench latency --seconds 10"
    assert stored["targets"][0]["met"] is True
    assert stored["tables"][0]["rows"][1] == ["server", 0.5, None]
    assert stored["machine"]["cores"] >= 1
    assert stored["machine"]["packages"]["aiortc"]
    assert stored["rounds"] == 2


def test_wrong_arguments_and_unusable_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["speed"])
    assert exited.value.code == 2
    output = ["--output", str(tmp_path / "bench")]
    assert main(["sync", "--picture", str(tmp_path / "none.mp4"), *output]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("omnisync bench: ") and "none.mp4" in last
