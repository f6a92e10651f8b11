"""What is painted before a face is the same on both mouths; the loss asks for it and for nothing
else to change.
"""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training.covers import cover_loss, painted  # noqa: E402

pytestmark = pytest.mark.torch


def test_the_same_thing_stands_before_both_mouths() -> None:
    pair = np.random.default_rng(0).integers(0, 255, (2, 96, 96, 3), dtype=np.uint8)
    both, cover = painted(pair, np.random.default_rng(1))
    hidden = cover == 1
    assert 0.01 < hidden.mean() < 0.9
    np.testing.assert_array_equal(both[0][hidden], both[1][hidden])
    assert (pair[0][hidden] != pair[1][hidden]).any()


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
