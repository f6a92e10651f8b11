"""The engine alone, one thread: each graph, each stage of a tick, the whole tick, and a dub.

No network and no browser. Needs nothing but the weights.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from engine import LipSyncEngine
from engine.audio import FPS, MEL_COLUMNS, N_MELS, SILENCE_LEVEL
from engine.dub import DubJob, dub
from engine.media import MediaError, Movie
from engine.media.look import Look
from engine.stream import WindowInput

from .errors import BenchError
from .figures import Spread, spread
from .material import RATE_HZ, Material, load_material
from .outcome import Outcome, Table, Target

TICK_LIMIT_MS = 40.0
MODEL_LIMIT_MS = 20.0  # encoder, denoiser and decoder in DESIGN's budget
DUB_LIMIT = 1.5  # times real time
WARM_TICKS = 10
MODEL_HZ = 16_000
PATCH = 96  # px of the landmark net's input
STAGES = ("face", "encode", "audio", "denoise", "decode", "paste")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=20, help="of clip run through (20)")
    parser.add_argument("--threads", type=int, default=1, help="of one model call (1)")
    parser.add_argument("--runtime", help="engine runtime; default: best of this machine")
    parser.add_argument("--weights", type=Path, help="folder of graphs instead of the shipped one")


def run(options: argparse.Namespace) -> Outcome:
    """Raises BenchError, EngineError."""
    material = load_material(options.picture, options.voice)
    engine = LipSyncEngine.load(
        weights=options.weights, runtime=options.runtime, threads=options.threads
    )
    ticks = max(WARM_TICKS, round(options.seconds * FPS))
    graphs = {name: _timed(job, ticks) for name, job in _graph_calls(engine).items()}
    stages, synced = _run_stream(engine, material, ticks)
    speed = _dub_speed(engine, material, options.seconds)
    times = {"graphs": graphs, "stages": stages}
    return _outcome(engine, material, times, synced, speed, options.threads)


def _timed(job: Callable[[], object], count: int) -> Spread | None:
    spent = []
    for _ in range(count + WARM_TICKS):
        begin = time.perf_counter()
        job()
        spent.append(1000 * (time.perf_counter() - begin))
    return spread(spent[WARM_TICKS:])


def _graph_calls(engine: LipSyncEngine) -> dict[str, Callable[[], object]]:
    """One call of each graph as a tick makes it, on random input."""
    rng = np.random.default_rng(0)
    slots, side = len(engine.levels), engine.latent_side
    crop = rng.integers(0, 255, (engine.facts.crop_px, engine.facts.crop_px, 3), dtype=np.uint8)
    latents = rng.standard_normal((slots, engine.latent_channels, side, side)).astype(np.float32)
    mel = np.full((slots, N_MELS, MEL_COLUMNS), SILENCE_LEVEL, np.float32)
    heard = np.ones((slots, MEL_COLUMNS), np.float32)
    patch = rng.uniform(-1, 1, (1, 3, PATCH, PATCH)).astype(np.float32)
    level = np.array(engine.levels, np.float32)
    tokens = engine.hear(mel, heard)
    window = WindowInput(latents, latents, level, tokens, 1.0, (0.5, 0.5))
    return {
        "landmarks": lambda: engine.landmarks(patch),
        "encoder": lambda: engine.encode(crop),
        "audio": lambda: engine.hear(mel, heard),
        "denoiser": lambda: engine.denoise([window]),
        "decoder": lambda: engine.decode(latents[0]),
        "motion": lambda: engine.move(latents[0], latents[1]),
    }


def _run_stream(
    engine: LipSyncEngine, material: Material, ticks: int
) -> tuple[dict[str, Spread | None], float]:
    """Stages and the whole tick on the 640x480 clip; and the share of synced frames."""
    stream = engine.open_stream()
    voice = _model_voice(material)
    step = MODEL_HZ // FPS
    spent: dict[str, list[float]] = {name: [] for name in (*STAGES, "whole tick")}
    synced = returned = 0
    pictures = [*material.pictures, *material.pictures[-2:0:-1]]
    for n in range(ticks + WARM_TICKS):
        start = n * step % (len(voice) - step)
        stream.push_audio(voice[start : start + step])
        begin = time.perf_counter()
        frames = stream.push_frame(pictures[n % len(pictures)])
        whole = 1000 * (time.perf_counter() - begin)
        if n < WARM_TICKS:
            continue
        for name in STAGES:
            if name in stream.stage_ms:
                spent[name].append(stream.stage_ms[name])
        spent["whole tick"].append(whole)
        returned += len(frames)
        synced += sum(frame.mask is not None for frame in frames)
    stream.close()
    return {name: spread(values) for name, values in spent.items()}, synced / max(1, returned)


def _model_voice(material: Material) -> np.ndarray:
    """(S,) int16 at 16 kHz: every third sample is good enough where only time counts."""
    return np.ascontiguousarray(material.voice[::3])


def _dub_speed(engine: LipSyncEngine, material: Material, seconds: float) -> float:
    """Seconds of output a second, as `omnisync dub` works: reading, model and writing overlap."""
    repeats = 1 + int(seconds * RATE_HZ / len(material.voice))
    voice = np.tile(material.voice, repeats)[: round(seconds * RATE_HZ)]
    with tempfile.TemporaryDirectory(prefix="omnisync-bench-") as name:
        job = DubJob(Path(name, "clip.mp4"), Path(name, "voice.wav"), Path(name, "dubbed.mp4"))
        replace(material, voice=voice).write_wav(job.voice)
        try:
            _write_clip(material, job.video)
            begin = time.perf_counter()
            report = dub(engine, job)
        except MediaError as error:
            raise BenchError(str(error)) from error
        return report.frames / FPS / (time.perf_counter() - begin)


def _write_clip(material: Material, path: Path) -> None:
    frame = av.VideoFrame(material.pictures[0].shape[1], material.pictures[0].shape[0], "yuv420p")
    silence = np.zeros((1, RATE_HZ // FPS), np.int16)
    with Movie(path, Look.of(frame, (1, 1)), channels=1) as movie:
        for rgb in material.pictures:
            movie.write_frame(rgb)
            movie.write_sound(silence)


def _outcome(
    engine: LipSyncEngine,
    material: Material,
    times: dict[str, dict[str, Spread | None]],
    synced: float,
    speed: float,
    threads: int,
) -> Outcome:
    facts = engine.facts
    tick = times["stages"]["whole tick"]
    model = [times["graphs"][name] for name in ("encoder", "denoiser", "decoder")]
    return Outcome(
        name="engine",
        tables=[
            _table(
                f"Graphs of {facts.model} on {facts.runtime}, {threads} thread", times["graphs"]
            ),
            _table("Stages of a tick on a 640x480 clip", times["stages"]),
        ],
        targets=[
            Target("whole tick, p95", tick.p95 if tick else None, TICK_LIMIT_MS, "ms"),
            Target(
                "encoder, denoiser and decoder, sum of p95",
                sum(found.p95 for found in model if found) if all(model) else None,
                MODEL_LIMIT_MS,
                "ms",
            ),
            Target("dub against real time", speed, DUB_LIMIT, "times", at_least=True),
        ],
        data={
            "picture": material.names[0],
            "voice": material.names[1],
            "engine": asdict(facts),
            "threads": threads,
            "synced_share": synced,
            "dub_speed": speed,
            "times_ms": {
                kind: {name: asdict(found) if found else None for name, found in group.items()}
                for kind, group in times.items()
            },
        },
        remarks=[f"{100 * synced:.0f} % of the frames had a face and were synced"],
        draw=lambda figure: _draw(figure, times),
    )


def _table(title: str, times: dict[str, Spread | None]) -> Table:
    rows: list[list[str | int | float | None]] = [
        [name, found.count, found.p50, found.p95, found.p99]
        for name, found in times.items()
        if found is not None
    ]
    return Table(title, ["", "count", "p50 ms", "p95 ms", "p99 ms"], rows)


def _draw(figure: Any, times: dict[str, dict[str, Spread | None]]) -> None:
    axes = figure.subplots(1, len(times))
    for part, (kind, group) in zip(axes, times.items(), strict=True):
        found = {name: value for name, value in group.items() if value is not None}
        part.barh(list(found), [value.p95 for value in found.values()], alpha=0.4, label="p95")
        part.barh(list(found), [value.p50 for value in found.values()], label="p50")
        part.invert_yaxis()
        part.set_xlabel("ms")
        part.set_title(kind)
        part.legend()
