"""A call over a bad network: loss, jitter, reordering, a narrow line, an outage, all seeded.

A relay on this machine stands between the server and a caller that sends a recording. Each row is a
call of its own. The caller asks for lost pictures again, as browsers do; neither side changes its
rate.
"""

import argparse
import asyncio
import time
from dataclasses import asdict, dataclass
from typing import Any

from engine.media import FPS

from .errors import BenchError
from .figures import Spread, new_pictures, spread
from .material import load_material
from .options import above_zero, count
from .outcome import Cell, Outcome, Table, Target
from .processes import Running, product
from .recording import Recording, record
from .relay import Condition, Relay, conditions
from .replay import RecordedCall, now_s
from .returned import (
    FREEZE_S,
    freezes,
    picture_ages_ms,
    pictures_in,
    skew_ms,
    steady_from_s,
)
from .scrape import Scrape, concealed_ms, scrape
from .sound_path import sound_path

NARROW_KBPS = 500.0
OUTAGE, OUTAGE_S = "outage", 1.0
STEADY_FPS = 24.0
SETTLE_S = 3.0
FIRST_LOSS_FPS = 24.0
RECOVERY_LIMIT_S = 3.0
SKEW_LIMIT_MS = 45.0


@dataclass(frozen=True, slots=True)
class Row:
    """One call under one condition. fps in: received by the server; out: pictures that came back,
    new: with another stamp than the one before. concealed_ms: sound the server made up;
    lost_sound_ms: returned sound that never came. Both of the whole period.
    """

    condition: str
    seconds: float
    fps_in: float
    fps_out: float
    fps_new: float
    freezes: int
    concealed_ms: float
    lost_sound_ms: float
    skew_ms: float | None
    age: Spread | None
    dropped: int


@dataclass(frozen=True, slots=True)
class Outage:
    """After a second without any packet, in s from its end; None: did not come."""

    first_new_s: float | None
    steady_s: float | None
    sound_s: float | None


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=above_zero, default=15, help="measured in each call (15)")
    parser.add_argument("--seed", type=int, default=0, help="of the network's accidents (0)")
    parser.add_argument(
        "--kbps", type=count, default=1500, help="bit rate of the pictures, both ways (1500)"
    )
    parser.add_argument(
        "--line",
        type=above_zero,
        default=NARROW_KBPS,
        metavar="KBPS",
        help="the narrow line's (500)",
    )
    parser.add_argument("--only", nargs="+", metavar="ROW", help="not all conditions; 'outage' too")


def run(options: argparse.Namespace) -> Outcome:
    """Raises BenchError."""
    material = load_material(options.picture, options.voice)
    recording = record(material, options.kbps)
    wanted = _wanted(conditions(options.line), options.only)
    flags = ("--video-kbps", str(options.kbps))
    rows, outage = [], None
    with product(options.output / "server.log", *flags) as server:
        for condition in wanted:
            job = _measure(server, recording, condition, options.seed, options.seconds)
            rows.append(asyncio.run(job))
        if not options.only or OUTAGE in options.only:
            outage = asyncio.run(_measure_outage(server, recording, options.seed, options.seconds))
    return _outcome(rows, outage, material.names, options.seed)


def _wanted(offered: list[Condition], only: list[str] | None) -> list[Condition]:
    names = [*(condition.name for condition in offered), OUTAGE]
    if unknown := [name for name in only or () if name not in names]:
        raise BenchError(f"no row '{unknown[0]}': choose among {', '.join(names)}")
    return [condition for condition in offered if not only or condition.name in only]


async def _measure(
    server: Running, recording: Recording, condition: Condition, seed: int, seconds: float
) -> Row:
    relay, call = Relay(seed), RecordedCall(server.url, recording, decode=True)
    try:
        await relay.start()
        await call.connect(relay.reroute)
        await asyncio.sleep(min(SETTLE_S, seconds))
        relay.take(condition)
        before, begin_s, dropped = await _scrape(server), now_s(), relay.dropped
        await asyncio.sleep(seconds)
        after, end_s = await _scrape(server), now_s()
        offset_s = time.time() - now_s()
        return _row(
            condition, call, recording, (before, after), (begin_s, end_s), offset_s,
            relay.dropped - dropped,
        )  # fmt: skip
    finally:
        await call.close()
        relay.close()


async def _scrape(server: Running) -> Scrape:
    return await asyncio.to_thread(scrape, server.url)


def _row(
    condition: Condition,
    call: RecordedCall,
    recording: Recording,
    metrics: tuple[Scrape, Scrape],
    period: tuple[float, float],
    offset_s: float,
    dropped: int,
) -> Row:
    before, after = metrics
    begin_s, end_s = period
    seconds = end_s - begin_s
    pictures = pictures_in(call, begin_s, end_s)
    received = after.value("frames_total", stage="in") - before.value("frames_total", stage="in")
    return Row(
        condition=condition.name,
        seconds=seconds,
        fps_in=received / seconds,
        fps_out=len(pictures) / seconds,
        fps_new=len(new_pictures(pictures)) / seconds,
        freezes=freezes(pictures, begin_s, end_s),
        concealed_ms=concealed_ms(after) - concealed_ms(before),
        lost_sound_ms=sound_path(
            [a for a in call.audio.arrivals if begin_s <= a.at_s < end_s], begin_s, end_s
        ).missing_ms,
        skew_ms=skew_ms(call, recording, begin_s, offset_s),
        age=spread(picture_ages_ms(pictures)),
        dropped=dropped,
    )


async def _measure_outage(
    server: Running, recording: Recording, seed: int, seconds: float
) -> Outage:
    relay, call = Relay(seed), RecordedCall(server.url, recording, decode=True)
    try:
        await relay.start()
        await call.connect(relay.reroute)
        await asyncio.sleep(min(SETTLE_S, seconds))
        relay.cut(True)
        await asyncio.sleep(OUTAGE_S)
        relay.cut(False)
        over_s = now_s()
        await asyncio.sleep(seconds)
    finally:
        await call.close()
        relay.close()
    shown = [p.at_s for p in new_pictures(pictures_in(call, over_s, now_s()))]
    heard = [a.at_s for a in call.audio.arrivals if a.at_s >= over_s]
    return Outage(
        shown[0] - over_s if shown else None,
        steady_from_s(call.pictures, over_s, STEADY_FPS),
        heard[0] - over_s if heard else None,
    )


def _outcome(rows: list[Row], outage: Outage | None, names: tuple[str, str], seed: int) -> Outcome:
    found = {row.condition: row for row in rows}
    skews = [abs(row.skew_ms) for row in rows if row.skew_ms is not None]
    targets = []
    if lossy := found.get("1 % loss"):
        targets.append(
            Target("new pictures at 1 % loss", lossy.fps_new, FIRST_LOSS_FPS, "a second", True)
        )
    if rows:
        worst = max(skews) if len(skews) == len(rows) else None
        targets.append(Target("sound against picture, the worst row", worst, SKEW_LIMIT_MS, "ms"))
    if outage is not None:
        targets.append(
            Target("steady after an outage of 1 s", outage.steady_s, RECOVERY_LIMIT_S, "s")
        )
    return Outcome(
        name="network",
        tables=[_table(rows), *([_outage_table(outage)] if outage else [])],
        targets=targets,
        data={
            "picture": names[0],
            "voice": names[1],
            "seed": seed,
            "rows": [asdict(row) for row in rows],
            "outage": asdict(outage) if outage else None,
        },
        remarks=["delay: from sending to decoding, one caller without a browser's jitter buffer"],
        draw=(lambda figure: _draw(figure, rows)) if rows else None,
    )


def _table(rows: list[Row]) -> Table:
    clean = next((row.age.p50 for row in rows if row.condition == "clean" and row.age), None)
    cells: list[list[Cell]] = [
        [
            row.condition, row.dropped, row.fps_in, row.fps_out, row.fps_new, row.freezes,
            row.concealed_ms, row.lost_sound_ms, row.skew_ms,
            row.age.p50 if row.age else None, row.age.p95 if row.age else None,
            row.age.p50 - clean if row.age and clean is not None else None,
        ]
        for row in rows
    ]  # fmt: skip
    columns = [
        "network", "packets dropped", "fps in", "fps out", "new", f"freezes > {FREEZE_S:.1f} s",
        "sound made up ms", "sound lost ms", "A/V skew ms", "delay p50 ms", "p95 ms", "added ms",
    ]  # fmt: skip
    return Table(f"A call of {FPS} fps over bad networks", columns, cells)


def _outage_table(outage: Outage) -> Table:
    row: list[Cell] = ["1 s without a packet", outage.sound_s, outage.first_new_s, outage.steady_s]
    columns = ["", "sound back s", "first new picture s", f"{STEADY_FPS:.0f} fps from s"]
    return Table("After an outage, from its end", columns, [row])


def _draw(figure: Any, rows: list[Row]) -> None:
    fps, delay = figure.subplots(1, 2, sharey=True)
    names = [row.condition for row in rows]
    fps.barh(names, [row.fps_out for row in rows], alpha=0.4, label="returned")
    fps.barh(names, [row.fps_new for row in rows], label="new")
    fps.set_xlabel("pictures a second")
    fps.invert_yaxis()
    fps.legend()
    delay.barh(names, [row.age.p95 if row.age else 0 for row in rows], alpha=0.4, label="p95")
    delay.barh(names, [row.age.p50 if row.age else 0 for row in rows], label="p50")
    delay.set_xlabel("delay, ms")
    delay.legend()
