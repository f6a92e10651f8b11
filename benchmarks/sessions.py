"""How many calls the server carries: clients that send a recording join until something gives.

The clients neither encode nor decode. The ramp ends where synced pictures fall below 24 a second
in any call, the tick's p95 exceeds its 40 ms, sound is lost, quality is given up, or the server
takes no further call; --unlimited takes the server's own limit away. With --hog N there is one call
instead, and for a while N busy processes beside it.
"""

import argparse
import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from . import hog
from .calls import server_figures
from .errors import BenchError
from .material import load_material
from .options import above_zero, count
from .outcome import Cell, Outcome, Table, Target
from .processes import Running, cpu_s, product
from .recording import Recording, record
from .replay import RecordedCall, Refused, now_s
from .scrape import Scrape, bucket_quantile, scrape
from .sound_path import pictures_per_second, sound_path

KBPS = 1500
MANY = 64
NEW_FPS_LIMIT = 24.0
TICK_LIMIT_MS = 40.0
LEAST_SESSIONS = 2
SETTLE_S = 3.0


@dataclass(frozen=True, slots=True)
class Load:
    """A period with `sessions` calls. synced_fps: of all, the mean, and of the worst call, the
    least; received_fps: of the worst. cpu: percent of one core. ladder: the lowest step.
    """

    server: str
    sessions: int
    synced_fps: float
    least_synced_fps: float
    received_fps: float
    tick_p50_ms: float | None
    tick_p95_ms: float | None
    not_new: float | None  # percent
    skipped: float  # a second, all calls
    sound_missing_ms: float
    server_cpu: float | None
    client_cpu: float | None
    ladder: int

    @property
    def breaks(self) -> str:
        """What gave, or nothing."""
        reasons = []
        if self.least_synced_fps < NEW_FPS_LIMIT:
            reasons.append(f"{self.least_synced_fps:.1f} synced fps")
        if self.tick_p95_ms is None or self.tick_p95_ms > TICK_LIMIT_MS:
            reasons.append("tick p95")
        if self.sound_missing_ms:
            reasons.append("sound")
        if self.ladder:
            reasons.append(f"quality, step {self.ladder}")
        return ", ".join(reasons)


@dataclass(frozen=True, slots=True)
class Ramp:
    """One server's. refusal: what came instead of the next call, with whether that was clean."""

    server: str
    loads: list[Load]
    refusal: str
    clean: bool | None

    @property
    def carried(self) -> int:
        return max((load.sessions for load in self.loads if not load.breaks), default=0)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--most", type=count, default=8, help="calls at a time (8)")
    parser.add_argument(
        "--seconds", type=above_zero, default=15, help="measured at each number (15)"
    )
    parser.add_argument("--runtime", metavar="NAME[:VARIANT]", help="the server's")
    parser.add_argument(
        "--unlimited", action="store_true", help="no limit of the server's own: see what gives"
    )
    parser.add_argument(
        "--batching", nargs="+", metavar="MODE", help="a ramp for each value of this setting"
    )
    parser.add_argument(
        "--hog", type=count, metavar="N", help="one call, N busy processes for a while"
    )
    parser.add_argument(
        "--hog-seconds",
        type=above_zero,
        default=10,
        help="before, during and after the hog, each (10)",
    )


def run(options: argparse.Namespace) -> Outcome:
    """Raises BenchError."""
    material = load_material(options.picture, options.voice)
    recording = record(material, KBPS)
    flags = ("--runtime", options.runtime) if options.runtime else ()
    if options.hog:
        with product(options.output / "server.log", *flags) as server:
            course = asyncio.run(
                hog.watch(server, recording, busy=options.hog, part_s=options.hog_seconds)
            )
        return hog.outcome(course, material.names)
    if options.unlimited:
        flags = (*flags, "--max-sessions", str(MANY))
    ramps = []
    for mode in options.batching or [None]:
        chosen = (*flags, "--batching", mode) if mode else flags
        with product(options.output / "server.log", *chosen) as server:
            name = " ".join(chosen).replace("--", "") or "as it starts"
            ramps.append(asyncio.run(_ramp(name, server, recording, options.most, options.seconds)))
    return _outcome(ramps, material.names, limited=not options.unlimited)


async def _ramp(
    name: str, server: Running, recording: Recording, most: int, seconds: float
) -> Ramp:
    calls: list[RecordedCall] = []
    loads: list[Load] = []
    refusal, clean = "", None
    try:
        while len(calls) < most and not (loads and loads[-1].breaks):
            call = RecordedCall(server.url, recording)
            calls.append(call)
            try:
                await call.connect()
            except Refused as refused:
                refusal, clean = str(refused), refused.clean
                break
            await asyncio.sleep(min(SETTLE_S, seconds))
            loads.append(await _measure(name, server, calls, seconds))
    finally:
        await asyncio.gather(*(call.close() for call in calls))
    return Ramp(name, loads, refusal, clean)


async def _measure(name: str, server: Running, calls: list[RecordedCall], seconds: float) -> Load:
    begin_s = now_s()
    before, used = await asyncio.to_thread(scrape, server.url), (cpu_s(server.pid), _own_cpu_s())
    await asyncio.sleep(seconds)
    after = await asyncio.to_thread(scrape, server.url)
    passed_s = after.at_s - before.at_s
    shares = [
        None if then is None or now is None else 100 * (now - then) / passed_s
        for then, now in zip(used, (cpu_s(server.pid), _own_cpu_s()), strict=True)
    ]
    return load(name, calls, before, after, begin_s, shares)


def _own_cpu_s() -> float | None:
    return cpu_s(os.getpid())


def load(
    name: str,
    calls: Sequence[RecordedCall],
    before: Scrape,
    after: Scrape,
    begin_s: float,
    shares: Sequence[float | None],
) -> Load:
    """Of one period that ends now, between two scrapes."""
    end_s = now_s()
    server = server_figures(before, after)
    quantiles = [bucket_quantile(server.stages.get("tick", {}), q) for q in (0.5, 0.95)]
    not_new = server.not_new_share
    came = [[a for a in call.video.arrivals if a.at_s >= begin_s] for call in calls]
    heard = [[a for a in call.audio.arrivals if a.at_s >= begin_s] for call in calls]
    return Load(
        server=name,
        sessions=len(calls),
        synced_fps=server.rates["out"] / len(calls),
        least_synced_fps=min(_told_fps(call, begin_s) for call in calls),
        received_fps=min(pictures_per_second(a, end_s - begin_s) for a in came),
        tick_p50_ms=None if quantiles[0] is None else 1000 * quantiles[0],
        tick_p95_ms=None if quantiles[1] is None else 1000 * quantiles[1],
        not_new=None if not_new is None else 100 * not_new,
        skipped=server.rates["skipped"],
        sound_missing_ms=sum(sound_path(a, begin_s, end_s).missing_ms for a in heard),
        server_cpu=shares[0],
        client_cpu=shares[1],
        ladder=server.ladder,
    )


def _told_fps(call: RecordedCall, begin_s: float) -> float:
    """Mean of what the call's own `stats` said, each about its last second."""
    told = [m["fps_out"] for m in call.of_type("stats") if m["at_s"] > begin_s + 1.0]
    return sum(told) / len(told) if told else 0.0


def _outcome(ramps: list[Ramp], names: tuple[str, str], *, limited: bool) -> Outcome:
    best = max(ramps, key=lambda ramp: ramp.carried)
    if not any(ramp.loads for ramp in ramps):
        raise BenchError(best.refusal)
    targets = [
        Target("calls carried at once", best.carried, LEAST_SESSIONS, "calls", at_least=True)
    ]
    refusals = [ramp.clean for ramp in ramps if ramp.clean is not None]
    if limited:
        clean = float(all(refusals)) if refusals else None
        targets.append(Target("next call refused cleanly", clean, 1, "(1: yes)", at_least=True))
    remarks = [f"{r.server}: then {r.refusal or 'no further call was tried'}" for r in ramps]
    return Outcome(
        name="sessions",
        tables=[_table(ramps)],
        targets=targets,
        data={
            "picture": names[0],
            "voice": names[1],
            "ramps": [
                {**asdict(ramp), "carried": ramp.carried, "breaks": [x.breaks for x in ramp.loads]}
                for ramp in ramps
            ],
        },
        remarks=remarks,
        draw=lambda figure: _draw(figure, ramps),
    )


def _table(ramps: list[Ramp]) -> Table:
    rows: list[list[Cell]] = []
    for ramp in ramps:
        for x in ramp.loads:
            rows.append(
                [
                    x.server, x.sessions, x.synced_fps, x.least_synced_fps, x.received_fps,
                    x.tick_p50_ms, x.tick_p95_ms, x.not_new, x.skipped, x.sound_missing_ms,
                    x.server_cpu, x.client_cpu, x.ladder, x.breaks or "carried",
                ]
            )  # fmt: skip
        if ramp.refusal:
            how = "refused cleanly" if ramp.clean else "refused, not as agreed"
            blank: list[Cell] = [None] * 11
            rows.append([ramp.server, len(ramp.loads) + 1, *blank, how])
    columns = [
        "server", "calls", "synced fps", "least", "received fps", "tick p50 ms", "p95 ms",
        "not new %", "skipped/s", "sound lost ms", "server cpu %", "clients cpu %", "ladder", "",
    ]  # fmt: skip
    return Table("Calls at a time", columns, rows)


def _draw(figure: Any, ramps: list[Ramp]) -> None:
    fps, tick = figure.subplots(1, 2)
    for ramp in ramps:
        calls = [x.sessions for x in ramp.loads]
        fps.plot(calls, [x.least_synced_fps for x in ramp.loads], "o-", label=ramp.server)
        tick.plot(calls, [x.tick_p95_ms or 0.0 for x in ramp.loads], "o-", label=ramp.server)
    for axes, limit, name in (
        (fps, NEW_FPS_LIMIT, "synced fps of the worst call"),
        (tick, TICK_LIMIT_MS, "tick p95, ms"),
    ):
        axes.axhline(limit, linestyle=":")
        axes.set_xlabel("calls")
        axes.set_ylabel(name)
        axes.set_ylim(bottom=0)
    fps.legend()
