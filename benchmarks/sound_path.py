"""Is returned sound unbroken? Judged by RTP: numbers, timestamps and arrival of its packets."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from streaming.jitter import timestamp_delta

from .replay import Arrival

CHUNK = 960  # samples in a packet of the server's
RATE_HZ = 48_000


@dataclass(frozen=True, slots=True)
class SoundPath:
    """missing_ms: of the media time between the first and the last packet, what none of them
    carried; longest_gap_ms: between two arrivals.
    """

    packets: int
    missing_ms: float
    longest_gap_ms: float

    @property
    def unbroken(self) -> bool:
        return self.packets > 1 and self.missing_ms == 0


def sound_path(arrivals: Sequence[Arrival]) -> SoundPath:
    """Of packets as they came, in any order, some perhaps twice."""
    if not arrivals:
        return SoundPath(0, 0.0, 0.0)
    first = arrivals[0].timestamp
    places = sorted({timestamp_delta(a.timestamp, first) for a in arrivals})
    missing = sum(max(0, late - early - CHUNK) for early, late in pairwise(places))
    gaps = [late.at_s - early.at_s for early, late in pairwise(arrivals)]
    return SoundPath(len(places), 1000 * missing / RATE_HZ, 1000 * max(gaps, default=0.0))


def pictures_per_second(arrivals: Sequence[Arrival], seconds: float) -> float:
    """Pictures whose last packet came."""
    return len({a.timestamp for a in arrivals if a.last}) / seconds
