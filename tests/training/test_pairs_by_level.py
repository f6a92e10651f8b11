"""Timestep-dependent pairs: exact where noise hides the source, at low levels another moment now
and then.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from training.latents import Tracks  # noqa: E402
from training.sound import SoundTable  # noqa: E402
from training.windows import Window, WindowConfig, WindowSampler  # noqa: E402

pytestmark = pytest.mark.torch
Moments = tuple[dict[str, Tracks], SoundTable]
THRESHOLD = 0.55


def drawn(moments: Moments, share: float, free_levels: float = 1.0) -> Window:
    """400 windows of three slots, at any levels or at the queue's."""
    config = replace(
        WindowConfig(),
        share=(("portraits", 1.0),),
        slots=((3, 1.0),),
        free_levels=free_levels,
        pair_threshold=THRESHOLD,
        arbitrary_share=share,
        same_mouth=0.0,
        edge_share=0.0,
    )
    return WindowSampler(*moments, config, seed=0).draw(400)


def apart(window: Window) -> torch.Tensor:
    """Source minus target (B, L): 100 or -100 in exact pairs, else frames."""
    return (window.source - window.target)[:, :, 0, 0, 0]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_only_below_the_threshold_and_in_its_share_a_source_is_another_moment(
    moments: Moments, share: float
) -> None:
    window = drawn(moments, share)
    exact, low = apart(window).abs() == 100, window.level < THRESHOLD
    assert low.sum() > 500 and (~low).sum() > 300
    assert exact[~low].all()
    assert (~exact)[low].float().mean().item() == pytest.approx(share, abs=0.06)


def test_each_slot_of_a_window_that_straddles_the_threshold_goes_by_its_own_level(
    moments: Moments,
) -> None:
    window = drawn(moments, share=1.0)
    low = window.level < THRESHOLD
    straddling = low.any(1) & ~low.all(1)
    assert straddling.sum() > 100
    assert torch.equal(apart(window)[straddling].abs() == 100, ~low[straddling])


def test_another_moment_is_of_the_targets_own_track_and_some_frames_off(moments: Moments) -> None:
    window = drawn(moments, share=1.0)
    low = window.level < THRESHOLD
    off = apart(window)[low] % 30
    assert (apart(window)[low].abs() < 30).all()
    assert off.min() >= 8 and off.max() <= 22
    whole = low.all(1)
    assert whole.any()
    source = window.source[whole, :, 0, 0, 0]
    assert (source.diff(dim=1) % 30 == 1).all()  # a moment, not a frame here and there


def test_at_the_queues_levels_all_pairs_are_exact(moments: Moments) -> None:
    assert (apart(drawn(moments, share=1.0, free_levels=0.0)).abs() == 100).all()
