"""The log-mel that training and serving share is torchaudio's MelSpectrogram."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.audio import (  # noqa: E402
    F_MAX,
    F_MIN,
    FLOOR,
    HOP,
    N_FFT,
    N_MELS,
    SAMPLE_RATE,
    WINDOW,
    SoundRing,
    mel_filters,
    mel_of,
)

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def torchaudio() -> ModuleType:
    """torchaudio, without its compiled part where that wants a CUDA build of torch: transforms are
    torch alone.
    """
    try:
        import torchaudio
    except ImportError:
        pytest.skip("torchaudio is not installed (pip install -e '.[train]')")
    except OSError:
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        compiled = ModuleType("torchaudio._extension")
        compiled._IS_TORCHAUDIO_EXT_AVAILABLE = compiled._IS_ALIGN_AVAILABLE = False
        compiled.fail_if_no_align = lambda function: function
        compiled._check_cuda_version = lambda: None
        sys.modules[compiled.__name__] = compiled
        import torchaudio
    return torchaudio


def sound(seconds: float) -> np.ndarray:
    """Noise that comes and goes under a rising tone, int16."""
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    noise = np.random.default_rng(0).normal(0, 3000, len(t)) * (np.sin(5 * t) > 0)
    return (noise + 8000 * np.sin(2 * np.pi * (100 + 900 * t) * t)).astype(np.int16)


def reference(torchaudio: ModuleType, pcm: np.ndarray) -> np.ndarray:
    transform = torchaudio.transforms.MelSpectrogram(
        sample_rate=SAMPLE_RATE,
        n_fft=N_FFT,
        win_length=WINDOW,
        hop_length=HOP,
        f_min=F_MIN,
        f_max=F_MAX,
        n_mels=N_MELS,
        power=2.0,
        pad_mode="constant",
        norm=None,
        mel_scale="htk",
    )
    mel = transform(torch.from_numpy(pcm.astype(np.float32) / 32768))
    return ((torch.log10(mel + FLOOR) + 2) / 2).numpy()


def test_filters(torchaudio: ModuleType) -> None:
    expected = torchaudio.functional.melscale_fbanks(
        N_FFT // 2 + 1, F_MIN, F_MAX, N_MELS, SAMPLE_RATE, norm=None, mel_scale="htk"
    )
    np.testing.assert_allclose(mel_filters(), expected.numpy().T, atol=1e-5)


def test_a_whole_recording(torchaudio: ModuleType) -> None:
    pcm = sound(2.0)
    expected = reference(torchaudio, pcm)
    found = mel_of(pcm)
    assert found.shape == expected.shape
    assert expected.std() > 0.3
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_stream(torchaudio: ModuleType) -> None:
    pcm = sound(1.0)
    ring = SoundRing()
    for start in range(0, len(pcm), 640):
        ring.push(pcm[start : start + 640])
    expected = reference(torchaudio, pcm)
    for index in (6, 12, 18):
        mel, heard = ring.window(index)
        first = 4 * index + 2 - 19
        assert heard.all()
        np.testing.assert_allclose(mel[:, 32:], expected[:, first : first + 32], atol=1e-3)
