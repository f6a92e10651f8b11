"""`omnisync dub`: make the face of a clip or a still picture speak a recorded voice, offline.

Reading, the model and writing overlap, each in a thread of its own.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from engine import EngineError, LipSyncEngine, LipSyncStream, Person, PersonError, SyncedFrame
from engine.media import FPS, MediaError, Movie, Picture, Voice, VoiceTick, read_ahead

Box = tuple[int, int, int, int]
Synced = tuple[list[SyncedFrame], np.ndarray | None]

MAX_STRENGTH = 2.0
_AHEAD_FRAMES = 8
_BAR_CELLS = 30
_BAR_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class DubJob:
    """One dub; face_box is (x, y, width, height) in pixels of the upright picture, or None; person
    is a folder of `omnisync personalize`.
    """

    video: Path
    voice: Path
    output: Path
    strength: float = 1.0
    face_box: Box | None = None
    person: Path | None = None


@dataclass(slots=True)
class DubReport:
    """Frames written so far, those of them that had no face, and how many will come (or None)."""

    frames: int = 0
    without_face: int = 0
    expected: int | None = None


def dub(
    engine: LipSyncEngine, job: DubJob, progress: Callable[[DubReport], None] | None = None
) -> DubReport:
    """Write job.output, as long as the voice; blocks. `progress` is called after every tick.

    Raises MediaError (one line) on input or output that cannot be used; no file is left then.
    """
    picture, voice = Picture(job.video), Voice(job.voice)
    _check(job, picture)
    report = DubReport(expected=voice.length_ticks)
    ticks = read_ahead(_ticks(picture, voice), _AHEAD_FRAMES)
    synced = read_ahead(_sync(engine, job, ticks), _AHEAD_FRAMES)
    with closing(synced), Movie(job.output, picture.look, voice.channels) as movie:
        for frames, sound in synced:
            if sound is not None:
                movie.write_sound(sound)
            for frame in frames:
                movie.write_frame(frame.rgb)
                report.frames += 1
                report.without_face += not frame.face_found
            if progress is not None:
                progress(report)
    return report


def _check(job: DubJob, picture: Picture) -> None:
    if job.output.is_dir():
        raise MediaError(f"{job.output}: is a folder")
    for source in (job.video, job.voice):
        if job.output.exists() and job.output.samefile(source):
            raise MediaError(f"{job.output}: is an input; choose another output")
    if job.face_box is not None:
        x, y, width, height = job.face_box
        if x + width > picture.look.width or y + height > picture.look.height:
            size = f"{picture.look.width}x{picture.look.height}"
            raise MediaError(f"{job.video}: the face box does not lie inside its {size} pixels")


def _ticks(picture: Picture, voice: Voice) -> Generator[tuple[np.ndarray, VoiceTick], None, None]:
    with closing(picture.frames()) as frames, closing(voice.ticks()) as ticks:
        # The voice comes first: it ends, the picture does not.
        for tick in ticks:
            yield next(frames), tick


def _sync(
    engine: LipSyncEngine,
    job: DubJob,
    ticks: Generator[tuple[np.ndarray, VoiceTick], None, None],
) -> Generator[Synced, None, None]:
    with closing(ticks), closing(_open(engine, job)) as stream:
        for rgb, tick in ticks:
            stream.push_audio(tick.pcm)
            yield stream.push_frame(rgb), tick.sound
        yield stream.flush(), None


def _open(engine: LipSyncEngine, job: DubJob) -> LipSyncStream:
    person = None if job.person is None else Person.read(job.person)
    return engine.open_stream(job.strength, job.face_box, person=person, patient=True)


class ProgressBar:
    """A bar on a terminal; nothing at all elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._started = self._last = time.monotonic()

    def __call__(self, report: DubReport) -> None:
        now = time.monotonic()
        if self._shown and now - self._last >= _BAR_EVERY_S:
            self._last = now
            speed = report.frames / FPS / (now - self._started)
            self._draw(f"{report.frames / FPS:.1f} s, {speed:.1f}x real time", report)

    def end(self) -> None:
        if self._shown:
            self._draw("", None)

    def _draw(self, text: str, report: DubReport | None) -> None:
        if report is not None and report.expected:
            part = min(1.0, report.frames / report.expected)
            full = round(part * _BAR_CELLS)
            text = f"[{'#' * full}{'.' * (_BAR_CELLS - full)}] {part:4.0%}  {text}"
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; --help has the rest."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 done, 1 the engine does not start, 2 bad input, 130 interrupted."""
    job = _parse(sys.argv[1:] if argv is None else argv)
    bar = ProgressBar()
    try:
        for path in (job.video, job.voice):
            if not path.is_file():
                raise MediaError(f"{path}: no such file")
        report = dub(LipSyncEngine.load(threads=max(1, (os.cpu_count() or 2) // 2)), job, bar)
    except (MediaError, EngineError) as error:
        bar.end()
        print(f"omnisync dub: {error}", file=sys.stderr)
        return 2 if isinstance(error, MediaError | PersonError) else 1
    except KeyboardInterrupt:
        bar.end()
        print("omnisync dub: interrupted", file=sys.stderr)
        return 130
    bar.end()
    if report.without_face:
        print(
            f"omnisync dub: no face in {report.without_face} of {report.frames} frames, which stay"
            " as they were; --face-box X,Y,W,H says where it is",
            file=sys.stderr,
        )
    return 0


def _parse(argv: list[str]) -> DubJob:
    parser = _Parser(prog="omnisync dub", description=__doc__)
    parser.add_argument("--video", required=True, type=Path, help="a clip or a still picture")
    parser.add_argument(
        "--audio",
        dest="voice",
        metavar="VOICE",
        required=True,
        type=Path,
        help="any file with sound",
    )
    parser.add_argument("--output", required=True, type=Path, help="the MP4 file to write")
    parser.add_argument(
        "--strength", type=_strength, default=1.0, help="0 to 2: how far the mouth follows (1)"
    )
    parser.add_argument(
        "--face-box", type=_box, metavar="X,Y,W,H", help="where the face is, in pixels"
    )
    parser.add_argument(
        "--person", type=Path, metavar="DIR", help="what `omnisync personalize` wrote for the face"
    )
    return DubJob(**vars(parser.parse_args(argv)))


def _strength(text: str) -> float:
    value = float(text)
    if not 0 <= value <= MAX_STRENGTH:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 2")
    return value


def _box(text: str) -> Box:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is not four whole numbers") from error
    if min(x, y) < 0 or min(width, height) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a box inside a picture")
    return x, y, width, height


if __name__ == "__main__":
    sys.exit(main())
