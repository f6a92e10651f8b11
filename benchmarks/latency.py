"""Added latency: the server and a bare echo alternate, each in a call with a real browser.

Glass to glass is the age of each new picture when the receiver first shows it: a stamp is drawn
above the face and read back. Added latency is the difference of the two medians, so that network,
codecs and browser fall out; the same of the 95th percentiles. With --slots the windows named are
measured beside each other, a server each. With --aiortc a caller without browser sends a recording
and decodes what returns. With --fake-camera the browser's fake devices take the canvas's place and
only the server is called: what counts there is how many new synced pictures arrive.
"""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from .calls import COUNTED, CallFigures, Side, measure_call
from .direct import measure_direct
from .errors import BenchError
from .figures import Spread, receiver_ms, spread
from .material import load_material
from .options import above_zero, count, from_zero
from .outcome import Cell, Outcome, Table, Target
from .processes import echo, product
from .recording import Recording, record
from .scrape import Buckets
from .stages import draw_waterfall, pooled_stages, stage_table

ADDED_LIMITS_MS = {3: {"p50": 110.0, "p95": 140.0}, 2: {"p50": 70.0}}  # by slots
NEW_FPS_LIMIT = 24.0
NOT_NEW_LIMIT = 1.0  # percent
FIRST_LIMIT_MS = 300.0
OTHER_LIMIT = 20.0  # percent of one core, this program itself among it
ECHO, HELD_ECHO = "echo", "held echo"
KBPS = 1500
PERCENTS = ("p50", "p95", "p99")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=above_zero, default=60, help="measured in each call (60)")
    parser.add_argument("--warm-up", type=from_zero, default=10, help="before that, seconds (10)")
    parser.add_argument("--rounds", type=count, default=2, help="calls of each side (2)")
    parser.add_argument(
        "--slots", type=count, nargs="+", default=[3], metavar="L", help="windows of L frames (3)"
    )
    parser.add_argument("--runtime", metavar="NAME[:VARIANT]", help="the server's")
    parser.add_argument(
        "--aiortc", action="store_true", help="a caller without browser, with a recording"
    )
    parser.add_argument(
        "--fake-camera", action="store_true", help="camera and microphone from files; no echo"
    )
    parser.add_argument(
        "--self-check",
        type=int,
        metavar="MS",
        help="in the server's place an echo held back by MS: that is what must come out",
    )


def run(options: argparse.Namespace) -> Outcome:
    """Raises BenchError."""
    if options.aiortc and options.fake_camera:
        raise BenchError("--fake-camera is a browser's: leave out --aiortc")
    material = load_material(options.picture, options.voice)
    timing = {"warm_up_s": options.warm_up, "seconds": options.seconds}
    measure: Callable[[Side], CallFigures] = (
        partial(_direct, record(material, KBPS), timing)
        if options.aiortc
        else partial(measure_call, material=material, devices=options.fake_camera, **timing)
    )
    with ExitStack() as stack:
        sides = _sides(options, stack)
        calls = [measure(side) for _ in range(options.rounds) for side in sides]
    ways = {"aiortc": options.aiortc, "fake-camera": options.fake_camera}
    name = "-".join(["latency", *(way for way, taken in ways.items() if taken)])
    slots = {} if options.self_check is not None else {_name(n): n for n in options.slots}
    return _outcome(name, calls, slots, material.names)


def _direct(recording: Recording, timing: dict[str, float], side: Side) -> CallFigures:
    return measure_direct(side, recording, warm_up_s=timing["warm_up_s"], seconds=timing["seconds"])


def _name(slots: int) -> str:
    return f"server, {slots} slots"


def _sides(options: argparse.Namespace, stack: ExitStack) -> list[Side]:
    """The echo first, if it is asked for, then what is measured against it."""
    sides = []
    if not options.fake_camera:
        bare = stack.enter_context(echo(options.output / "echo.log"))
        sides.append(Side(ECHO, bare, counts=False))
    if options.self_check is not None:
        held = echo(
            options.output / "held-echo.log",
            picture_delay_ms=options.self_check,
            sound_delay_ms=options.self_check,
        )
        return [*sides, Side(HELD_ECHO, stack.enter_context(held), counts=False)]
    runtime = ("--runtime", options.runtime) if options.runtime else ()
    for slots in dict.fromkeys(options.slots):
        log = options.output / f"server-{slots}.log"
        server = stack.enter_context(product(log, "--slots", str(slots), *runtime))
        sides.append(Side(_name(slots), server, counts=True))
    return sides


def _outcome(
    name: str, calls: list[CallFigures], slots: dict[str, int], names: tuple[str, str]
) -> Outcome:
    sides = list(dict.fromkeys(call.side for call in calls))
    ages = {side: spread([a for c in calls if c.side == side for a in c.ages_ms]) for side in sides}
    added = {side: _added(ages[ECHO], ages[side]) for side in sides if ECHO in sides}
    added.pop(ECHO, None)
    stages = {
        side: pooled_stages([c.server for c in calls if c.side == side and c.server is not None])
        for side in slots
    }
    tables = [_call_table(calls, blind=ECHO not in sides), _receiver_table(calls)]
    if added:
        tables.append(_added_table(added))
    if slots:
        tables.append(_picture_table(calls))
        tables += [stage_table(side, found) for side, found in stages.items()]
    return Outcome(
        name=name,
        tables=tables,
        targets=[t for side in sides if side != ECHO for t in _targets(calls, side, slots, added)],
        data={
            "picture": names[0],
            "voice": names[1],
            "added_latency_ms": added,
            "calls": [_call_data(call) for call in calls],
        },
        remarks=_remarks(calls),
        draw=lambda figure: _draw(figure, calls, slots, stages, ages),
    )


def _added(bare: Spread | None, whole: Spread | None) -> dict[str, float]:
    """Difference of the same quantiles, ms."""
    if bare is None or whole is None:
        return {}
    return {name: getattr(whole, name) - getattr(bare, name) for name in PERCENTS}


def _added_table(added: dict[str, dict[str, float]]) -> Table:
    rows: list[list[Cell]] = [
        [side, *(found.get(name) for name in PERCENTS)] for side, found in added.items()
    ]
    title = "Added latency: quantiles minus those of the echo"
    return Table(title, ["", *(f"{name} ms" for name in PERCENTS)], rows)


def _call_table(calls: list[CallFigures], *, blind: bool) -> Table:
    """blind: the stamps do not tell when a picture was made."""

    def row(call: CallFigures) -> list[Cell]:
        age: Spread | None = None if blind else spread(call.ages_ms)
        return [
            call.side,
            call.shown_fps,
            call.new_fps,
            *(getattr(age, name) if age else None for name in PERCENTS),
            call.connect_ms,
            call.first_ms,
            call.period.buffer_ms("in_video"),
            call.server_cpu,
            call.client_cpu,
            call.other_cpu,
        ]

    columns = [
        "call", "fps shown", "fps new", *(f"{p} ms" for p in PERCENTS),
        "connect ms", "first ms", "buffer ms", "server cpu %", "client cpu %",
        "other cpu %",
    ]  # fmt: skip
    return Table("Glass to glass, at the receiver", columns, [row(call) for call in calls])


def _receiver_table(calls: list[CallFigures]) -> Table:
    """What the browser adds, and whether it holds the picture back for the sound or for jitter."""

    def row(call: CallFigures) -> list[Cell]:
        late = spread(receiver_ms(call.period.shown))
        buffers = [
            call.period.buffer_ms(stream, of)
            for stream in ("in_video", "in_audio")
            for of in ("jitterBufferDelay", "jitterBufferTargetDelay", "jitterBufferMinimumDelay")
        ]
        return [call.side, *((late.p50, late.p95) if late else (None, None)), *buffers]

    names = ("buffer", "target", "jitter only")
    columns = [
        "call", "received to shown p50 ms", "p95 ms",
        *(f"{kind} {name}" for kind in ("picture", "sound") for name in names),
    ]  # fmt: skip
    return Table("In the browser", columns, [row(call) for call in calls])


def _picture_table(calls: list[CallFigures]) -> Table:
    rows: list[list[Cell]] = []
    for call in calls:
        if call.server is not None:
            share = call.server.not_new_share
            rates = [call.server.rates[kind] for kind in COUNTED]
            not_new = None if share is None else 100 * share
            rows.append([call.side, call.new_synced_fps, not_new, *rates, call.server.ladder])
    columns = ["call", "new synced, shown", "not new %", *COUNTED.values(), "ladder"]
    return Table("Pictures a second, as the server counts them", columns, rows)


def _targets(
    calls: list[CallFigures],
    side: str,
    slots: dict[str, int],
    added: dict[str, dict[str, float]],
) -> list[Target]:
    ours = [call for call in calls if call.side == side]
    limits = ADDED_LIMITS_MS.get(slots.get(side, 0), {})
    targets = [
        Target(f"{side}: added latency, {q}", added[side].get(q), limit, "ms")
        for q, limit in limits.items()
        if side in added
    ]
    if side in slots:
        slowest = min(call.new_synced_fps or 0.0 for call in ours)
        shares = [call.server.not_new_share for call in ours if call.server is not None]
        worst = None if None in shares else 100 * max(s for s in shares if s is not None)
        fps = Target(f"{side}: new synced pictures", slowest, NEW_FPS_LIMIT, "a second", True)
        targets += [fps, Target(f"{side}: repeated and passed through", worst, NOT_NEW_LIMIT, "%")]
    firsts = [call.first_ms for call in ours]
    latest = None if None in firsts else max(ms for ms in firsts if ms is not None)
    first = "connected to first synced picture" if side in slots else "connected to first picture"
    return [*targets, Target(f"{side}: {first}", latest, FIRST_LIMIT_MS, "ms")]


def _remarks(calls: list[CallFigures]) -> list[str]:
    remarks = []
    if any(call.server is not None and not call.face_found for call in calls):
        remarks.append("the server found no face at the end of a call: choose another --picture")
    if any(call.server is not None and call.server.ladder for call in calls):
        remarks.append("the server gave up quality (ladder): the figures are not the full window's")
    if unreadable := sum(call.unreadable for call in calls):
        looks = sum(len(call.period.shown) for call in calls)
        remarks.append(f"{unreadable} of {looks} stamps could not be read")
    unseen = sum(max(0, call.period.presented - len(call.period.shown)) for call in calls)
    if unseen:
        remarks.append(f"{unseen} pictures were shown while the page was too busy to look")
    if any(call.other_cpu is not None and call.other_cpu > OTHER_LIMIT for call in calls):
        remarks.append("other programs ran meanwhile (other cpu): times are upper bounds only")
    if any(call.period.after.get("in_video", {}).get("frameWidth") != 640 for call in calls):
        remarks.append("pictures did not come back 640 pixels across")
    return remarks


def _call_data(call: CallFigures) -> dict[str, Any]:
    age = spread(call.ages_ms)
    return {
        "side": call.side,
        "seconds": call.period.length_s,
        "shown_fps": call.shown_fps,
        "new_fps": call.new_fps,
        "new_synced_fps": call.new_synced_fps,
        "age_ms": None if age is None else {name: getattr(age, name) for name in age.__slots__},
        "connect_ms": call.connect_ms,
        "first_ms": call.first_ms,
        "server_cpu_percent": call.server_cpu,
        "client_cpu_percent": call.client_cpu,
        "other_cpu_percent": call.other_cpu,
        "server_rates": call.server.rates if call.server else None,
        "not_new_share": call.server.not_new_share if call.server else None,
        "ladder": call.server.ladder if call.server else None,
        "video_buffer_ms": call.period.buffer_ms("in_video"),
        "audio_buffer_ms": call.period.buffer_ms("in_audio"),
        "browser": call.period.after,
    }


def _draw(
    figure: Any,
    calls: list[CallFigures],
    slots: dict[str, int],
    stages: dict[str, dict[str, Buckets]],
    ages: dict[str, Spread | None],
) -> None:
    first, *falls = figure.subplots(1, 1 + len(slots), squeeze=False)[0]
    for side in ages:
        values = sorted(age for call in calls if call.side == side for age in call.ages_ms)
        kept = values[: round(0.995 * len(values))]
        if kept:
            first.hist(kept, bins=80, histtype="stepfilled", alpha=0.6, label=side, density=True)
    first.set_xlabel("glass to glass, ms")
    first.set_ylabel("share of new pictures")
    first.legend(fontsize="small")
    for axes, (side, length) in zip(falls, slots.items(), strict=True):
        draw_waterfall(axes, stages[side], length, ages[side])
