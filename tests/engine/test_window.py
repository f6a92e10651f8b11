"""The rolling window: levels, the source-noised entry, one eps, warm-up and order."""

from __future__ import annotations

import numpy as np
import pytest

from engine.flow import TAU, add_noise, guidance_weight, level_grid
from engine.window import RollingWindow

SHAPE = (16, 4, 4)


def latent(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def test_level_grid_rises_to_tau() -> None:
    grid = level_grid(3)
    assert grid[-1] == pytest.approx(TAU)
    assert (np.diff(grid) > 0).all()
    assert level_grid(1).tolist() == [pytest.approx(TAU)]
    with pytest.raises(ValueError, match="at least one slot"):
        level_grid(0)


def test_a_frame_enters_as_its_own_source_under_noise() -> None:
    window: RollingWindow[int] = RollingWindow((0.3, 0.6, 0.85), SHAPE, seed=7)
    z = latent(1)
    window.push(z, 0)
    newest = window.slots[-1]
    np.testing.assert_allclose(newest.x, 0.15 * z + 0.85 * window.eps, rtol=1e-5, atol=1e-6)
    assert [s.real for s in window.slots] == [False, False, True]


def test_every_frame_is_refined_once_at_each_level_and_leaves_in_order() -> None:
    levels = (0.3, 0.6, 0.85)
    window: RollingWindow[int] = RollingWindow(levels, SHAPE)
    seen: dict[int, list[float]] = {}
    left = []
    for frame in range(8):
        window.push(latent(frame), frame)
        for level, slot in zip(window.levels, window.slots, strict=True):
            if slot.real:
                seen.setdefault(slot.payload, []).append(round(float(level), 2))
        ((_, slot),) = window.accept(window.z())
        if slot.real:
            left.append(slot.payload)
    assert left == [0, 1, 2, 3, 4, 5]
    assert all(seen[f] == [0.85, 0.6, 0.3] for f in left)


def test_what_only_rounding_changes_stays_as_it_was() -> None:
    window: RollingWindow[int] = RollingWindow((0.3, 0.6), SHAPE, rest=0.05)
    window.push(latent(0), 0)
    estimate = np.stack([latent(10), latent(11)])
    ((first, _),) = window.accept(estimate)
    window.push(latent(0), 1)
    moved = estimate + np.float32(0.04)
    moved[:, 0] += 0.1
    ((second, _),) = window.accept(moved)
    np.testing.assert_array_equal(second[1:], first[1:])
    np.testing.assert_array_equal(second[0], moved[0, 0])
    expected = np.concatenate([moved[1, :1], estimate[1, 1:]])
    np.testing.assert_array_equal(window.slots[0].x, add_noise(expected, window.eps, 0.3))
    window.clear()
    window.push(latent(0), 0)
    ((anew, _),) = window.accept(moved)
    np.testing.assert_array_equal(anew, moved[0])


def test_estimates_are_cached_and_renoised_with_the_streams_one_eps() -> None:
    window: RollingWindow[int] = RollingWindow((0.3, 0.6, 0.85), SHAPE)
    window.push(latent(0), 0)
    estimate = np.stack([latent(10 + k) for k in range(3)])
    ((finished, _),) = window.accept(estimate)
    np.testing.assert_array_equal(finished, estimate[0])
    oldest, middle = window.slots
    np.testing.assert_allclose(oldest.x, add_noise(estimate[1], window.eps, 0.3), atol=1e-6)
    np.testing.assert_allclose(middle.x, add_noise(estimate[2], window.eps, 0.6), atol=1e-6)


GRIDS = {1: (0.85,), 2: (0.3, 0.85), 3: (0.3, 0.6, 0.85), 4: (0.3, 0.5, 0.7, 0.85)}


@pytest.mark.parametrize("sizes", [(3, 2, 3), (4, 2, 4), (3, 1, 3), (2, 4, 1, 2)])
def test_a_window_that_changes_its_size_loses_and_doubles_no_frame(sizes: tuple[int, ...]) -> None:
    window: RollingWindow[int] = RollingWindow(GRIDS[sizes[0]], SHAPE, others=GRIDS)
    left: list[int] = []
    most = 0
    for frame in range(30):
        window.resize(sizes[min(frame // 8, len(sizes) - 1)])
        window.push(latent(frame), frame)
        done = window.accept(window.z())
        most = max(most, sum(slot.real for _, slot in done))
        left += [slot.payload for _, slot in done if slot.real]
    assert left == list(range(len(left)))
    assert len(left) == 30 - (sizes[-1] - 1), "the delay is that of the last size"
    assert most <= max(sizes)


def test_a_slot_that_stays_moves_to_the_level_of_its_new_place() -> None:
    window: RollingWindow[int] = RollingWindow(GRIDS[3], SHAPE, others=GRIDS)
    for frame in range(4):
        window.push(latent(frame), frame)
        estimate = window.z() + 1
        window.accept(estimate)
    window.resize(2)
    window.push(latent(4), 4)
    assert [slot.payload for slot in window.slots] == [2, 3, 4]
    estimate = window.z() + 1
    assert [slot.payload for _, slot in window.accept(estimate)] == [2, 3]
    (slot,) = window.slots
    np.testing.assert_allclose(slot.x, add_noise(estimate[2], window.eps, 0.3), atol=1e-6)
    window.push(latent(5), 5)
    assert window.levels.tolist() == pytest.approx(GRIDS[2])
    window.resize(3)
    estimate = window.z() + 1
    assert window.accept(estimate) == []
    for slot, x0, level in zip(window.slots, estimate, GRIDS[3], strict=False):
        np.testing.assert_allclose(slot.x, add_noise(x0, window.eps, level), atol=1e-6)


def test_a_size_without_levels_is_refused() -> None:
    window: RollingWindow[int] = RollingWindow(GRIDS[4], SHAPE, others={2: GRIDS[2]})
    with pytest.raises(ValueError, match="there are 2, 4"):
        window.resize(2)  # a window that grows again would pass through 3


def test_push_twice_without_an_estimate_is_refused() -> None:
    window: RollingWindow[int] = RollingWindow((0.3, 0.85), SHAPE)
    window.push(latent(0), 0)
    with pytest.raises(RuntimeError, match="before the last estimate"):
        window.push(latent(1), 1)


def test_levels_must_rise() -> None:
    with pytest.raises(ValueError, match="must rise"):
        RollingWindow((0.8, 0.3), SHAPE)


def test_guidance_weight_peaks_at_the_mouth_and_decays_with_the_level() -> None:
    distance2 = np.array([0.0, 0.04, 1.0], np.float32)
    late = guidance_weight(0.3, distance2, peak=4.0, floor=1.0, sigma=0.2)
    early = guidance_weight(0.9, distance2, peak=4.0, floor=1.0, sigma=0.2)
    assert (np.diff(early) < 0).all()
    assert early[0] == pytest.approx(4.0 * 0.9**1.5)
    assert (late < early).all()


def test_other_levels_hold_from_the_next_noise_on() -> None:
    window: RollingWindow[int] = RollingWindow((0.3, 0.6, 0.85), SHAPE)
    window.push(latent(0), 0)
    window.accept(window.z())
    window.regrid({3: (0.5, 0.7, 0.9)})
    window.push(latent(1), 1)
    np.testing.assert_allclose(window.levels, [0.3, 0.6, 0.9])  # what the slots hold
    window.accept(window.z())
    window.push(latent(2), 2)
    np.testing.assert_allclose(window.levels, [0.5, 0.7, 0.9])
    with pytest.raises(ValueError, match="levels must rise"):
        window.regrid({2: (0.9, 0.7)})
