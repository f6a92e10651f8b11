"""Log-mel features: the textbook filter bank, the same in one piece and in a stream, causal."""

from __future__ import annotations

import numpy as np
import pytest

from engine.audio import (
    AHEAD_S,
    EARLIER,
    FUTURE,
    HOP,
    MEL_COLUMNS,
    N_FFT,
    PAST,
    SAMPLE_RATE,
    SAMPLES_PER_FRAME,
    SILENCE_LEVEL,
    SoundRing,
    frame_column,
    mel_filters,
    mel_of,
    mel_window,
)


def tone(seconds: float, hertz: float = 440.0) -> np.ndarray:
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (8000 * np.sin(2 * np.pi * hertz * t)).astype(np.int16)


def test_filters_are_htk_triangles() -> None:
    filters = mel_filters()
    assert filters.shape == (80, N_FFT // 2 + 1)
    peaks = filters.argmax(1) * SAMPLE_RATE / N_FFT
    assert (np.diff(peaks) >= 0).all()
    assert filters.max() <= 1.0
    # Wide filters, where the bins resolve the triangle, peak near one and overlap their
    # neighbours to one.
    assert filters[60:].max(1).min() > 0.9


def test_a_tone_lights_its_band() -> None:
    mel = mel_of(tone(0.5, 1000.0))
    band = int(mel[:, 20].argmax())
    centre = mel_filters()[band].argmax() * SAMPLE_RATE / N_FFT
    assert abs(centre - 1000.0) < 60


def test_silence_is_the_silence_level() -> None:
    assert mel_of(np.zeros(3200, np.int16)) == pytest.approx(SILENCE_LEVEL)


@pytest.mark.parametrize("chunk", [64, 160, 640, 777])
def test_a_stream_hears_what_the_whole_recording_holds(chunk: int) -> None:
    pcm = np.random.default_rng(0).normal(0, 3000, SAMPLE_RATE).astype(np.int16)
    whole = mel_of(pcm)
    ring = SoundRing()
    for start in range(0, len(pcm), chunk):
        ring.push(pcm[start : start + chunk])
    mel, heard = ring.window(20)
    first = frame_column(20) - PAST
    assert heard.all()
    np.testing.assert_allclose(mel[:, EARLIER:], whole[:, first : first + MEL_COLUMNS], atol=1e-4)
    lately = whole[:, first - 4 : first].mean(1)
    np.testing.assert_allclose(mel[:, EARLIER - 1], lately, atol=1e-4)
    np.testing.assert_allclose(mel, mel_window(whole, 20), atol=1e-4)
    assert mel[:, 0] == pytest.approx(SILENCE_LEVEL)  # before the start


def test_sound_that_is_as_far_ahead_as_it_may_be_leaves_the_oldest_slot_its_own() -> None:
    """Four slots at every second frame: the oldest is six frames behind the next one."""
    pcm = np.random.default_rng(0).normal(0, 3000, 12 * SAMPLE_RATE).astype(np.int16)
    ring = SoundRing()
    told = 200 * SAMPLES_PER_FRAME + round(AHEAD_S * SAMPLE_RATE)
    for start in range(0, told, SAMPLES_PER_FRAME):
        ring.push(pcm[start : min(start + SAMPLES_PER_FRAME, told)])
    assert ring.samples == told
    mel, heard = ring.window(194)
    assert heard.all()
    np.testing.assert_allclose(mel, mel_window(mel_of(pcm), 194), atol=1e-4)


def test_the_future_is_not_heard() -> None:
    ring = SoundRing()
    ring.push(tone(0.04 * 10))  # frames 0 .. 9
    assert ring.columns == (0.4 * SAMPLE_RATE - 200) // HOP + 1
    _, heard = ring.window(9)
    assert heard[: PAST + 1].all()
    assert not heard[PAST + 2 :].any()
    _, older = ring.window(7)
    assert older.sum() == heard.sum() + 8
    assert MEL_COLUMNS == PAST + 1 + FUTURE


def test_before_the_start_is_heard_silence() -> None:
    ring = SoundRing()
    ring.push(tone(0.2))
    mel, heard = ring.window(0)
    assert heard[: PAST - 2].all()
    assert mel[:, : EARLIER + PAST - 2] == pytest.approx(SILENCE_LEVEL)


def test_reset_forgets() -> None:
    ring = SoundRing()
    ring.push(tone(1.0))
    ring.reset()
    assert ring.columns == 0
    assert not ring.window(5)[1][PAST:].any()
