"""What the graphs are really given: the float32 engine runs over pictures or clips while a voice
speaks, and the inputs of every call are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from itertools import cycle, islice
from pathlib import Path
from typing import TypeAlias

import numpy as np

from engine import LipSyncEngine
from engine.media import MediaError, Picture, Voice
from engine.runtime.onnxruntime import OnnxRuntime
from engine.runtime.protocol import (
    GRAPHS,
    REFERENCE,
    Input,
    Manifest,
    Runtime,
    Session,
    Tensor,
)
from training.splits import held_out, refuse_held_out

VOICE = Path(__file__).resolve().parent.parent / "web_client" / "demo" / "voice.mp3"
FACE = VOICE.with_name("face.mp4")
FACE_TICKS = 48  # enough of it
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg"}
PICTURES = 96  # at most, spread evenly over the folder
TICKS = 240  # in all
FEWEST_TICKS = 4  # of one picture: the first ones fill the window

Calls: TypeAlias = list[dict[str, Input]]


class Recorder:
    """A runtime that keeps what it was given, graph by graph."""

    def __init__(self, runtime: Runtime) -> None:
        self.name, self.variant = runtime.name, runtime.variant
        self.drawn = None  # what is recorded are faces
        self.calls: dict[str, Calls] = {graph: [] for graph in GRAPHS}
        self._runtime = runtime

    def load(self, path: Path) -> Session:
        return self._runtime.load(path)

    def run(self, graph: str, inputs: Mapping[str, Input]) -> list[Tensor]:
        self.calls[graph].append({k: np.array(v) for k, v in inputs.items()})
        return self._runtime.run(graph, inputs)

    def warming(self) -> AbstractContextManager[None]:
        return self._runtime.warming()


def calibration_files(folder: Path) -> list[Path]:
    """Pictures and clips of a folder, evenly spread, none of them held out by split.json.

    Raises:
        HeldOutError: the folder holds nothing but judged material.
        MediaError: it holds no picture and no clip.
    """
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    try:
        hidden = held_out("portraits")
    except FileNotFoundError:  # no data folder: what split.json names is not here either
        hidden = frozenset()
    else:
        paths = [p for p in paths if p.name not in hidden]
        refuse_held_out(paths)
    if not paths:
        raise MediaError(f"{folder}: holds no picture or clip to calibrate with")
    return [paths[i] for i in np.linspace(0, len(paths) - 1, min(PICTURES, len(paths))).astype(int)]


def record(weights: Path, paths: list[Path], ticks: int | None = None) -> dict[str, Calls]:
    """Inputs of every graph of the fp32 variant in `weights`, in the order of the calls; of `ticks`
    frames in all, TICKS by default.

    Raises:
        MediaError: a file is no picture.
        EngineError: the weights are not whole.
    """
    manifest = Manifest.read(weights)
    recorder = Recorder(OnnxRuntime(manifest, REFERENCE))
    engine = LipSyncEngine(manifest, recorder)
    heard = cycle([tick.pcm for tick in Voice(VOICE).ticks()])
    for path in paths:
        stream = engine.open_stream()
        share = max(FEWEST_TICKS, (ticks or TICKS) // len(paths))
        for rgb, pcm in zip(islice(Picture(path).frames(), share), heard, strict=False):
            stream.push_audio(pcm)
            stream.push_frame(rgb)
    return recorder.calls
