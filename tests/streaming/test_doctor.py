"""The doctor: its port and its table of executors."""

import pytest

from engine.runtime import choice
from engine.runtime.choice import Choice
from streaming import doctor


@pytest.mark.parametrize("port", ["99999", "-1"])
def test_a_port_that_is_none_is_one_line(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        doctor.main([f"--port={port}"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert f"--port {port}" in told and told.count("\n") == 1


def test_every_runtime_has_its_times_or_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = [
        Choice("onnxruntime", "int8"),
        Choice("onnxruntime", "fp32"),
        Choice("abacus", "wood", "no beads on this machine"),
        Choice("abacus", "stone"),
    ]
    monkeypatch.setattr(choice, "choices", lambda manifest: offered)
    monkeypatch.setattr(doctor, "TICKS", 2)
    head, chosen, other, hindered, failing = doctor._runtimes("onnxruntime:int8")
    assert head.split()[1:] == [
        "tick",
        "p50",
        "p95",
        "encode",
        *("audio", "denoise", "decode"),
        "motion",
    ]
    mark, name, *times = chosen.split()
    assert (mark, name, len(times)) == ("*", "onnxruntime:int8", 7)
    p50, p95, *stages = (float(value) for value in times)
    assert 0 < p50 <= p95 and all(value >= 0 for value in stages)
    assert "*" not in other
    assert hindered.endswith("no beads on this machine")
    assert "not known" in failing
