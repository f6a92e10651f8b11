"""The arithmetic behind the tables: pure functions on what was recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeVar

import numpy as np

STAMP_BITS = 24
NEAR_MS = 400.0  # a beep and its flash are never further apart than this


@dataclass(frozen=True, slots=True)
class Spread:
    """Quantiles of a sample, in its own unit."""

    count: int
    p10: float
    p50: float
    p90: float
    p95: float
    p99: float


def spread(values: Sequence[float]) -> Spread | None:
    """None where there is nothing to describe."""
    if not values:
        return None
    return Spread(
        len(values), *(float(q) for q in np.quantile(values, (0.1, 0.5, 0.9, 0.95, 0.99)))
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """One look at the receiver's picture: when (ms), its stamp (None: not readable), its flash,
    when its last packet came (ms; None where the browser does not tell).
    """

    at_ms: float
    stamp: int | None
    flash: bool
    received_ms: float | None = None


class Stamped(Protocol):
    """A picture that came back. stamp: None where it cannot be read."""

    @property
    def stamp(self) -> int | None: ...


Seen = TypeVar("Seen", bound=Stamped)


def new_pictures(shown: Sequence[Seen]) -> list[Seen]:
    """Those that carry another stamp than the one before; what cannot be read is left out."""
    new: list[Seen] = []
    for picture in shown:
        if picture.stamp is not None and (not new or picture.stamp != new[-1].stamp):
            new.append(picture)
    return new


def ages_ms(shown: Sequence[Shown]) -> list[float]:
    """Glass to glass of each new picture: from being drawn to its first showing.

    Stamps are the low 24 bits of the sender's clock in whole ms, the same clock as `at_ms`.
    """
    return [
        float((int(picture.at_ms) - picture.stamp) % (1 << STAMP_BITS))
        for picture in new_pictures(shown)
        if picture.stamp is not None
    ]


def receiver_ms(shown: Sequence[Shown]) -> list[float]:
    """Of each new picture: from its last packet to its showing; the receiver's part of the age."""
    return [
        picture.at_ms - picture.received_ms
        for picture in new_pictures(shown)
        if picture.received_ms is not None
    ]


def first_synced_ms(shown: Sequence[Shown], connected_ms: float, passed: int) -> float | None:
    """From `connected_ms` to the first synced picture, if `passed` pictures went before it."""
    new = [picture for picture in new_pictures(shown) if picture.at_ms >= connected_ms]
    return new[passed].at_ms - connected_ms if len(new) > passed else None


def flash_onsets(shown: Sequence[Shown]) -> list[float]:
    """Times at which the patch turned white; not one that was white from the first look on."""
    return [new.at_ms for old, new in pairwise(shown) if new.flash and not old.flash]


def skews_ms(flashes: Sequence[float], beeps: Sequence[float]) -> list[float]:
    """Sound minus picture for each flash that has a beep near it; positive: the sound is late."""
    if not beeps:
        return []
    nearest = [min((beep - flash for beep in beeps), key=abs) for flash in flashes]
    return [skew for skew in nearest if abs(skew) < NEAR_MS]


def delays_ms(starts: Sequence[float], ends: Sequence[float], limit_ms: float = 900) -> list[float]:
    """From each start to the first end after it, where that comes within the limit."""
    delays = []
    for start in starts:
        after = [end - start for end in ends if 0 <= end - start < limit_ms]
        if after:
            delays.append(min(after))
    return delays


@dataclass(frozen=True, slots=True)
class Growth:
    """How a quantity developed: of a straight line through it, and of its two ends."""

    per_minute: float
    line_total: float
    ends: float


def growth(seconds: Sequence[float], values: Sequence[float], end_s: float = 30.0) -> Growth | None:
    """`ends` compares the medians of the first and the last `end_s`, at most a third each."""
    if len(values) < 3:
        return None
    x, y = np.asarray(seconds, float), np.asarray(values, float)
    slope = float(np.polyfit(x - x[0], y, 1)[0])
    total_s = float(x[-1] - x[0])
    part_s = min(end_s, total_s / 3)
    first, last = y[x <= x[0] + part_s], y[x >= x[-1] - part_s]
    return Growth(60 * slope, slope * total_s, float(np.median(last) - np.median(first)))
