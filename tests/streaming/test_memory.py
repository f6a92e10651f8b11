"""Freed memory goes back to the system."""

import sys
from pathlib import Path

import numpy as np
import pytest

from streaming.memory import trimmer

MB = 1 << 20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_was_freed_below_something_alive_is_given_back() -> None:
    give_back = trimmer()
    give_back()
    blocks = [np.ones(64 * 1024, np.uint8) for _ in range(1600)]  # small enough for the heap
    alive = blocks.pop()
    full = resident()
    blocks.clear()
    give_back()
    assert full - resident() > 60 * MB
    assert alive.sum() == 64 * 1024
