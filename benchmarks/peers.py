"""Our tick beside graphs of the shape of Wav2Lip, Ultralight, FeatherTalk and a compressed Wav2Lip.

Their weights are random: only time counts. Same executor, same threads, one process, taken in
turns; theirs are fp32 graphs of one frame a call, without what they need beside the network.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine import LipSyncEngine
from engine.engine import WEIGHTS
from engine.runtime.choice import start
from engine.runtime.protocol import REFERENCE, Manifest, Runtime

from .clip_speed import ClipTick
from .figures import Spread, spread
from .material import Material, load_material
from .model_speed import DEFAULT_SLOTS, Tick, graph_inputs
from .options import count
from .outcome import Cell, Outcome, Table, Target
from .peer_graphs import PeerFacts, write_peers
from .work import Work, count_work

RATIO_LIMIT = 0.5
AGAINST = "Wav2Lip-96"
NOT_IN_TICK = "landmarks"
WARM = 3


@dataclass(frozen=True, slots=True)
class Contender:
    """One row. work: of the networks in it, None for more than networks."""

    name: str
    spent: Spread
    work: Work | None


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=count, default=60, help="of all in turn (60)")
    parser.add_argument("--threads", type=count, default=1, help="of one model call (1)")
    parser.add_argument(
        "--runtime",
        default="onnxruntime",
        metavar="NAME[:VARIANT]",
        help="executor of both sides; the variant is ours (onnxruntime)",
    )
    parser.add_argument("--only", nargs="+", metavar="PEER", help="not all of them")


def run(options: argparse.Namespace) -> Outcome:
    """Raises BenchError, EngineError."""
    material = load_material(options.picture, options.voice)
    manifest = Manifest.read(WEIGHTS)
    runtime = start(options.runtime, manifest, options.threads)
    with tempfile.TemporaryDirectory(prefix="omnisync-bench-") as folder:
        peers = write_peers(Path(folder), options.only)
        jobs, works = _ours(manifest, runtime, options.threads, material)
        for path, facts in peers.items():
            inputs = _peer_inputs(facts)
            session = runtime.load(path)
            jobs[facts.name] = partial(session.run, inputs)
            works[facts.name] = count_work(path, inputs)
    spent = in_turns(jobs, options.rounds)
    found = [Contender(name, spent[name], works.get(name)) for name in jobs]
    return _outcome(found, list(peers.values()), runtime, options.threads, material)


def in_turns(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, Spread]:
    """Milliseconds of each job; every round runs all of them once."""
    spent: dict[str, list[float]] = {name: [] for name in jobs}
    for n in range(WARM + rounds):
        for name, job in jobs.items():
            begin = time.perf_counter()
            job()
            if n >= WARM:
                spent[name].append(1000 * (time.perf_counter() - begin))
    return {name: found for name, values in spent.items() if (found := spread(values))}


def _peer_inputs(facts: PeerFacts) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.random((1, *shape), np.float32) for name, shape in facts.inputs.items()}


def _ours(
    manifest: Manifest, runtime: Runtime, threads: int, material: Material
) -> tuple[dict[str, Callable[[], object]], dict[str, Work]]:
    """The networks of a tick on the runtime asked for, in fp32, and a whole tick with face and
    paste.
    """
    engine = LipSyncEngine(manifest, runtime, DEFAULT_SLOTS)
    jobs: dict[str, Callable[[], object]] = {
        f"our tick, {runtime.variant}": Tick(engine, 1),
        f"our tick with face and paste, {runtime.variant}": ClipTick(engine, material),
    }
    names = [f"our tick, {runtime.variant}"]
    if runtime.variant != REFERENCE:
        reference = start(f"{runtime.name}:{REFERENCE}", manifest, threads)
        names.append(f"our tick, {REFERENCE}")
        jobs[names[-1]] = Tick(LipSyncEngine(manifest, reference, DEFAULT_SLOTS), 1)
    parts = [
        count_work(manifest.path(graph, REFERENCE), inputs)
        for graph, inputs in graph_inputs(manifest, DEFAULT_SLOTS, runtime).items()
        if graph != NOT_IN_TICK
    ]
    work = Work(sum(part.params for part in parts), sum(part.macs for part in parts))
    return jobs, dict.fromkeys(names, work)


def _outcome(
    found: list[Contender],
    peers: list[PeerFacts],
    runtime: Runtime,
    threads: int,
    material: Material,
) -> Outcome:
    against = next((c.spent.p50 for c in found if c.name == AGAINST), None)
    ours = found[0].spent.p50
    return Outcome(
        name="peers",
        tables=[_table(found, against, runtime, threads), _count_table(found, peers)],
        targets=[
            Target(
                f"our tick over {AGAINST}'s network, p50",
                ours / against if against else None,
                RATIO_LIMIT,
                "times",
            )
        ],
        data={
            "picture": material.names[0],
            "runtime": f"{runtime.name} {runtime.variant}",
            "threads": threads,
            "contenders": [asdict(contender) for contender in found],
        },
        remarks=[
            "the others' graphs are fp32 files, at the precision that the executor gives them"
        ],
        draw=lambda figure: _draw(figure, found),
    )


def _table(found: list[Contender], against: float | None, runtime: Runtime, threads: int) -> Table:
    rows: list[list[Cell]] = [
        [
            c.name,
            c.spent.p50,
            c.spent.p95,
            1000 / c.spent.p50,
            c.spent.p50 / against if against else None,
            c.work.gflop / (c.spent.p50 / 1000) if c.work else None,
        ]
        for c in found
    ]
    title = f"One frame on {runtime.name}, in turns, threads: {threads}"
    columns = ["", "p50 ms", "p95 ms", "frames/s", f"over {AGAINST}", "GFLOP/s"]
    return Table(title, columns, rows)


def _count_table(found: list[Contender], peers: list[PeerFacts]) -> Table:
    stated = {facts.name: facts for facts in peers}
    rows: list[list[Cell]] = []
    for c in found:
        if c.work is not None:
            theirs = stated.get(c.name)
            rows.append(
                [
                    c.name,
                    c.work.params / 1e6,
                    theirs.params / 1e6 if theirs else None,
                    c.work.gflop,
                    2e-9 * theirs.macs if theirs else None,
                ]
            )
    columns = ["", "M weights", "as defined", "GFLOP a frame", "as defined"]
    return Table("Size of the graphs, counted here and from their definitions", columns, rows)


def _draw(figure: Any, found: list[Contender]) -> None:
    axes = figure.add_subplot()
    names = [c.name for c in found]
    axes.barh(names, [c.spent.p95 for c in found], alpha=0.4, label="p95")
    axes.barh(names, [c.spent.p50 for c in found], label="p50")
    axes.invert_yaxis()
    axes.set_xlabel("ms a frame")
    axes.legend()
