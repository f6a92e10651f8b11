"""The same sentence in another voice, its timing untouched: pitch and vocal tract changed apart, or
whispered. What was filmed with one man's voice becomes many voices' sound for the same lips.

Source and filter are parted by a cepstral envelope; the source's pitch is moved by a phase vocoder
and resampling, the envelope by stretching its frequency axis.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import get_window, istft, resample_poly, stft

N_FFT, HOP = 512, 128
LIFTER = 26  # samples at 16 kHz: envelopes finer than 600 Hz would follow a woman's harmonics
Sound = NDArray[np.float64]
Spectrum = NDArray[np.complex128]
_WINDOW = get_window("hann", N_FFT)


def _stft(sound: Sound) -> Spectrum:
    return stft(sound, window=_WINDOW, nperseg=N_FFT, noverlap=N_FFT - HOP)[2]


def _istft(spectrum: Spectrum) -> Sound:
    return istft(spectrum, window=_WINDOW, nperseg=N_FFT, noverlap=N_FFT - HOP)[1]


def _envelope(spectrum: Spectrum) -> NDArray[np.float64]:
    """Smooth magnitude (257, T) of each column."""
    log = np.log(np.abs(spectrum) + 1e-6)
    cepstrum = np.fft.irfft(log, axis=0)
    cepstrum[LIFTER:-LIFTER] = 0
    return np.exp(np.fft.rfft(cepstrum, axis=0).real)


def _stretch(spectrum: Spectrum, factor: float) -> Spectrum:
    """Phase vocoder: `factor` times as many columns, the pitch kept."""
    count = spectrum.shape[1]
    at = np.arange(int(count * factor)) / factor
    low = np.minimum(at.astype(int), count - 2)
    part = at - low
    size = np.abs(spectrum)
    size = size[:, low] * (1 - part) + size[:, low + 1] * part
    advance = 2 * np.pi * HOP * np.arange(spectrum.shape[0])[:, None] / N_FFT
    turn = np.angle(spectrum[:, low + 1]) - np.angle(spectrum[:, low]) - advance
    turn = advance + (turn + np.pi) % (2 * np.pi) - np.pi
    phase = np.cumsum(turn, axis=1) - turn + np.angle(spectrum[:, :1])
    return size * np.exp(1j * phase)


def revoice(
    pcm: NDArray[np.int16],
    rng: np.random.Generator,
    pitch: float = 1.0,
    formants: float = 1.0,
    whisper: float = 0.0,
) -> NDArray[np.int16]:
    """pcm int16 (S,) at 16 kHz -> the same length; `pitch` and `formants` are factors, `whisper` is
    the share of breath in the source (1 = whispered).
    """
    sound = pcm / 32768.0 + 1e-5 * rng.standard_normal(len(pcm))
    spectrum = _stft(sound)
    envelope = _envelope(spectrum)
    source = spectrum / envelope
    if pitch != 1.0:
        ratio = Fraction(pitch).limit_denominator(20)
        longer = _istft(_stretch(source, float(ratio)))
        moved = resample_poly(longer, ratio.denominator, ratio.numerator)
        moved = np.resize(moved, len(sound)) if len(moved) < len(sound) else moved[: len(sound)]
        moved = moved + 0.02 * rng.standard_normal(len(moved)) * moved.std()
        source = _stft(moved)
        source = (source / _envelope(source))[:, : envelope.shape[1]]
        envelope = envelope[:, : source.shape[1]]
    if whisper > 0:
        breath = _stft(rng.standard_normal(len(sound)))[:, : source.shape[1]]
        breath = breath / np.sqrt((np.abs(breath) ** 2).mean())
        level = np.sqrt((np.abs(source) ** 2).mean())
        source = (1 - whisper) * source + whisper * level * breath
        # A whisper lacks the voice's strong low end.
        tilt = np.linspace(0, 1, len(envelope))[:, None]
        envelope = envelope ** (1 - 0.25 * whisper * (1 - tilt))
    if formants != 1.0:
        bins = np.arange(len(envelope)) / formants
        low = np.minimum(bins.astype(int), len(envelope) - 2)
        part = np.minimum(bins - low, 1.0)[:, None]
        envelope = envelope[low] * (1 - part) + envelope[low + 1] * part
    out = _istft(source * envelope)
    out = np.pad(out, (0, max(0, len(sound) - len(out))))[: len(sound)]
    out *= sound.std() / (out.std() + 1e-9)
    return (32767 * np.clip(out, -1, 1)).astype(np.int16)
