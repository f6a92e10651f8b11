"""Training windows run as the live queue does: the entry from the source, sound heard by age, pairs
by level.
"""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from engine.audio import COLUMNS_PER_FRAME, MEL_COLUMNS, PAST  # noqa: E402
from engine.flow import TAU, level_grid  # noqa: E402
from training.latents import Tracks  # noqa: E402
from training.sound import SoundTable, heard_mask  # noqa: E402
from training.windows import WindowConfig, WindowSampler  # noqa: E402

pytestmark = pytest.mark.torch


def whole_windows(**changes: object) -> WindowConfig:
    """Portraits in windows of three at the queue's own levels."""
    plain = {"share": (("portraits", 1.0),), "slots": ((3, 1.0),)}
    return replace(WindowConfig(), **plain, free_levels=0.0, level_jitter=0.0, **changes)


def sampler(**changes: object) -> WindowSampler:
    """Tracks whose latents say what they are: track 0 is 1 everywhere, track 1 is -1."""
    latents = torch.ones(2, 2, 30, 16, 4, 4)
    latents[:, 1] = -1
    tracks = {
        "portraits": Tracks(latents.half(), [["a", "a"]] * 2, torch.zeros(2, 2, dtype=torch.long))
    }
    table = SoundTable(
        torch.zeros(30, 80, 64).half(), torch.zeros(30, 10), torch.zeros(30), {"a": 0}
    )
    return WindowSampler(tracks, table, whole_windows(**changes), seed=0)


def test_the_entry_slot_carries_the_source_under_noise() -> None:
    window = sampler(entry_share=1.0, same_mouth=0.0, edge_share=0.0).draw(64)
    t = window.level[:, -1]
    assert t.min() == pytest.approx(TAU, abs=1e-3)
    content = window.x[:, -1].mean((1, 2, 3))
    eps = (window.x[:, -1] - (1 - t)[:, None, None, None] * window.source[:, -1]) / t[
        :, None, None, None
    ]
    assert eps.std().item() == pytest.approx(1.0, abs=0.05)
    agreement = (content * window.source[:, -1, 0, 0, 0]).mean()
    assert agreement.item() == pytest.approx(1 - TAU, abs=0.03)


def test_older_slots_carry_mostly_the_target() -> None:
    window = sampler(same_mouth=0.0, edge_share=0.0).draw(64)
    t, target = window.level[:, 0], window.target[:, 0, 0, 0, 0]
    shown = window.x[:, 0].mean((1, 2, 3)) * target / (1 - t)
    assert 0.1 < shown.mean().item() < 0.6  # 1 would be the truth alone, -1 the source


def test_one_eps_is_shared_by_the_slots_of_a_window() -> None:
    window = sampler(entry_share=0.0, same_mouth=1.0, edge_share=0.0).draw(4)
    t = window.level[:, :, None, None, None]
    eps = (window.x - (1 - t) * window.target) / t
    assert torch.allclose(eps[:, 0], eps[:, 1], atol=1e-3)
    assert not torch.allclose(eps[0], eps[1], atol=1e-1)


def test_a_slot_hears_as_far_as_its_age_lets_it() -> None:
    heard = heard_mask(torch.tensor([0, 1, 2, 3]))
    assert heard.sum(1).tolist() == [PAST + 1 + COLUMNS_PER_FRAME * age for age in range(4)]
    assert heard.shape == (4, MEL_COLUMNS)


def test_pairs_share_the_clip_and_differ_in_the_mouth() -> None:
    window = sampler(same_mouth=0.0).draw(32)
    assert (window.target * window.source).max().item() == -1.0


def test_warm_up_and_flush_windows_repeat_a_frame_at_one_end(
    moments: tuple[dict[str, Tracks], SoundTable],
) -> None:
    def patterns(edge_share: float) -> set[tuple[int, ...]]:
        config = whole_windows(arbitrary_share=0.0, edge_share=edge_share)
        window = WindowSampler(*moments, config, seed=0).draw(200)
        frames = window.target[:, :, 0, 0, 0] % 100
        assert torch.equal(window.source[:, :, 0, 0, 0] % 100, frames)
        assert torch.equal(window.pose[:, 0].view(frames.shape), frames)  # and its sound
        # Live, slots keep their levels whatever frames they hold.
        assert torch.equal(window.level, torch.from_numpy(level_grid(3)).expand(200, 3))
        return {tuple(row) for row in (frames - frames[:, :1]).int().tolist()}

    whole, begun, flushed = (0, 1, 2), (0, 0, 1), (0, 1, 1)
    assert patterns(0.0) == {whole}
    assert patterns(1.0) == {whole, begun, flushed, (0, 0, 0)}


def test_draws_are_seeded() -> None:
    assert torch.equal(sampler().draw(8).x, sampler().draw(8).x)
