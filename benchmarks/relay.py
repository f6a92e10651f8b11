"""A UDP relay between a caller and the server that loses, delays, reorders and throttles packets.

All of it on this machine and in this process, seeded: the n-th packet of a direction meets the same
fate in every run.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

Address = tuple[str, int]
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Condition:
    """What a network does, in each direction. loss, reordered: shares of packets; jitter_ms: a
    packet is held up to that long, order is kept; a reordered one is held `reorder_ms` and
    overtaken. kbps: rate of the narrowest line, 0 for none; what would wait there longer than
    `queue_ms` is dropped.
    """

    name: str
    loss: float = 0.0
    jitter_ms: float = 0.0
    reordered: float = 0.0
    reorder_ms: float = 25.0
    kbps: float = 0.0
    queue_ms: float = 200.0


CLEAN = Condition("clean")


class Line:
    """One direction: decides when each packet arrives. Pure, on the caller's time."""

    def __init__(self, condition: Condition, seed: int) -> None:
        self.condition = condition
        self.cut = False
        self.dropped = 0
        self._random = random.Random(seed)
        self._free_s = self._last_s = 0.0

    def arrival_s(self, size: int, now_s: float) -> float | None:
        """When a packet of `size` bytes sent now arrives; None if it never does."""
        # Always three numbers a packet: a condition must not shift the fate of later packets.
        fate, held, late = (self._random.random() for _ in range(3))
        condition = self.condition
        sent_s = now_s
        if condition.kbps:
            sent_s = max(now_s, self._free_s)
            if 1000 * (sent_s - now_s) > condition.queue_ms:
                self.dropped += 1
                return None
            sent_s += 8 * size / (1000 * condition.kbps)
            self._free_s = sent_s
        if self.cut or fate < condition.loss:
            self.dropped += 1
            return None
        if late < condition.reordered:
            return sent_s + condition.reorder_ms / 1000
        self._last_s = max(self._last_s, sent_s + held * condition.jitter_ms / 1000)
        return self._last_s


class Relay:
    """Stands before the server: callers send to `address`. One call at a time."""

    def __init__(self, seed: int) -> None:
        self.address: Address = (HOST, 0)
        self._up, self._down = Line(CLEAN, seed), Line(CLEAN, seed + 1)
        self._caller: Address | None = None
        self._server: Address | None = None
        self._front: asyncio.DatagramTransport | None = None
        self._back: asyncio.DatagramTransport | None = None

    @property
    def dropped(self) -> int:
        return self._up.dropped + self._down.dropped

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        front, _ = await loop.create_datagram_endpoint(
            lambda: _Socket(self._from_caller), local_addr=(HOST, 0)
        )
        back, _ = await loop.create_datagram_endpoint(
            lambda: _Socket(self._from_server), local_addr=(HOST, 0)
        )
        self._front, self._back = front, back
        self.address = cast(Address, front.get_extra_info("sockname"))

    def close(self) -> None:
        for transport in (self._front, self._back):
            if transport is not None:
                transport.close()

    def take(self, condition: Condition) -> None:
        self._up.condition = self._down.condition = condition

    def cut(self, off: bool) -> None:
        self._up.cut = self._down.cut = off

    def reroute(self, sdp: str) -> str:
        """An answer whose only candidate is this relay, which then leads to the server's."""
        lines = []
        for line in sdp.splitlines():
            if not line.startswith("a=candidate:"):
                lines.append(line)
                continue
            fields = line.split(" ")
            if fields[4] == HOST and fields[2].lower() == "udp":
                self._server = (HOST, int(fields[5]))
                fields[4], fields[5] = HOST, str(self.address[1])
                lines.append(" ".join(fields))
        return "\r\n".join(lines) + "\r\n"

    def _from_caller(self, data: bytes, address: Address) -> None:
        self._caller = address
        self._send(self._up, self._back, data, self._server)

    def _from_server(self, data: bytes, address: Address) -> None:
        self._send(self._down, self._front, data, self._caller)

    def _send(
        self, line: Line, out: asyncio.DatagramTransport | None, data: bytes, to: Address | None
    ) -> None:
        if out is None or to is None or out.is_closing():
            return
        loop = asyncio.get_running_loop()
        at_s = line.arrival_s(len(data), loop.time())
        if at_s is None:
            return
        if at_s <= loop.time():
            out.sendto(data, to)
        else:
            loop.call_at(at_s, _send_unless_closed, out, data, to)


def _send_unless_closed(out: asyncio.DatagramTransport, data: bytes, to: Address) -> None:
    if not out.is_closing():
        out.sendto(data, to)


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, Address], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._take(data, addr)

    def error_received(self, exc: Exception) -> None:
        pass  # the far end closed its port; what is lost is lost


def conditions(kbps: float) -> list[Condition]:
    """The rows of the benchmark; `kbps` is the narrow line's."""
    return [
        CLEAN,
        Condition("1 % loss", loss=0.01),
        Condition("5 % loss", loss=0.05),
        Condition("30 ms jitter", jitter_ms=30),
        Condition("2 % reordered", reordered=0.02),
        replace(CLEAN, name=f"{kbps:.0f} kbit/s", kbps=kbps),
    ]
