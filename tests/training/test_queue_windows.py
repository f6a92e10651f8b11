"""The training queue ages as the live one does: estimates move down a level a tick, the entry is
the source under noise.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from engine.flow import level_grid  # noqa: E402
from training.latents import Tracks  # noqa: E402
from training.queue_windows import QueueSampler  # noqa: E402
from training.sound import SoundTable  # noqa: E402
from training.windows import SLOTS, Window, WindowConfig  # noqa: E402

pytestmark = pytest.mark.torch
Moments = tuple[dict[str, Tracks], SoundTable]
STREAMS = 8


def queue(moments: Moments, **changes: float) -> QueueSampler:
    config = replace(WindowConfig(), share=(("portraits", 1.0),), same_mouth=0.0, **changes)
    return QueueSampler(*moments, config, 0, streams=STREAMS)


def eps(window: Window) -> torch.Tensor:
    """(B, 16, h, w), as the entry tells it."""
    t = window.level[:, -1, None, None, None]
    return (window.x[:, -1] - (1 - t) * window.source[:, -1]) / t


def noised(content: torch.Tensor, window: Window, noise: torch.Tensor, slot: int) -> torch.Tensor:
    t = window.level[:, slot, None, None, None]
    return (1 - t) * content + t * noise


def frames(window: Window) -> torch.Tensor:
    return window.target[:, :, 0, 0, 0] % 100


def test_a_stream_begins_with_its_source_in_every_slot(moments: Moments) -> None:
    window = queue(moments).draw_queue()
    noise = eps(window)
    assert noise.std().item() == pytest.approx(1.0, abs=0.05)
    for slot in range(SLOTS):
        expected = noised(window.source[:, -1], window, noise, slot)
        torch.testing.assert_close(window.x[:, slot], expected, atol=1e-4, rtol=1e-4)


def test_a_tick_moves_every_estimate_one_level_down_and_lets_a_source_in(moments: Moments) -> None:
    sampler = queue(moments)
    before = sampler.draw_queue()
    estimates = torch.randn(STREAMS, SLOTS, *before.x.shape[2:]) * 10
    sampler.advance(estimates)
    after = sampler.draw_queue()
    noise = eps(before)
    for slot, content in enumerate((estimates[:, 1], estimates[:, 2], after.source[:, -1])):
        expected = noised(content, after, noise, slot)
        torch.testing.assert_close(after.x[:, slot], expected, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(frames(after)[:, -1], frames(before)[:, -1] + 1)
    assert torch.equal(frames(after)[:, :-1], frames(before)[:, 1:])


def test_levels_are_the_engines_grid_shifted_as_one_and_stay_for_a_stream(moments: Moments) -> None:
    sampler = queue(moments)
    first = sampler.draw_queue()
    sampler.advance(first.target)
    config = WindowConfig()
    shift = first.level - torch.from_numpy(level_grid(SLOTS, config.tau, config.last))
    free = first.level[:, -1] < 0.95  # none higher
    assert free.any()
    torch.testing.assert_close(shift[free], shift[free, :1].expand(-1, SLOTS))
    assert shift.abs().max() < 0.12
    assert torch.equal(sampler.draw_queue().level, first.level)


def test_sound_is_that_of_each_slots_frame(moments: Moments) -> None:
    sampler = queue(moments)
    for _ in range(3):
        window = sampler.draw_queue()
        assert torch.equal(window.pose[:, 0].view(STREAMS, SLOTS), frames(window))
        sampler.advance(window.target)


def test_a_finished_clip_gives_way_to_one_that_warms_up(moments: Moments) -> None:
    sampler = queue(moments)
    last, begun = frames(sampler.draw_queue())[:, -1], torch.zeros(STREAMS, dtype=torch.bool)
    for _ in range(35):
        sampler.advance(torch.full((STREAMS, SLOTS, 16, 4, 4), 999.0))
        window = sampler.draw_queue()
        now = frames(window)
        fresh = now[:, -1] != last + 1
        assert (last[fresh] == 29).all()
        assert (now[fresh] == now[fresh, :1]).all()
        for slot in range(SLOTS):  # nothing is left of the stream before
            expected = noised(window.source[:, -1], window, eps(window), slot)
            torch.testing.assert_close(window.x[fresh, slot], expected[fresh], atol=1e-4, rtol=1e-4)
        last, begun = now[:, -1], begun | fresh
    assert begun.all()


@pytest.mark.parametrize(
    ("threshold", "share", "exact"), [(0.55, 1.0, True), (1.0, 0.0, True), (1.0, 1.0, False)]
)
def test_pairs_are_exact_unless_every_level_may_have_others(
    moments: Moments, threshold: float, share: float, exact: bool
) -> None:
    window = queue(moments, pair_threshold=threshold, arbitrary_share=share).draw_queue()
    apart = (window.source - window.target)[:, :, 0, 0, 0].abs()
    assert (apart == 100).all() if exact else ((apart >= 8) & (apart <= 22)).all()
