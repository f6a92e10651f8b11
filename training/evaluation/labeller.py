"""FaceLandmarker at work in the background: a few processes of the labelling Python."""

from __future__ import annotations

import os
import queue
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from training.evaluation.clip import Window

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "training" / "label.py"
VARIABLE = "OMNISYNC_LABELS_PYTHON"


class LabellingError(RuntimeError):
    """The labelling Python is missing or failed; one line says what to do."""


def labelling_python(named: Path | None) -> Path:
    """The interpreter that has MediaPipe: the one named, $OMNISYNC_LABELS_PYTHON, or
    .venv-labels of the checkout.

    Raises:
        LabellingError: there is none.
    """
    chosen = named or Path(os.environ.get(VARIABLE, ROOT / ".venv-labels" / "bin" / "python"))
    if not chosen.exists():
        raise LabellingError(
            f"no labelling Python at {chosen}: `make labels` makes .venv-labels;"
            f" or name one that has mediapipe with --labels-python or {VARIABLE}"
        )
    return chosen


class Labeller:
    """Labels files one after another in `jobs` processes, started when first needed."""

    def __init__(self, python: Path, model: Path, jobs: int) -> None:
        self._command = [str(python), str(SCRIPT), "--listen", "--model", str(model)]
        self._idle: queue.SimpleQueue[subprocess.Popen[str] | None] = queue.SimpleQueue()
        for _ in range(jobs):
            self._idle.put(None)
        self._started: list[subprocess.Popen[str]] = []
        self._threads = ThreadPoolExecutor(jobs)

    def submit(self, source: Path, target: Path, window: Window | None = None) -> Future[Path]:
        """Label `source` (a clip, picture, .npz or .npy of frames) into `target`; its path once it
        is there. window: where its face is, if there may be others. The future raises
        LabellingError.
        """
        return self._threads.submit(self._label, source, target, window)

    def _label(self, source: Path, target: Path, window: Window | None) -> Path:
        if target.exists():
            return target
        process = self._idle.get()
        try:
            if process is None:
                process = self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            sides = " ".join(str(side) for side in window or ())
            process.stdin.write(f"{source}\t{target}\t{sides}\n")
            process.stdin.flush()
            if process.stdout.readline().rstrip("\n") != str(target):
                raise LabellingError(f"the labelling Python failed on {source.name}")
        except BrokenPipeError as error:
            raise LabellingError("the labelling Python has ended") from error
        finally:
            self._idle.put(process)
        return target

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._started.append(process)
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise LabellingError(f"{self._command[0]} cannot label: is mediapipe installed there?")
        return process

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        for process in self._started:
            if process.stdin is not None:
                process.stdin.close()
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
