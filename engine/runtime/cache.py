"""Where what can be found out again is kept for the next start."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The user's; where there is no home, one that cannot be written."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(base or Path.home() / ".cache") / "omnisync"
    except RuntimeError:
        return Path(os.devnull) / "omnisync"
