"""What the line to us bears, from when packets leave and arrive: the receiver's estimate (REMB).

A line that is full makes packets wait. As in CoDel (RFC 8289) a wait counts only if none of the
packets of an interval got by without it: bursts and jitter delay many packets, a full line all of
them. So do a loop and a sender that find no core: without a loss the wait must last longer, and a
late loop tells nothing. Pure, on the caller's time. Loss alone is the sender's to judge: it sees it
in the receiver reports.
"""

from collections import deque
from collections.abc import Callable

SEND_TIME_HZ = 1 << 18  # of the abs-send-time header extension
SEND_TIME_WRAP = 1 << 24
INTERVAL_MS = 200
LEAST_PACKETS = 6  # to say anything; where fewer come, the interval is longer
FULL_MS = 60.0  # least wait in an interval that tells of a full line
EMPTY_MS = 25.0  # and of one that has room
KEPT_S = 10  # a wait is judged against the shortest way in this time
FALL = 0.85  # of what came through: the rest empties the line
FIRST_FALL = 0.7  # sound found little room, too
DEEP_FALL = 0.3  # where packets wait longer than DEEP_MS: talking is what suffers
DEEP_MS = 300.0
FALL_PAUSE_MS = 600  # a fall takes a way there and back to show
PATIENCE_MS = 500  # for a wait without losses
FEW_MISSING = 2  # packets
MOST_LATE_MS = 30.0
MOST_FALLS = 3  # in a row: what makes packets wait after them is not what we are sent
DEEPEST = 0.5  # one fall, after the first: for a moment little may come for other reasons
REPORT_MS = 250
MOST_PACKETS = 512  # remembered: a flood is not to cost more the longer it lasts
MOST_STREAMS = 4  # told of: a message names 255 at most, and a sender may invent any number
RISE = 0.08  # a second
NEAR_RISE = 0.02  # where the line was full last
NEAR = (0.8, 1.1)
MOST_AHEAD = 1.5  # of what comes through: further than that nothing is known
LEAST_BPS = 100_000


class LineEstimator:
    """Takes the place of aiortc's RemoteBitrateEstimator in the receiver of pictures.

    That one begins at what a sender happens to send, and climbs by 8 % a second from there. Here
    nothing is said until the line is full once: until then the sender may send what it likes.
    """

    def __init__(self, late_ms: Callable[[], float]) -> None:
        """late_ms: how late packets may have been read in the last INTERVAL_MS."""
        self._late_ms = late_ms
        self.missing: Callable[[], int] = lambda: 0  # packets that others have overtaken
        self.bps: int | None = None
        self.total_bytes = 0
        self._sent_ms: float | None = None
        self._sent_raw = 0
        # Arrival ms, way ms, bytes.
        self._packets: deque[tuple[int, float, int]] = deque(maxlen=MOST_PACKETS)
        self._shortest: deque[tuple[int, float]] = deque()  # second, shortest way ms in it
        self._ssrcs: deque[int] = deque(maxlen=MOST_STREAMS)
        self._full_bps = 0.0
        self._falls = 0
        self._full_since: int | None = None
        self._fell_ms = self._told_ms = 0

    def add(
        self, arrival_time_ms: int, abs_send_time: int, payload_size: int, ssrc: int
    ) -> tuple[int, list[int]] | None:
        """Takes a packet. Returns (bits a second, streams) where the sender is to be told.

        abs_send_time: 24 bits, in 1/2^18 s.
        """
        self.total_bytes += payload_size
        if ssrc not in self._ssrcs:
            self._ssrcs.append(ssrc)
        way_ms = arrival_time_ms - self._unwrapped_ms(abs_send_time)
        self._note(arrival_time_ms, way_ms, payload_size)
        if len(self._packets) < LEAST_PACKETS or self._covered_ms < INTERVAL_MS / 2:
            return None
        wait_ms = min(way for _, way, _ in self._packets) - min(way for _, way in self._shortest)
        if wait_ms < EMPTY_MS:
            self._falls = 0
        if self._is_full(wait_ms, arrival_time_ms) and self._may_fall(arrival_time_ms):
            self._fall(arrival_time_ms, wait_ms)
        elif self.bps is None or arrival_time_ms - self._told_ms < REPORT_MS:
            return None
        elif wait_ms < EMPTY_MS:
            self._rise(arrival_time_ms)
        self._told_ms = arrival_time_ms
        assert self.bps is not None
        return self.bps, sorted(self._ssrcs)

    def limit_bps(self, enough_bps: int) -> int | None:
        """The estimate; None where it is enough."""
        return self.bps if self.bps is not None and self.bps < enough_bps else None

    @property
    def _covered_ms(self) -> int:
        return self._packets[-1][0] - self._packets[0][0]

    @property
    def _through_bps(self) -> float:
        """What came through since the first packet that is remembered."""
        size = sum(size for _, _, size in self._packets) - self._packets[0][2]
        return 8000 * size / max(self._covered_ms, 1)

    def _unwrapped_ms(self, raw: int) -> float:
        if self._sent_ms is None:
            self._sent_ms, self._sent_raw = 0.0, raw
        half = SEND_TIME_WRAP // 2
        since = (raw - self._sent_raw + half) % SEND_TIME_WRAP - half
        sent_ms = self._sent_ms + 1000 * since / SEND_TIME_HZ
        if since > 0:
            self._sent_ms, self._sent_raw = sent_ms, raw
        return sent_ms

    def _note(self, now_ms: int, way_ms: float, size: int) -> None:
        self._packets.append((now_ms, way_ms, size))
        while len(self._packets) > LEAST_PACKETS and now_ms - self._packets[0][0] > INTERVAL_MS:
            self._packets.popleft()
        second = now_ms // 1000
        if not self._shortest or self._shortest[-1][0] != second:
            self._shortest.append((second, way_ms))
        elif way_ms < self._shortest[-1][1]:
            self._shortest[-1] = second, way_ms
        while second - self._shortest[0][0] > KEPT_S:
            self._shortest.popleft()

    def _is_full(self, wait_ms: float, now_ms: int) -> bool:
        if wait_ms <= FULL_MS:
            self._full_since = None
            return False
        if self.missing() > FEW_MISSING:
            return True
        if self._full_since is None or self._late_ms() > MOST_LATE_MS:
            self._full_since = now_ms
        return now_ms - self._full_since > PATIENCE_MS

    def _may_fall(self, now_ms: int) -> bool:
        return self._falls < MOST_FALLS and now_ms - self._fell_ms > FALL_PAUSE_MS

    def _fall(self, now_ms: int, wait_ms: float) -> None:
        self._full_bps = self._through_bps
        share = FIRST_FALL if self.bps is None else FALL
        fallen = (DEEP_FALL if wait_ms > DEEP_MS else share) * self._full_bps
        if self.bps is not None:
            fallen = min(max(fallen, DEEPEST * self.bps), self.bps)
        self.bps = round(max(LEAST_BPS, fallen))
        self._fell_ms = now_ms
        self._falls += 1

    def _rise(self, now_ms: int) -> None:
        assert self.bps is not None
        low, high = (share * self._full_bps for share in NEAR)
        rise = NEAR_RISE if low < self.bps < high else RISE
        passed_s = min(now_ms - self._told_ms, 1000) / 1000
        most = max(self.bps, MOST_AHEAD * self._through_bps)
        self.bps = round(min(most, self.bps * (1 + rise) ** passed_s))
