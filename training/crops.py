"""Shards of aligned crops as the data stages leave them: grid/CLIP.npy, KIND/NAME.npz."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.splits import TEST_HEADS, HeldOutError, refuse_held_out
from training.window_config import KINDS


def crop_shards(data: Path) -> list[Path]:
    """Every finished shard in `data`, kind by kind.

    Raises:
        FileNotFoundError: there is none.
        HeldOutError: one is of what no training may see.
    """
    clips = sorted((data / "grid").glob("*.npy"))
    others = sorted(p for kind in KINDS[1:] for p in (data / kind).glob("*.npz"))
    shards = [p for p in clips + others if ".part" not in p.name]
    if not shards:
        raise FileNotFoundError(
            f"no crops in {data}: grid, portraits, rendered and drawn make them"
        )
    refuse_held_out(shards)
    for path in shards:
        drawn = re.fullmatch(r"drawn_(\d+)", path.stem)
        if drawn and int(drawn[1]) >= TEST_HEADS:
            raise HeldOutError(f"{path.name} is a test face; training draws below {TEST_HEADS}")
    return shards


def read_shard(path: Path) -> NDArray[np.uint8]:
    """frames (K, T, S, S, 3)."""
    loaded = np.load(path)
    frames: NDArray[np.uint8] = loaded if path.suffix == ".npy" else loaded["frames"]
    return frames
