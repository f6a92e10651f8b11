"""Plans are kept for the next start, and what is not to be read is built anew."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.runtime import tensorrt
from engine.runtime.plans import PlanCache, Prepared
from engine.runtime.protocol import DRAWN, GRAPHS
from engine.runtime.tensorrt import load_networks

PROFILE = {"a": ((1, 2), (1, 2), (4, 2))}


def test_a_plan_belongs_to_a_gpu_a_version_a_file_and_its_sizes(tmp_path: Path) -> None:
    def path(gpu: str, version: str, onnx: bytes, largest: int) -> Path:
        sizes = {"a": ((1, 2), (1, 2), (largest, 2))}
        return PlanCache(gpu, version, tmp_path).path("encoder", onnx, sizes)

    usual = ("A100 sm80", "11.4", b"onnx", 4)
    others = [("L4 sm89", *usual[1:]), (usual[0], "11.5", *usual[2:])]
    others += [(*usual[:2], b"another", 4), (*usual[:3], 8)]
    assert path(*usual) == path(*usual)
    assert len({path(*usual), *(path(*other) for other in others)}) == 5


def test_what_is_kept_is_whole_and_a_folder_that_cannot_be_written_does_no_harm(
    tmp_path: Path,
) -> None:
    cache = PlanCache("gpu", "1", tmp_path)
    path = cache.path("encoder", b"onnx", PROFILE)
    assert cache.read(path) is None
    cache.keep(path, b"plan")
    assert cache.read(path) == b"plan"
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    file = tmp_path / "file"
    file.write_bytes(b"")
    blocked = PlanCache("gpu", "1", file)
    blocked.keep(blocked.path("encoder", b"onnx", PROFILE), b"plan")


def test_damaged_plans_are_built_anew_and_whole_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Loader:
        def __init__(self, log: object) -> None: ...

        def deserialize_cuda_engine(self, plan: bytes) -> object | None:
            return SimpleNamespace(num_io_tensors=0) if plan.startswith(b"plan") else None

    library = SimpleNamespace(
        __version__="1",
        Runtime=Loader,
        ILogger=object,
        TensorIOMode=SimpleNamespace(INPUT=0, OUTPUT=1),
        DataType=SimpleNamespace(UINT8=2),
    )
    built: list[str] = []

    def build(library: object, name: str, *_: object) -> bytes:
        built.append(name)
        return b"plan of " + name.encode()

    monkeypatch.setitem(sys.modules, "tensorrt", library)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(tensorrt, "build_here", build)
    monkeypatch.setattr(Prepared, "onnx", lambda self, graph, precision: graph.encode())
    graphs = [*GRAPHS, DRAWN]
    files = {"fp16": {graph: f"{graph}.fp16.onnx" for graph in graphs}}
    prepared = Prepared(tmp_path, files, {}, {graph: PROFILE for graph in graphs})
    device = SimpleNamespace(name="gpu")
    for expected in (graphs, []):
        built.clear()
        assert list(load_networks(device, prepared, "fp16")) == graphs
        assert built == expected
    next(tmp_path.rglob("decoder-*.plan")).write_bytes(b"damaged")
    load_networks(device, prepared, "fp16")
    assert built == ["decoder"]
