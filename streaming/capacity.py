"""How many calls this machine can carry."""

import os

TICK_BUDGET_MS = 40.0
# Beside the measured tick, each 40 ms: decode, encode and RTP of one 640x480 VP8 call 11 ms; face,
# paste and conversion of pixels 4 ms.
OTHER_MS = 15.0
USABLE = 0.85  # of all cores; the rest keeps the tails short


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def seats(asked: int, tick_ms: float, cores: int) -> int:
    """Calls at a time: what the operator asked for, or (0) what the measured tick allows."""
    if asked:
        return asked
    return max(1, int(USABLE * cores * TICK_BUDGET_MS / (tick_ms + OTHER_MS)))
