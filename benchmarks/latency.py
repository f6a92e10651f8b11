"""Added latency: the server and a bare echo alternate, each in a call with a real browser.

Glass to glass is the age of each new picture when the receiver first shows it: a stamp is drawn
above the face and read back. Added latency is the difference of the two medians, so that network,
codecs and browser fall out. With --fake-camera the browser's fake devices take the canvas's place
and only the server is called: what counts there is how many new synced pictures arrive.
"""

import argparse
from collections import Counter
from contextlib import ExitStack
from typing import Any

from .calls import COUNTED, CallFigures, ServerFigures, Side, measure_call
from .figures import Spread, receiver_ms, spread
from .material import load_material
from .outcome import Outcome, Table, Target
from .processes import echo, product
from .scrape import Buckets, bucket_quantile

ADDED_LIMIT_MS = 120.0
NEW_FPS_LIMIT = 24.0
NOT_NEW_LIMIT = 1.0  # percent
FIRST_LIMIT_MS = 300.0
OTHER_LIMIT = 20.0  # percent of one core, this program itself among it
SERVER, ECHO = "server", "echo"
PERCENTS = ("p50", "p95", "p99")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=60, help="measured in each call (60)")
    parser.add_argument("--warm-up", type=float, default=10, help="before that, seconds (10)")
    parser.add_argument("--rounds", type=int, default=2, help="calls of each side (2)")
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
    material = load_material(options.picture, options.voice)
    checking = options.self_check is not None
    with ExitStack() as stack:
        subject = (
            echo(
                options.output / "held-echo.log",
                picture_delay_ms=options.self_check,
                sound_delay_ms=options.self_check,
            )
            if checking
            else product(options.output / "server.log")
        )
        sides = [Side(SERVER, stack.enter_context(subject), counts=not checking)]
        if not options.fake_camera:
            bare = stack.enter_context(echo(options.output / "echo.log"))
            sides.insert(0, Side(ECHO, bare, counts=False))
        calls = [
            measure_call(
                side,
                material,
                warm_up_s=options.warm_up,
                seconds=options.seconds,
                devices=options.fake_camera,
            )
            for _ in range(options.rounds)
            for side in sides
        ]
    return _outcome(calls, material.names, fake_camera=options.fake_camera)


def _outcome(calls: list[CallFigures], names: tuple[str, str], *, fake_camera: bool) -> Outcome:
    ages = {side: _pooled(calls, side) for side in (ECHO, SERVER)}
    added = None
    if not fake_camera:
        echo_ms, server_ms = spread(ages[ECHO]), spread(ages[SERVER])
        added = server_ms.p50 - echo_ms.p50 if echo_ms and server_ms else None
    counted = [call.server for call in calls if call.server is not None]
    tables = [_call_table(calls, fake_camera=fake_camera), _receiver_table(calls)]
    if counted:
        tables += [_picture_table(calls), _stage_table(counted)]
    return Outcome(
        name="latency-fake-camera" if fake_camera else "latency",
        tables=tables,
        targets=_targets(calls, added, fake_camera=fake_camera),
        data={
            "picture": names[0],
            "voice": names[1],
            "added_latency_ms": added,
            "added_latency_by_round_ms": [] if fake_camera else _by_round(calls),
            "calls": [_call_data(call) for call in calls],
        },
        remarks=_remarks(calls),
        draw=None if fake_camera else lambda figure: _draw(figure, ages, added),
    )


def _pooled(calls: list[CallFigures], side: str) -> list[float]:
    return [age for call in calls if call.side == side for age in call.ages_ms]


def _by_round(calls: list[CallFigures]) -> list[float | None]:
    pairs = zip(calls[::2], calls[1::2], strict=True)
    both = [(spread(bare.ages_ms), spread(server.ages_ms)) for bare, server in pairs]
    return [server.p50 - bare.p50 if bare and server else None for bare, server in both]


def _call_table(calls: list[CallFigures], *, fake_camera: bool) -> Table:
    def row(call: CallFigures) -> list[str | float | int | None]:
        age: Spread | None = None if fake_camera else spread(call.ages_ms)
        return [
            call.side,
            call.shown_fps,
            call.new_fps,
            *(getattr(age, name) if age else None for name in PERCENTS),
            call.connect_ms,
            call.first_ms,
            call.period.buffer_ms("in_video"),
            call.server_cpu,
            call.browser_cpu,
            call.other_cpu,
        ]

    columns = [
        "call", "fps shown", "fps new", *(f"{p} ms" for p in PERCENTS),
        "connect ms", "first ms", "buffer ms", "server cpu %", "browser cpu %",
        "other cpu %",
    ]  # fmt: skip
    return Table("Glass to glass, at the receiver", columns, [row(call) for call in calls])


def _receiver_table(calls: list[CallFigures]) -> Table:
    """What the browser adds, and whether it holds the picture back for the sound or for jitter."""

    def row(call: CallFigures) -> list[str | float | int | None]:
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
    rows: list[list[str | float | int | None]] = []
    for call in calls:
        if call.server is not None:
            share = call.server.not_new_share
            rates = [call.server.rates[kind] for kind in COUNTED]
            rows.append(
                [call.side, call.new_synced_fps, None if share is None else 100 * share, *rates]
            )
    columns = ["call", "new synced, shown", "not new %", *COUNTED.values()]
    return Table("Pictures a second, as the server counts them", columns, rows)


def _stage_table(counted: list[ServerFigures]) -> Table:
    rows: list[list[str | float | int | None]] = []
    for stage, buckets in _pooled_stages(counted).items():
        count = int(max(buckets.values(), default=0))
        quantiles = [bucket_quantile(buckets, q) for q in (0.5, 0.95)]
        rows.append([stage, count, *(None if q is None else 1000 * q for q in quantiles)])
    title = "Stages in the server (interpolated from its histograms)"
    return Table(title, ["stage", "count", "p50 ms", "p95 ms"], rows)


def _pooled_stages(counted: list[ServerFigures]) -> dict[str, Buckets]:
    pooled: dict[str, Counter[float]] = {}
    for figures in counted:
        for stage, buckets in figures.stages.items():
            pooled.setdefault(stage, Counter()).update(buckets)
    return {stage: dict(buckets) for stage, buckets in sorted(pooled.items())}


def _targets(calls: list[CallFigures], added: float | None, *, fake_camera: bool) -> list[Target]:
    ours = [call for call in calls if call.side == SERVER]
    targets = []
    if not fake_camera:
        targets.append(Target("added latency, p50", added, ADDED_LIMIT_MS, "ms"))
    counted = [call for call in ours if call.server is not None]
    if counted:
        slowest = min(call.new_synced_fps or 0.0 for call in counted)
        shares = [call.server.not_new_share for call in counted if call.server is not None]
        worst = None if None in shares else 100 * max(s for s in shares if s is not None)
        targets += [
            Target("new synced pictures shown", slowest, NEW_FPS_LIMIT, "a second", at_least=True),
            Target("repeated and passed through", worst, NOT_NEW_LIMIT, "%"),
        ]
    firsts = [call.first_ms for call in ours]
    latest = None if None in firsts else max(ms for ms in firsts if ms is not None)
    targets.append(Target("connected to first synced picture", latest, FIRST_LIMIT_MS, "ms"))
    return targets


def _remarks(calls: list[CallFigures]) -> list[str]:
    remarks = []
    if any(call.server is not None and not call.server.face_found for call in calls):
        remarks.append("the server found no face at the end of a call: choose another --picture")
    if unreadable := sum(call.unreadable for call in calls):
        looks = sum(len(call.period.shown) for call in calls)
        remarks.append(f"{unreadable} of {looks} stamps could not be read")
    unseen = sum(max(0, call.period.presented - len(call.period.shown)) for call in calls)
    if unseen:
        remarks.append(f"{unseen} pictures were shown while the page was too busy to look")
    if any(call.other_cpu is not None and call.other_cpu > OTHER_LIMIT for call in calls):
        remarks.append("other programs ran meanwhile (other cpu): times are upper bounds only")
    if any(call.period.after.get("in_video", {}).get("frameWidth") != 640 for call in calls):
        remarks.append("the browser did not send or receive 640 pixels across")
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
        "browser_cpu_percent": call.browser_cpu,
        "other_cpu_percent": call.other_cpu,
        "server_rates": call.server.rates if call.server else None,
        "not_new_share": call.server.not_new_share if call.server else None,
        "video_buffer_ms": call.period.buffer_ms("in_video"),
        "audio_buffer_ms": call.period.buffer_ms("in_audio"),
        "browser": call.period.after,
    }


def _draw(figure: Any, ages: dict[str, list[float]], added: float | None) -> None:
    axes = figure.add_subplot()
    for side, values in ages.items():
        if values:
            top = sorted(values)[int(0.995 * (len(values) - 1))]
            kept = [value for value in values if value <= top]
            axes.hist(kept, bins=80, histtype="stepfilled", alpha=0.6, label=side, density=True)
    axes.set_xlabel("glass to glass, ms")
    axes.set_ylabel("share of new pictures")
    axes.set_title("" if added is None else f"added latency, p50: {added:.0f} ms")
    axes.legend()
