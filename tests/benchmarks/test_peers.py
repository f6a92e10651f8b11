"""Graphs of other systems' shape, and the race against them."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from benchmarks.cli import main
from benchmarks.errors import BenchError
from benchmarks.peer_graphs import PEERS, write_peers
from benchmarks.peers import in_turns
from benchmarks.work import count_work

pytest.importorskip("onnx", reason="onnx is not installed (the export extra)")
NAMES = [facts.name for facts, _ in PEERS]
HEAVY = "Wav2Lip-256"  # the same builder as Wav2Lip-96; its one call takes a second


@pytest.mark.parametrize("name", [name for name in NAMES if name != HEAVY])
def test_size_is_that_of_the_definitions(name: str, tmp_path: Path) -> None:
    ((path, facts),) = write_peers(tmp_path, [name]).items()
    rng = np.random.default_rng(0)
    inputs = {k: rng.random((1, *shape), np.float32) for k, shape in facts.inputs.items()}
    work = count_work(path, inputs)
    assert work.macs == pytest.approx(facts.macs, rel=0.001)
    assert work.params == pytest.approx(facts.params, rel=0.005)  # batch norms are folded here
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (picture,) = session.run(None, inputs)
    assert picture.shape == (1, 3, *facts.inputs["face"][1:])
    assert picture.std() > 0.01 and picture.min() >= 0 and picture.max() <= 1


@pytest.mark.slow
def test_size_of_the_heaviest(tmp_path: Path) -> None:
    test_size_is_that_of_the_definitions(HEAVY, tmp_path)


def test_unknown_peer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="Wav2Lip-96"):
        write_peers(tmp_path, ["MuseTalk"])


def test_every_round_runs_each_once() -> None:
    order: list[str] = []
    spent = in_turns({n: lambda n=n: order.append(n) for n in "abc"}, 4)
    assert order == list("abc") * (len(order) // 3)
    assert {name: found.count for name, found in spent.items()} == {"a": 4, "b": 4, "c": 4}


def test_race_is_told_and_kept(tmp_path: Path) -> None:
    arguments = ["peers", "--rounds", "1", "--only", "Nota Wav2Lip", "--output", str(tmp_path)]
    assert main(arguments) == 0
    stored = json.loads((tmp_path / "peers.json").read_text())
    names = [contender["name"] for contender in stored["contenders"]]
    assert names[0].startswith("our tick") and names[-1] == "Nota Wav2Lip"
    assert stored["targets"][0]["met"] is False  # nothing to compare with: not measured
