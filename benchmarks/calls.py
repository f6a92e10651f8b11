"""One call under measurement: what the receiver saw, what the server counted, what both cost."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from streaming.ladder import Step

from .browser import Period, call, chromium
from .figures import ages_ms, first_synced_ms, new_pictures
from .material import Material
from .processes import Running, browser_cpu_s, cpu_s, machine_busy_s
from .scrape import Buckets, Scrape, gained, scrape

COUNTED = {
    "in": "received",
    "dropped": "not used",
    "out": "synced",
    "passed_through": "passed through",
    "repeated": "repeated",
    "skipped": "skipped",
    "stale": "camera frame again",
}
RELEASED = ("out", "passed_through", "repeated")


@dataclass(frozen=True, slots=True)
class Side:
    """What is called. `counts`: it is the product, with /metrics."""

    name: str
    server: Running
    counts: bool


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """What the server's /metrics gained in the period. rates: per second, keys of COUNTED. ladder:
    the lowest quality of any call, as a `streaming.ladder.Step`.
    """

    rates: dict[str, float]
    stages: dict[str, Buckets]  # seconds
    ladder: int

    @property
    def not_new_share(self) -> float | None:
        """Repeated and passed-through pictures among all that left."""
        released = sum(self.rates[kind] for kind in RELEASED)
        return 1 - self.rates["out"] / released if released else None


@dataclass(frozen=True, slots=True)
class CallFigures:
    """One measured call. cpu: percent of one core, None where the system does not tell."""

    side: str
    period: Period
    connect_ms: float | None
    first_ms: float | None  # from connected to the first picture, of the product: synced picture
    ages_ms: list[float]
    server_cpu: float | None
    client_cpu: float | None
    other_cpu: float | None  # everything else on the machine
    server: ServerFigures | None
    face_found: bool  # at the end, by the server

    @property
    def shown_fps(self) -> float:
        return self.period.presented / self.period.length_s

    @property
    def new_fps(self) -> float:
        """Pictures that carried another stamp than the one shown before."""
        return len(new_pictures(self.period.shown)) / self.period.length_s

    @property
    def new_synced_fps(self) -> float | None:
        """Of those, the synced ones: as if every passed-through picture had been among them."""
        if self.server is None:
            return None
        return max(0.0, self.new_fps - self.server.rates["passed_through"])

    @property
    def unreadable(self) -> int:
        return sum(picture.stamp is None for picture in self.period.shown)


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters at one instant, in seconds of processor time."""

    at_s: float
    server_cpu_s: float | None
    client_cpu_s: float | None
    machine_s: float | None
    metrics: Scrape | None

    @classmethod
    def of(cls, side: Side, client_cpu: Callable[[], float | None] = browser_cpu_s) -> "Reading":
        metrics = scrape(side.server.url) if side.counts else None
        return cls(monotonic(), cpu_s(side.server.pid), client_cpu(), machine_busy_s(), metrics)


def measure_call(
    side: Side, material: Material, *, warm_up_s: float, seconds: float, devices: bool = False
) -> CallFigures:
    """Calls with a browser of its own, waits, then measures. Raises BenchError."""
    with (
        chromium(material, devices=devices) as browser,
        call(browser, side.server.url, material) as page,
    ):
        connect_ms = page.start(devices=devices)
        page.wait(warm_up_s)
        page.begin()
        before = Reading.of(side)
        page.wait(seconds)
        period, after = page.take(), Reading.of(side)
        return call_figures(side, period, connect_ms, before, after)


def call_figures(
    side: Side, period: Period, connect_ms: float | None, before: Reading, after: Reading
) -> CallFigures:
    """Of one period, between two readings."""
    told = [message for message in period.messages if message["type"] == "stats"]
    passed_first = told[0]["passed_through"] if told else 0
    server_cpu = _share(before, after, lambda reading: reading.server_cpu_s)
    client_cpu = _share(before, after, lambda reading: reading.client_cpu_s)
    all_cpu = _share(before, after, lambda reading: reading.machine_s)
    then, now = before.metrics, after.metrics
    return CallFigures(
        side=side.name,
        period=period,
        connect_ms=connect_ms,
        first_ms=first_synced_ms(period.opening, period.connected_ms, passed_first),
        ages_ms=ages_ms(period.shown),
        server_cpu=server_cpu,
        client_cpu=client_cpu,
        other_cpu=None if all_cpu is None else all_cpu - (server_cpu or 0) - (client_cpu or 0),
        server=server_figures(then, now) if then and now else None,
        face_found=bool(told and told[-1]["face_found"]),
    )


def _share(
    before: Reading, after: Reading, read: Callable[[Reading], float | None]
) -> float | None:
    first, last = read(before), read(after)
    if first is None or last is None:
        return None
    return 100 * (last - first) / (after.at_s - before.at_s)


def server_figures(before: Scrape, after: Scrape) -> ServerFigures:
    passed_s = after.at_s - before.at_s

    def rate(stage: str) -> float:
        name = "frames_total"
        return (after.value(name, stage=stage) - before.value(name, stage=stage)) / passed_s

    name = "stage_seconds"
    stages = after.label_values(f"{name}_bucket", "stage")
    return ServerFigures(
        {stage: rate(stage) for stage in COUNTED},
        {s: gained(before.buckets(name, stage=s), after.buckets(name, stage=s)) for s in stages},
        _lowest(before, after),
    )


def _lowest(before: Scrape, after: Scrape) -> int:
    """The ladder's lowest step: at the ends of the period, and taken between them."""
    name = "ladder_changes_total"
    taken = (
        Step[step.upper()]
        for step in after.label_values(name, "step")
        if after.value(name, step=step) > before.value(name, step=step)
    )
    return max(int(before.value("ladder_step")), int(after.value("ladder_step")), *taken)
