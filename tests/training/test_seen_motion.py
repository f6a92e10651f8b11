"""Optical flow between two mouths: where pixels came from, and what only the target shows."""

from __future__ import annotations

import cv2
import numpy as np

from training.seen_motion import FIELD, seen_motion

SIZE = 192


def skin() -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 1, (SIZE, SIZE, 3)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip(140 + 160 * texture, 0, 255).astype(np.uint8)


def test_a_shift_is_seen_and_all_is_kept() -> None:
    source = skin()
    shift = np.array([[1, 0, 0], [0, 1, 5]], np.float32)  # the target lies 5 px lower
    target = cv2.warpAffine(source, shift, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
    motion, kept = seen_motion(target, source)
    inner = (slice(16, 48), slice(16, 48))
    np.testing.assert_allclose(motion[1][inner], -5 / SIZE, atol=0.5 / SIZE)
    np.testing.assert_allclose(motion[0][inner], 0, atol=0.5 / SIZE)
    assert kept[inner].mean() > 0.95


def test_what_the_source_does_not_show_is_not_kept() -> None:
    source = skin()
    target = source.copy()
    target[96:114, 72:120] = (20, 5, 5)  # a mouth opens
    _, kept = seen_motion(target, source)
    assert kept.shape == (FIELD, FIELD)
    assert kept[34:36, 28:36].mean() < 0.2
    assert kept[5:20].mean() > 0.95
