"""Gives freed memory back to the system.

glibc keeps what was freed, up to the most that ever was in use at once: after hours of calls, one
hiccup with frames waiting is paid for ever.
"""

import ctypes
import sys
from collections.abc import Callable


def trimmer() -> Callable[[], None]:
    """A function that hands free pages back; it does nothing where the C library cannot."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None

    def give_back() -> None:
        if trim is not None:
            trim(ctypes.c_size_t(0))

    return give_back
