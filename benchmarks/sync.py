"""Sound against picture: a patch flashes and a tone begins at once, and both come back.

The same page measures a loop within the browser first: what the method and the browser themselves
show there is taken off. The picture under the patch is a face and the tone takes the voice's way.
"""

import argparse
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from .browser import Period, call, chromium
from .figures import Spread, delays_ms, flash_onsets, skews_ms, spread
from .material import Material, load_material
from .options import above_zero, count, from_zero
from .outcome import Outcome, Table, Target
from .processes import echo, product

LIMIT_MS = 45.0  # about where ITU-R BT.1359 finds early sound noticed; late sound is at 125
LOOP, SERVER = "loop in the browser", "server"


@dataclass(frozen=True, slots=True)
class SyncFigures:
    """One call: sound minus picture in ms, and how late each was; `flashes` that were sent."""

    side: str
    flashes: int
    skews_ms: list[float]
    picture_ms: Spread | None
    sound_ms: Spread | None


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=above_zero, default=60, help="measured in each call (60)")
    parser.add_argument(
        "--warm-up",
        type=from_zero,
        default=15,
        help="before that: the browser's own sync settles (15)",
    )
    parser.add_argument("--rounds", type=count, default=1, help="calls of each side (1)")
    parser.add_argument(
        "--self-check",
        type=int,
        metavar="MS",
        help="in the server's place an echo whose picture is MS late: -MS must come out",
    )


def run(options: argparse.Namespace) -> Outcome:
    """Raises BenchError."""
    material = load_material(options.picture, options.voice)
    with ExitStack() as stack:
        subject = (
            product(options.output / "server.log")
            if options.self_check is None
            else echo(options.output / "held-echo.log", picture_delay_ms=options.self_check)
        )
        url = stack.enter_context(subject).url
        calls = [
            _measure(side, url, material, options.warm_up, options.seconds)
            for _ in range(options.rounds)
            for side in (LOOP, SERVER)
        ]
    return _outcome(calls, material.names)


def _measure(
    side: str, url: str, material: Material, warm_up_s: float, seconds: float
) -> SyncFigures:
    with chromium(material) as browser, call(browser, url, material) as page:
        page.start(way="loop" if side == LOOP else "server", flashes=True)
        page.wait(warm_up_s)
        page.begin()
        page.wait(seconds)
        return sync_figures(side, page.take())


def sync_figures(side: str, period: Period) -> SyncFigures:
    flashes = flash_onsets(period.shown)
    return SyncFigures(
        side,
        len(period.flash_starts),
        skews_ms(flashes, period.beeps),
        spread(delays_ms(period.flash_starts, flashes)),
        spread(delays_ms(period.flash_starts, period.beeps)),
    )


def _outcome(calls: list[SyncFigures], names: tuple[str, str]) -> Outcome:
    pooled = {
        side: [skew for figures in calls if figures.side == side for skew in figures.skews_ms]
        for side in (LOOP, SERVER)
    }
    loop, server = spread(pooled[LOOP]), spread(pooled[SERVER])
    skew = server.p50 - loop.p50 if loop and server else None
    within = None
    if loop and pooled[SERVER]:
        near = [abs(value - loop.p50) <= LIMIT_MS for value in pooled[SERVER]]
        within = 100 * sum(near) / len(near)
    return Outcome(
        name="sync",
        tables=[_table(calls)],
        targets=[
            Target(
                "sound against picture, p50", None if skew is None else abs(skew), LIMIT_MS, "ms"
            )
        ],
        data={
            "picture": names[0],
            "voice": names[1],
            "calibrated_skew_ms": skew,
            "share_within_limit_percent": within,
            "calls": [asdict(figures) for figures in calls],
        },
        remarks=_remarks(skew, within),
        draw=lambda figure: _draw(figure, pooled, loop),
    )


def _remarks(skew: float | None, within: float | None) -> list[str]:
    if skew is None or within is None:
        return ["flashes or beeps did not arrive"]
    late = "sound" if skew > 0 else "picture"
    return [
        f"calibrated skew {skew:+.1f} ms: the {late} is late",
        f"{within:.0f} % of the single beats lie within {LIMIT_MS:.0f} ms",
    ]


def _table(calls: list[SyncFigures]) -> Table:
    def row(figures: SyncFigures) -> list[str | int | float | None]:
        skew = spread(figures.skews_ms)
        quantiles = (skew.p10, skew.p50, skew.p90) if skew else (None, None, None)
        late = (figures.picture_ms, figures.sound_ms)
        return [
            figures.side,
            figures.flashes,
            len(figures.skews_ms),
            *quantiles,
            *(delay.p50 if delay else None for delay in late),
        ]

    columns = [
        "call", "beats", "paired", "p10 ms", "p50 ms", "p90 ms",
        "picture after ms", "sound after ms",
    ]  # fmt: skip
    return Table("Sound minus picture at the receiver", columns, [row(f) for f in calls])


def _draw(figure: Any, pooled: dict[str, list[float]], loop: Spread | None) -> None:
    axes = figure.add_subplot()
    zero = loop.p50 if loop else 0.0
    for side, values in pooled.items():
        axes.plot([value - zero for value in values], ".-", label=side)
    axes.axhspan(-LIMIT_MS, LIMIT_MS, alpha=0.1)
    axes.set_xlabel("beat")
    axes.set_ylabel("sound minus picture, calibrated, ms")
    axes.legend()
