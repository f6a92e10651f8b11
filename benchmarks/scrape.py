"""Reads a server's /metrics: counters, gauges, and quantiles of what histograms gained."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from .errors import BenchError

LIMIT_S = 20.0  # a server that is driven to its limit answers late
PREFIX = "omnisync_"

Labels = frozenset[tuple[str, str]]
Buckets = dict[float, float]  # upper edge -> observations at or below it


@dataclass(frozen=True, slots=True)
class Scrape:
    """One reading, taken at `at_s` of this process's monotonic clock."""

    at_s: float
    samples: Mapping[tuple[str, Labels], float]

    @classmethod
    def parse(cls, text: str, at_s: float) -> "Scrape":
        samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        return cls(at_s, samples)

    def value(self, name: str, **labels: str) -> float:
        """A counter (`frames_total`) or gauge (`loop_lag_seconds`); 0 where there is none yet."""
        return self.samples.get((PREFIX + name, frozenset(labels.items())), 0.0)

    def label_values(self, name: str, label: str) -> list[str]:
        found = {dict(labels).get(label) for key, labels in self.samples if key == PREFIX + name}
        return sorted(value for value in found if value is not None)

    def buckets(self, name: str, **labels: str) -> Buckets:
        """Cumulative buckets of a histogram."""
        wanted = set(labels.items())
        return {
            float(dict(found)["le"]): value
            for (key, found), value in self.samples.items()
            if key == f"{PREFIX}{name}_bucket" and wanted <= found
        }


def scrape(url: str) -> Scrape:
    """Raises BenchError if the server does not answer."""
    try:
        with urlopen(f"{url}/metrics", timeout=LIMIT_S) as answer:  # noqa: S310  http, ours
            text = answer.read().decode()
    except (URLError, TimeoutError) as error:
        raise BenchError(f"the server's /metrics does not answer: {error}") from error
    return Scrape.parse(text, monotonic())


def concealed_ms(metrics: Scrape) -> float:
    """Sound that was missing on its way in, of all calls since the server's start."""
    kinds = ("concealed", "late")
    return 1000 * sum(metrics.value("sound_seconds_total", kind=kind) for kind in kinds)


def gained(before: Buckets, after: Buckets) -> Buckets:
    return {edge: count - before.get(edge, 0.0) for edge, count in after.items()}


def bucket_quantile(buckets: Buckets, q: float) -> float | None:
    """Linear within the bucket, as Prometheus does; the last finite edge for what lies above it."""
    edges = sorted(buckets)
    if not edges or buckets[edges[-1]] <= 0:
        return None
    wanted = q * buckets[edges[-1]]
    lower, below = 0.0, 0.0
    for edge in edges:
        if buckets[edge] >= wanted:
            if math.isinf(edge):
                return lower
            inside = buckets[edge] - below
            return lower + (edge - lower) * ((wanted - below) / inside if inside else 1.0)
        lower, below = edge, buckets[edge]
    return lower
