"""The engine on a clip: each stage of a stream's tick, and how fast a dub is."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from engine import LipSyncEngine
from engine.audio import FPS
from engine.dub import DubJob, dub
from engine.media import MediaError, Movie
from engine.media.look import Look

from .errors import BenchError
from .figures import Spread, spread
from .material import RATE_HZ, Material

WARM_TICKS = 10
MODEL_HZ = 16_000
STAGES = ("face", "encode", "audio", "denoise", "decode", "paste")


def run_stream(
    engine: LipSyncEngine, material: Material, ticks: int
) -> tuple[dict[str, Spread | None], float]:
    """Stages and the whole tick on the 640x480 clip, in ms; and the share of synced frames."""
    stream = engine.open_stream()
    voice = np.ascontiguousarray(material.voice[::3])  # aliased: only time counts here
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


def dub_speed(engine: LipSyncEngine, material: Material, seconds: float) -> float:
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
