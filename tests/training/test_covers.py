"""What is painted before a face is marked on the source, whatever the edit shows there; the loss
asks for it and for nothing else to change.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.covers import Covered, bare_shards, cover_loss, painted  # noqa: E402

pytestmark = pytest.mark.torch


def test_the_cover_is_the_sources() -> None:
    pair = np.random.default_rng(0).integers(0, 255, (2, 96, 96, 3), dtype=np.uint8)
    other = pair.copy()
    other[:, 48:] = 255 - pair[:, 48:]
    for seed in range(6):
        both, cover = painted(pair, np.random.default_rng(seed))
        again, _ = painted(other, np.random.default_rng(seed))
        assert 0.001 < (cover > 0.5).mean() < 0.9
        assert (pair[0] != both[0]).any()
        differ = np.abs(both[1].astype(float) - again[1])
        assert (differ <= 255 * (1 - cover[..., None]) + 1).all()


def test_the_edit_shows_anything_between_the_thing_and_none_or_the_source_itself() -> None:
    torch.manual_seed(0)
    one = torch.ones(1, 16, 4, 4)
    seen = Covered(2 * one, one, 5 * one, torch.ones(1, 1, 16, 16))
    z, source, cover = seen.batch(400)
    shown = z.mean((1, 2, 3)) - 1
    still = shown > 3
    assert (still.float().mean() - 0.3).abs() < 0.1
    shown = shown[~still]
    assert ((shown < 0.02).float().mean() - 0.2).abs() < 0.1
    assert ((shown > 0.98).float().mean() - 0.3).abs() < 0.1
    assert shown.min() > -0.05 and shown.max() < 1.05
    assert (source == 5).all() and cover.shape == (400, 1, 16, 16)


def test_shards_with_something_before_the_face_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "drawn").mkdir()
    frames = np.zeros((1, 1, 8, 8, 3), np.uint8)
    for name, more in (("a", {}), ("b", {"covered": True}), ("c", {"covered": False})):
        np.savez(tmp_path / "drawn" / f"{name}.npz", frames=frames, **more)
    assert [p.stem for p in bare_shards(tmp_path)["drawn"]] == ["a", "c"]


def test_the_loss_asks_for_the_cover_and_holds_the_rest() -> None:
    cover = torch.zeros(1, 1, 8, 8)
    cover[..., :4] = 1
    motion, kept = torch.zeros(1, 2, 8, 8), torch.ones(1, 1, 8, 8)
    before = (motion, kept, torch.zeros_like(cover))
    right, _ = cover_loss((motion, kept, cover), before, cover)
    wrong, _ = cover_loss((motion, kept, 1 - cover), before, cover)
    assert right < 0.01 < wrong

    def strayed(columns: slice) -> float:
        other = motion.clone()
        other[..., columns] = 0.1
        return float(cover_loss((other, kept, cover), before, cover)[1])

    assert strayed(slice(4)) == 0  # under the cover nothing moves anyway
    assert strayed(slice(4, 8)) > 1
