"""Is returned sound unbroken? Judged by RTP: numbers, timestamps and arrival of its packets."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from streaming.jitter import timestamp_delta

from .replay import Arrival

CHUNK = 960  # samples in a packet of the server's
RATE_HZ = 48_000
STOPPED_S = 0.5  # without a packet at an end of the period: it had not begun, or had stopped


@dataclass(frozen=True, slots=True)
class SoundPath:
    """missing_ms: of the media time between the first and the last packet, what none of them
    carried, and the ends of the period at which there was no sound; longest_gap_ms: between two
    arrivals.
    """

    packets: int
    missing_ms: float
    longest_gap_ms: float


def sound_path(arrivals: Sequence[Arrival], begin_s: float, end_s: float) -> SoundPath:
    """Of the packets that came from begin_s to end_s, in any order, some perhaps twice."""
    if not arrivals:
        return SoundPath(0, 1000 * (end_s - begin_s), 0.0)
    first = arrivals[0].timestamp
    places = sorted({timestamp_delta(a.timestamp, first) for a in arrivals})
    missing = sum(max(0, late - early - CHUNK) for early, late in pairwise(places))
    ends = (arrivals[0].at_s - begin_s, end_s - arrivals[-1].at_s)
    absent_s = sum(silence_s for silence_s in ends if silence_s > STOPPED_S)
    gaps = [late.at_s - early.at_s for early, late in pairwise(arrivals)]
    missing_ms = 1000 * (missing / RATE_HZ + absent_s)
    return SoundPath(len(places), missing_ms, 1000 * max(gaps, default=0.0))


def pictures_per_second(arrivals: Sequence[Arrival], seconds: float) -> float:
    """Pictures whose last packet came."""
    return len({a.timestamp for a in arrivals if a.last}) / seconds
