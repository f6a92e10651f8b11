"""One call while other programs take the processor: what the sound does, and how long until the
picture is whole again.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from .outcome import Cell, Outcome, Table, Target
from .processes import Running
from .recording import Recording
from .replay import Arrival, RecordedCall, now_s
from .scrape import Scrape, concealed_ms, scrape
from .sound_path import SoundPath, sound_path

PERIOD_S = 0.25
SETTLE_S = 3.0
BUSY = "while True: pass"
WHOLE_FPS = 24.0
WHOLE_S = 1.0  # so long must pictures have come at that rate
RECOVERY_LIMIT_S = 3.0
KINDS = ("out", "repeated", "passed_through", "skipped")


@dataclass(frozen=True, slots=True)
class Moment:
    """Counters since the start, at `at_s` after the first; fps of the period before."""

    at_s: float
    frames: dict[str, float]  # keys of KINDS
    ladder: float
    concealed_ms: float  # sound on its way in


@dataclass(frozen=True, slots=True)
class Course:
    """began_s, ended_s: of the hog, on the moments' clock. sound: of the parts before, during and
    after. own_lag_ms: how long this program itself was kept from running, at most.
    """

    busy: int
    began_s: float
    ended_s: float
    moments: list[Moment]
    sound: tuple[SoundPath, SoundPath, SoundPath]
    own_lag_ms: float


@contextmanager
def hogs(count: int) -> "Iterator[list[subprocess.Popen[bytes]]]":
    """`count` processes that only compute."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait()


async def watch(server: Running, recording: Recording, *, busy: int, part_s: float) -> Course:
    """Raises BenchError, Refused."""
    call = RecordedCall(server.url, recording)
    moments: list[Moment] = []
    lags: list[float] = []
    try:
        await call.connect()
        await asyncio.sleep(min(SETTLE_S, part_s))
        start_s = now_s()
        lag = asyncio.create_task(_lag(lags))
        await _sample(server, moments, start_s, part_s)
        began_s = now_s() - start_s
        with hogs(busy):
            await _sample(server, moments, start_s, part_s)
        ended_s = now_s() - start_s
        await _sample(server, moments, start_s, part_s)
        over_s = now_s()
        lag.cancel()
    finally:
        await call.close()
    edges = (start_s, start_s + began_s, start_s + ended_s, over_s)
    sound = _parts(list(call.audio.arrivals), edges)
    return Course(busy, began_s, ended_s, moments, sound, 1000 * max(lags, default=0.0))


async def _lag(lags: list[float]) -> None:
    while True:
        before = now_s()
        await asyncio.sleep(0.01)
        lags.append(now_s() - before - 0.01)


async def _sample(server: Running, moments: list[Moment], start_s: float, part_s: float) -> None:
    end_s = now_s() + part_s
    while now_s() < end_s:
        moments.append(moment(await asyncio.to_thread(scrape, server.url), start_s))
        await asyncio.sleep(PERIOD_S)


def moment(metrics: Scrape, start_s: float) -> Moment:
    return Moment(
        metrics.at_s - start_s,
        {kind: metrics.value("frames_total", stage=kind) for kind in KINDS},
        metrics.value("ladder_step"),
        concealed_ms(metrics),
    )


def _parts(
    arrivals: Sequence[Arrival], edges: tuple[float, float, float, float]
) -> tuple[SoundPath, SoundPath, SoundPath]:
    """Before, during and after the hog. The last packet before a part counts with it, so that no
    gap falls between them; only after the last one has sound that stays away stopped.
    """
    parts = []
    for low, high in pairwise(edges):
        first = max(0, sum(a.at_s < low for a in arrivals) - 1)
        mine = [a for a in arrivals[first:] if a.at_s < high]
        parts.append(sound_path(mine, low, high if high == edges[-1] else low))
    before, during, after = parts
    return before, during, after


def rates(moments: Sequence[Moment], window_s: float = WHOLE_S) -> list[tuple[float, float]]:
    """(at_s, synced pictures a second over the last `window_s`)."""
    found = []
    for now in moments:
        then = [m for m in moments if m.at_s <= now.at_s - window_s + 1e-6]
        if then:
            passed_s = now.at_s - then[-1].at_s
            found.append((now.at_s, (now.frames["out"] - then[-1].frames["out"]) / passed_s))
    return found


def recovery_s(moments: Sequence[Moment], ended_s: float) -> float | None:
    """From the hog's end to the beginning of the first second that is whole, with the ladder at its
    top at the second's end. None: it did not come.
    """
    ladder = {m.at_s: m.ladder for m in moments}
    for at_s, fps in rates(moments):
        begun_s = at_s - WHOLE_S
        if begun_s >= ended_s - PERIOD_S and fps >= WHOLE_FPS and not ladder[at_s]:
            return max(0.0, begun_s - ended_s)
    return None


def outcome(course: Course, names: tuple[str, str]) -> Outcome:
    missing = sum(path.missing_ms for path in course.sound)
    steps = {int(m.ladder) for m in course.moments}
    during = [fps for at_s, fps in rates(course.moments) if course.began_s < at_s < course.ended_s]
    lowest = min(during, default=0.0)
    return Outcome(
        name="sessions-hog",
        tables=[_sound_table(course), _course_table(course)],
        targets=[
            Target("returned sound that never came", missing, 0.0, "ms"),
            Target(
                "whole again after the hog",
                recovery_s(course.moments, course.ended_s),
                RECOVERY_LIMIT_S,
                "s",
            ),
        ],
        data={"picture": names[0], "voice": names[1], **asdict(course), "steps": sorted(steps)},
        remarks=[
            f"{course.busy} busy processes from {course.began_s:.1f} to {course.ended_s:.1f} s",
            f"ladder steps seen: {', '.join(map(str, sorted(steps)))}",
            f"synced pictures in the hog's worst second: {lowest:.1f}",
            f"this program itself was held up for {course.own_lag_ms:.0f} ms at most",
        ],
        draw=lambda figure: _draw(figure, course),
    )


def _sound_table(course: Course) -> Table:
    rows: list[list[Cell]] = [
        [part, path.packets, path.missing_ms, path.longest_gap_ms]
        for part, path in zip(("before", "hog", "after"), course.sound, strict=True)
    ]
    columns = ["", "packets", "missing ms", "longest gap between arrivals ms"]
    return Table("Returned sound", columns, rows)


def _course_table(course: Course) -> Table:
    """A row a second."""
    rows: list[list[Cell]] = []
    before = course.moments[0]
    for now in course.moments[1:]:
        passed_s = now.at_s - before.at_s
        if passed_s < 1 - PERIOD_S / 2:
            continue
        gained = [(now.frames[kind] - before.frames[kind]) / passed_s for kind in KINDS]
        part = "hog" if course.began_s < now.at_s <= course.ended_s + 1 else ""
        concealed = now.concealed_ms - before.concealed_ms
        rows.append([f"{now.at_s:.1f}", part, *gained, int(now.ladder), concealed])
        before = now
    columns = ["second", "", *(f"{k.replace('_', ' ')}/s" for k in KINDS), "ladder", "concealed ms"]
    return Table("Course", columns, rows)


def _draw(figure: Any, course: Course) -> None:
    fps, ladder = figure.subplots(2, 1, sharex=True)
    found = rates(course.moments)
    fps.plot([at_s for at_s, _ in found], [value for _, value in found])
    fps.axhline(WHOLE_FPS, linestyle=":")
    fps.set_ylabel("synced pictures a second")
    ladder.step([m.at_s for m in course.moments], [m.ladder for m in course.moments], where="post")
    ladder.set_ylabel("ladder step")
    ladder.set_xlabel("seconds")
    for axes in (fps, ladder):
        axes.axvspan(course.began_s, course.ended_s, alpha=0.15)
