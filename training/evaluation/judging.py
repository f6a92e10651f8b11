"""Clips through engine and judge, one being labelled while the next is rendered; results kept by
what made them.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

import engine
from engine.engine import WEIGHTS
from training.evaluation.clip import Clip
from training.evaluation.figures import Judgement
from training.evaluation.labeller import Labeller
from training.evaluation.measure.measured import Measured, Measurer
from training.evaluation.measure.render import Rendered
from training.evaluation.stock import key_of

TRAINING = Path(__file__).resolve().parent.parent
AHEAD = 2  # clips that wait for the judge


@dataclass(frozen=True)
class Conditions:
    """What is judged."""

    weights: Path | None
    slots: int
    strength: float
    runtime: str

    @property
    def key(self) -> str:
        """Of the weights, the engine's code (but for what reads and writes files), the measures'
        code and the settings.
        """
        weights, root = self.weights or WEIGHTS, Path(engine.__file__).parent
        code = [p for p in sorted(root.rglob("*.py")) if p.parent != root / "media"]
        code += sorted((TRAINING / "evaluation" / "measure").glob("*.py"))
        code += [TRAINING / name for name in ("sharpness.py", "lip_pose.py", "label.py")]
        digest = hashlib.sha256()
        for path in [*sorted(weights.glob("*.onnx")), weights / "manifest.json", *code]:
            digest.update(path.read_bytes())
        settings = key_of(self.slots, self.strength, self.runtime)
        return f"{digest.hexdigest()[:16]}-{settings[:8]}"


class _Waiting(NamedTuple):
    clip: Clip
    rendered: Rendered
    labels: Future[Path]
    kept: Path


class Court:
    """Judges clips. `folder` keeps results; several runs may share it."""

    def __init__(self, folder: Path, key: str, measurer: Measurer, labeller: Labeller) -> None:
        self._results = folder / "results" / key
        self._results.mkdir(parents=True, exist_ok=True)
        self._frames = Path(mkdtemp(prefix="frames-", dir=folder))
        self._measurer, self._labeller = measurer, labeller

    def judge(self, clips: list[Clip]) -> Iterator[Judgement]:
        """In order. Raises LabellingError."""
        waiting: deque[_Waiting] = deque()
        for clip in clips:
            kept = self._results / f"{_clip_key(clip)}.npz"
            if not kept.exists():
                waiting.append(self._render(clip, kept))
            while len(waiting) > AHEAD:
                self._finish(waiting.popleft())
        while waiting:
            self._finish(waiting.popleft())
        for clip in clips:
            kept = self._results / f"{_clip_key(clip)}.npz"
            yield Judgement(clip, Measured.load(kept))

    def _render(self, clip: Clip, kept: Path) -> _Waiting:
        file = self._frames / f"{kept.stem}.npy"
        labels = file.with_suffix(".labels.npz")
        rendered = self._measurer.render(clip, file)
        found = self._labeller.submit(rendered.judged, labels, clip.source.picture.window)
        return _Waiting(clip, rendered, found, kept)

    def _finish(self, waiting: _Waiting) -> None:
        labels = waiting.labels.result()
        self._measurer.measure(waiting.clip, waiting.rendered, labels).save(waiting.kept)
        for file in {waiting.rendered.frames, waiting.rendered.judged}:
            file.unlink()
        labels.unlink()

    def close(self) -> None:
        shutil.rmtree(self._frames, ignore_errors=True)


def _clip_key(clip: Clip) -> str:
    drive = clip.drive
    return key_of(
        *(clip.source.key, drive.name, hashlib.sha256(drive.pcm.tobytes()).hexdigest()),
        *(drive.opening.tobytes(), clip.judge, clip.segments, clip.repeats),
    )
