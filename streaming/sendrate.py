"""How much picture the line from us bears: full rate, until the receiver tells otherwise.

Down at once with the receiver's estimate (REMB) or its losses, up again slowly. Sound is not asked:
it is small, and pictures leave room for it. Pure, on the caller's time.
"""

from collections import deque
from collections.abc import Callable

WINDOW_S = 1.0  # over which what is sent and what is missed are counted
FALLEN = 0.97  # of the estimate before: the receiver has seen packets wait
CONTRADICTED = 0.95  # of what is sent; an estimate above that limits nothing
BELIEVED_S = 2.0  # a lower estimate waits so long for what bears it out
MISSED = 0.05  # of the packets
LONGER_S = 0.05  # than the shortest round trip
MOST_LATE_MS = 30.0
RISE = 0.08  # a second
REST_S = 1.0  # after a fall, before rising
FEW_LOST, MANY_LOST = 0.02, 0.10
LEAST_BPS = 100_000
SPACING = 1.5  # times the rate, at which the packets of a large picture follow each other


class SendRate:
    """Of one call's pictures. full_bps: what is sent where nothing stands against it."""

    def __init__(self, full_bps: int, late_ms: Callable[[], float] = lambda: 0.0) -> None:
        """late_ms: how late our own event loop is. Where it is, reports seem to have waited."""
        self.full_bps = self.bps = full_bps
        self.total_bytes = 0
        self._late_ms = late_ms
        self._estimate: int | None = None
        self._claim: tuple[float, int] | None = None  # when, bits a second
        self._shortest_s = self._round_trip_s = 0.0
        self._sent, self._missed = _Window(), _Window()
        self._fell_at = self._rose_at = 0.0
        self._free_at = 0.0

    @property
    def limited(self) -> bool:
        return self.bps < self.full_bps

    def sent(self, size: int, now: float) -> None:
        """A packet of `size` bytes leaves."""
        self.total_bytes += size
        self._sent.add(size, now)
        if self.limited:
            self._free_at = max(now, self._free_at) + 8 * size / (SPACING * self.bps)

    def wait_s(self, now: float) -> float:
        """How long the next packet is to wait for those before it; 0 on a line with room."""
        return max(0.0, self._free_at - now) if self.limited else 0.0

    def estimated(self, bps: int, now: float) -> None:
        """The receiver's estimate. Where little is sent it is low on any line: a low one counts
        only if it falls, and lies below what is sent. A busy receiver lets it fall as well: it is
        believed once packets are missed or the round trip has grown.
        """
        before, self._estimate = self._estimate, bps
        fell = before is None or bps < FALLEN * before
        if fell and bps < CONTRADICTED * self._sending_bps(now):
            self._claim = now, bps
            self._judge(now)
        else:
            self._rise(now)

    def missed(self, now: float) -> None:
        """The receiver asks for a packet (NACK) for the first time."""
        self._missed.add(1, now)
        self._judge(now)

    def took(self, round_trip_s: float, now: float) -> None:
        """A report tells how long there and back takes."""
        self._round_trip_s = round_trip_s
        self._shortest_s = min(self._shortest_s or round_trip_s, round_trip_s)
        self._judge(now)

    def lost(self, share: float, now: float) -> None:
        """The share of packets lost, 0..1, from a receiver report."""
        if share > MANY_LOST:
            self._fall(self.bps * (1 - share / 2), now)
        elif share < FEW_LOST:
            self._rise(now)

    def _sending_bps(self, now: float) -> float:
        return 8 * self._sent.sum(now) / WINDOW_S

    def _judge(self, now: float) -> None:
        if self._claim is None:
            return
        claimed_at, bps = self._claim
        if now - claimed_at > BELIEVED_S:
            self._claim = None
        elif self._missing(now) or self._waiting:
            self._claim = None
            self._fall(bps, now)

    def _missing(self, now: float) -> bool:
        return self._missed.sum(now) > MISSED * self._sent.count(now)

    @property
    def _waiting(self) -> bool:
        longer = self._round_trip_s - self._shortest_s > LONGER_S
        return longer and self._late_ms() < MOST_LATE_MS

    def _fall(self, bps: float, now: float) -> None:
        self.bps = round(max(LEAST_BPS, min(bps, self.bps)))
        self._fell_at = self._rose_at = now

    def _rise(self, now: float) -> None:
        if not self.limited or now - self._fell_at < REST_S:
            return
        risen = self.bps * (1 + RISE) ** min(now - self._rose_at, 1.0)
        most = self.full_bps if self._estimate is None else max(self.bps, self._estimate)
        self.bps = round(min(risen, most, self.full_bps))
        self._rose_at = now


class _Window:
    """Amounts of the last WINDOW_S."""

    def __init__(self) -> None:
        self._entries: deque[tuple[float, int]] = deque()
        self._sum = 0

    def add(self, amount: int, now: float) -> None:
        self._entries.append((now, amount))
        self._sum += amount
        self._forget(now)

    def sum(self, now: float) -> int:
        self._forget(now)
        return self._sum

    def count(self, now: float) -> int:
        self._forget(now)
        return len(self._entries)

    def _forget(self, now: float) -> None:
        while self._entries and now - self._entries[0][0] > WINDOW_S:
            self._sum -= self._entries.popleft()[1]
