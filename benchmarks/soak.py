"""A long call: does the server's memory stay flat, does any queue grow?

Once a second the resident memory of the server, its threads and its queues are noted.
"""

import argparse
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any

from .browser import CallPage, call, chromium
from .errors import BenchError
from .figures import Growth, growth
from .material import load_material
from .options import above_zero, from_zero
from .outcome import Outcome, Table, Target
from .processes import Running, product, resident_bytes, threads
from .scrape import scrape

LIMIT_MB = 1.0
QUEUE_LIMIT = 1.0  # slots
SLOT_MS = 40
PERIOD_S = 1.0
PARTS = 10  # rows of the table
MB = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One second: `queues` as in the server's /metrics; `synced` and `not_new` since the start."""

    at_s: float
    resident_mb: float
    threads: int
    queues: dict[str, float]
    synced: float
    not_new: float


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=above_zero, default=10, help="length of the call (10)")
    parser.add_argument(
        "--warm-up",
        type=from_zero,
        default=120,
        help="seconds that do not count, at most half (120)",
    )


def run(options: argparse.Namespace) -> Outcome:
    """Raises BenchError, also if the server dies."""
    material = load_material(options.picture, options.voice)
    warm_up_s = min(options.warm_up, 60 * options.minutes / 2)
    with (
        product(options.output / "server.log") as server,
        chromium(material) as browser,
        call(browser, server.url, material) as page,
    ):
        page.start()
        samples = _watch(page, server, 60 * options.minutes)
        page.begin()
        page.take()  # a call that was lost meanwhile shows here
    return _outcome(samples, warm_up_s, material.names)


def _watch(page: CallPage, server: Running, length_s: float) -> list[Sample]:
    samples: list[Sample] = []
    start = monotonic()
    while (now_s := monotonic() - start) < length_s:
        samples.append(_sample(server, now_s))
        next_s = PERIOD_S * len(samples)
        page.wait(max(0.0, next_s - (monotonic() - start)))
    return samples


def _sample(server: Running, now_s: float) -> Sample:
    resident, count = resident_bytes(server.pid), threads(server.pid)
    if resident is None or count is None:
        raise BenchError("the server's memory cannot be read: it ended, or this is not Linux")
    metrics = scrape(server.url)
    names = metrics.label_values("queue_depth", "queue")
    return Sample(
        now_s,
        resident / MB,
        count,
        {name: metrics.value("queue_depth", queue=name) for name in names},
        metrics.value("frames_total", stage="out"),
        sum(metrics.value("frames_total", stage=s) for s in ("repeated", "passed_through")),
    )


def _outcome(samples: list[Sample], warm_up_s: float, names: tuple[str, str]) -> Outcome:
    counted = [sample for sample in samples if sample.at_s >= warm_up_s]
    seconds = [sample.at_s for sample in counted]
    memory = growth(seconds, [sample.resident_mb for sample in counted])
    queues = {
        name: growth(seconds, [sample.queues.get(name, 0.0) for sample in counted])
        for name in sorted({name for sample in counted for name in sample.queues})
    }
    workers = growth(seconds, [float(sample.threads) for sample in counted])
    return Outcome(
        name="soak",
        tables=[_course(samples), _queue_table(counted, queues)],
        targets=[
            Target("memory gained after warm-up", _worst(memory), LIMIT_MB, "MB"),
            Target("largest growth of a queue", _longest(queues), QUEUE_LIMIT, "slots of 40 ms"),
        ],
        data={
            "picture": names[0],
            "voice": names[1],
            "warm_up_s": warm_up_s,
            "memory_mb": asdict(memory) if memory else None,
            "threads": asdict(workers) if workers else None,
            "queues": {name: asdict(found) if found else None for name, found in queues.items()},
            "samples": [asdict(sample) for sample in samples],
        },
        remarks=_remarks(memory, warm_up_s),
        draw=lambda figure: _draw(figure, samples, warm_up_s),
    )


def _worst(memory: Growth | None) -> float | None:
    return None if memory is None else max(memory.line_total, memory.ends)


def _in_slots(name: str, depth: float) -> float:
    """Sound is counted in ms, the other queues in slots."""
    return depth / SLOT_MS if name.endswith("_ms") else depth


def _longest(queues: dict[str, Growth | None]) -> float | None:
    """Of the queues' growths the largest, in slots."""
    grown = [
        _in_slots(name, found.line_total) for name, found in queues.items() if found is not None
    ]
    return max(grown, default=None)


def _remarks(memory: Growth | None, warm_up_s: float) -> list[str]:
    if memory is None:
        return ["too short to tell growth"]
    return [
        f"after {warm_up_s:.0f} s: {memory.per_minute:+.3f} MB a minute, {memory.line_total:+.2f}"
        f" MB on the straight line, {memory.ends:+.2f} MB between both ends' medians"
    ]


def _course(samples: list[Sample]) -> Table:
    step = max(1, len(samples) // PARTS)
    rows: list[list[str | int | float | None]] = []
    for before, after in zip(samples[::step], samples[step::step], strict=False):
        passed_s = after.at_s - before.at_s
        rates = (after.synced - before.synced, after.not_new - before.not_new)
        rows.append(
            [
                f"{after.at_s:.0f}",
                after.resident_mb,
                after.threads,
                *(rate / passed_s for rate in rates),
            ]
        )
    columns = ["second", "memory MB", "threads", "synced fps", "not new fps"]
    return Table("The call's course", columns, rows)


def _queue_table(counted: list[Sample], queues: dict[str, Growth | None]) -> Table:
    rows: list[list[str | int | float | None]] = []
    for name, found in queues.items():
        depths = [sample.queues.get(name, 0.0) for sample in counted]
        gained = found.line_total if found else None
        rows.append([name, sum(depths) / len(depths), max(depths), gained])
    return Table("Queues after warm-up", ["queue", "mean", "most", "gained"], rows)


def _draw(figure: Any, samples: list[Sample], warm_up_s: float) -> None:
    axes, below = figure.subplots(2, 1, sharex=True)
    minutes = [sample.at_s / 60 for sample in samples]
    axes.plot(minutes, [sample.resident_mb for sample in samples])
    axes.axvline(warm_up_s / 60, linestyle=":")
    axes.set_ylabel("memory, MB")
    for name in sorted({name for sample in samples for name in sample.queues}):
        depths = [_in_slots(name, sample.queues.get(name, 0.0)) for sample in samples]
        below.plot(minutes, depths, label=name.removesuffix("_ms"))
    below.set_xlabel("minutes")
    below.set_ylabel("queues, slots of 40 ms")
    below.legend()
