"""The engine on a clip: each stage of a stream's tick, and how fast a dub is."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from engine import LipSyncEngine, SyncedFrame
from engine.audio import FPS
from engine.dub import DubJob, dub
from engine.media import MediaError, Movie
from engine.media.look import Look

from .errors import BenchError
from .figures import Spread, spread
from .material import RATE_HZ, Material

WARM_TICKS = 10
STEP = 16_000 // FPS  # samples of sound a tick
STAGES = ("face", "encode", "audio", "denoise", "decode", "paste")


class ClipTick:
    """One tick after another of a stream on the looping clip, already warm."""

    def __init__(self, engine: LipSyncEngine, material: Material) -> None:
        self.stream = engine.open_stream()
        self._pictures = material.there_and_back
        self._voice = np.ascontiguousarray(material.voice[::3])  # aliased: only time counts here
        self._count = 0
        for _ in range(WARM_TICKS):
            self()

    def __call__(self) -> list[SyncedFrame]:
        start = self._count * STEP % (len(self._voice) - STEP)
        picture = self._pictures[self._count % len(self._pictures)]
        self._count += 1
        self.stream.push_audio(self._voice[start : start + STEP])
        return self.stream.push_frame(picture)


def run_stream(
    engine: LipSyncEngine, material: Material, ticks: int
) -> tuple[dict[str, Spread | None], float]:
    """Stages and the whole tick on the 640x480 clip, in ms; and the share of synced frames."""
    tick = ClipTick(engine, material)
    spent: dict[str, list[float]] = {name: [] for name in (*STAGES, "whole tick")}
    synced = returned = 0
    for _ in range(ticks):
        begin = time.perf_counter()
        frames = tick()
        spent["whole tick"].append(1000 * (time.perf_counter() - begin))
        for name in STAGES:
            if name in tick.stream.stage_ms:
                spent[name].append(tick.stream.stage_ms[name])
        returned += len(frames)
        synced += sum(frame.mask is not None for frame in frames)
    tick.stream.close()
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
