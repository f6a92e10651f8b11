"""The engine alone: each graph and the whole tick for each runtime and variant, a clip, a dub.

No network and no browser. GFLOP/s and the share of the machine's matrix-product limit need onnx
(the export extra).
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine import LipSyncEngine
from engine.audio import FPS
from engine.engine import WEIGHTS
from engine.runtime.choice import Choice, choices, start
from engine.runtime.protocol import Manifest

from .clip_speed import WARM_TICKS, dub_speed, run_stream
from .errors import BenchError
from .figures import Spread
from .material import Material, load_material
from .model_speed import DEFAULT_SLOTS, ModelSpeed, measure_model
from .options import above_zero, count
from .outcome import Cell, Outcome, Table, Target

TICK_LIMIT_MS = 40.0
MODEL_LIMITS_MS = {"onnxruntime": 16.0, "openvino": 12.0}  # one thread, three slots
DUB_LIMIT = 1.5  # times real time
SLOTS, BATCHES = [1, 2, 3, 4], [1, 2, 4]
COUNT, QUICK_COUNT = 100, 20
MODEL_STAGES = "encode, audio, denoise, decode, motion"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=above_zero, default=20, help="of clip run through (20)")
    parser.add_argument("--threads", type=count, default=1, help="of one model call (1)")
    parser.add_argument(
        "--runtime", metavar="NAME[:VARIANT]", help="only this one; default: all of this machine"
    )
    parser.add_argument("--weights", type=Path, help="folder of graphs instead of the shipped one")
    parser.add_argument(
        "--quick", action="store_true", help="three slots, one stream, fewer runs, 4 s of clip"
    )


def run(options: argparse.Namespace) -> Outcome:
    """Raises BenchError, EngineError."""
    material = load_material(options.picture, options.voice)
    manifest = Manifest.read(options.weights or WEIGHTS)
    offered = _asked(choices(manifest), options.runtime)
    models = list(_measured(offered, manifest, options))
    seconds = min(4.0, options.seconds) if options.quick else options.seconds
    engine = LipSyncEngine.load(
        weights=options.weights, runtime=options.runtime, threads=options.threads
    )
    stages, synced = run_stream(engine, material, max(WARM_TICKS, round(seconds * FPS)))
    speed = dub_speed(engine, material, seconds)
    return _outcome(engine, material, offered, models, stages, synced, speed, options.threads)


def _asked(offered: list[Choice], wanted: str | None) -> list[Choice]:
    if not wanted or wanted == "auto":
        return offered
    runtime, _, variant = wanted.partition(":")
    kept = [c for c in offered if c.runtime == runtime and variant in ("", c.variant)]
    if not kept:
        raise BenchError(f"no runtime '{wanted}': choose one of {', '.join(map(str, offered))}")
    return kept


def _measured(
    offered: list[Choice], manifest: Manifest, options: argparse.Namespace
) -> Iterator[ModelSpeed]:
    slots = [n for n in SLOTS if n in manifest.levels]
    for choice in offered:
        if choice.hindrance:
            continue
        yield measure_model(
            str(choice),
            manifest,
            start(str(choice), manifest, options.threads),
            threads=options.threads,
            count=QUICK_COUNT if options.quick else COUNT,
            slots=[DEFAULT_SLOTS] if options.quick else slots,
            batches=[1] if options.quick else BATCHES,
        )


def _outcome(
    engine: LipSyncEngine,
    material: Material,
    offered: list[Choice],
    models: list[ModelSpeed],
    stages: dict[str, Spread | None],
    synced: float,
    speed: float,
    threads: int,
) -> Outcome:
    whole = stages["whole tick"]
    return Outcome(
        name="engine",
        tables=[
            _tick_table(models),
            *(_graph_table(model) for model in models),
            _stage_table(engine, stages),
        ],
        targets=[
            *(_model_targets(models) if threads == 1 else ()),
            Target("whole tick on a clip, p95", whole.p95 if whole else None, TICK_LIMIT_MS, "ms"),
            Target("dub against real time", speed, DUB_LIMIT, "times", at_least=True),
        ],
        data={
            "picture": material.names[0],
            "voice": material.names[1],
            "engine": asdict(engine.facts),
            "synced_share": synced,
            "dub_speed": speed,
            "models": [asdict(model) for model in models],
            "stages_ms": {name: asdict(s) if s else None for name, s in stages.items()},
        },
        remarks=_remarks(offered, models, synced),
        draw=lambda figure: _draw(figure, models, stages),
    )


def _model_targets(models: list[ModelSpeed]) -> list[Target]:
    """Of each runtime the best variant."""
    targets = []
    for runtime, limit in MODEL_LIMITS_MS.items():
        ticks = {
            model.name: tick.p95
            for model in models
            if model.name.startswith(f"{runtime}:") and (tick := model.tick(DEFAULT_SLOTS))
        }
        if ticks:
            best = min(ticks, key=lambda name: ticks[name])
            targets.append(Target(f"model tick on {best}, p95", ticks[best], limit, "ms"))
    return targets


def _tick_table(models: list[ModelSpeed]) -> Table:
    rows: list[list[Cell]] = [
        [
            model.name, t.slots, t.batch, t.tick.p50, t.tick.p95, t.tick.p50 / t.batch,
            t.denoiser.p50, t.denoiser.p95,
        ]
        for model in models
        for t in model.ticks
    ]  # fmt: skip
    columns = [
        "", "slots", "streams", "tick p50 ms", "p95 ms", "a stream p50", "denoiser p50", "p95",
    ]  # fmt: skip
    threads = f"threads: {models[0].threads}" if models else ""
    return Table(f"Model tick ({MODEL_STAGES}), {threads}", columns, rows)


def _graph_table(model: ModelSpeed) -> Table:
    rows: list[list[Cell]] = []
    for graph in model.graphs:
        gflops, limit = graph.gflops, model.limit_gflops
        share = 100 * gflops / limit if gflops and limit else None
        gflop = graph.work.gflop if graph.work else None
        params = graph.work.params / 1e6 if graph.work else None
        rows.append([graph.graph, graph.spent.p50, graph.spent.p95, params, gflop, gflops, share])
    limit_text = f"{model.limit_gflops:.0f} GFLOP/s" if model.limit_gflops else "not measured"
    columns = ["", "p50 ms", "p95 ms", "M weights", "GFLOP", "GFLOP/s", "% of limit"]
    return Table(f"Graphs on {model.name}; limit of matrix products {limit_text}", columns, rows)


def _stage_table(engine: LipSyncEngine, stages: dict[str, Spread | None]) -> Table:
    rows: list[list[Cell]] = [
        [name, found.count, found.p50, found.p95, found.p99]
        for name, found in stages.items()
        if found is not None
    ]
    title = f"Stages of a tick on a 640x480 clip, {engine.facts.runtime}"
    return Table(title, ["", "count", "p50 ms", "p95 ms", "p99 ms"], rows)


def _remarks(offered: list[Choice], models: list[ModelSpeed], synced: float) -> list[str]:
    remarks = [f"{c} cannot run here: {c.hindrance}" for c in offered if c.hindrance]
    if any(model.limit_gflops is None for model in models):
        remarks.append("no GFLOP/s: onnx is not installed (pip install -e '.[export]')")
    return [*remarks, f"{100 * synced:.0f} % of the frames had a face and were synced"]


def _draw(figure: Any, models: list[ModelSpeed], stages: dict[str, Spread | None]) -> None:
    graphs, clip = figure.subplots(1, 2)
    names = [model.name for model in models]
    left = [0.0] * len(models)
    for n, graph in enumerate(models[0].graphs if models else []):
        spent = [model.graphs[n].spent.p50 for model in models]
        graphs.barh(names, spent, left=left, label=graph.graph)
        left = [a + b for a, b in zip(left, spent, strict=True)]
    graphs.set_xlabel("graphs, p50, ms")
    graphs.legend(fontsize="small")
    found = {name: value for name, value in stages.items() if value is not None}
    clip.barh(list(found), [value.p95 for value in found.values()], alpha=0.4, label="p95")
    clip.barh(list(found), [value.p50 for value in found.values()], label="p50")
    clip.invert_yaxis()
    clip.set_xlabel("stages on a clip, ms")
    clip.legend(fontsize="small")
