"""What rooms, microphones and networks do to a voice, on waveforms; and sounds that are no
speech.
"""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

RATE = 16_000
Sound = NDArray[np.float64]


def room(sound: Sound, rng: np.random.Generator) -> Sound:
    """Reverberation: decaying noise after the direct sound, T60 0.15 to 0.6 s."""
    t60 = rng.uniform(0.15, 0.6)
    count = int(t60 * RATE)
    tail = rng.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    tail[: int(0.002 * RATE)] = 0
    tail *= rng.uniform(0.1, 0.5) / np.sqrt((tail**2).sum())
    tail[0] = 1.0
    return fftconvolve(sound, tail)[: len(sound)]


def coloured_noise(count: int, rng: np.random.Generator) -> Sound:
    """Noise of a room, a fan or a street: white, filtered with a random slope, slowly swelling."""
    pole = rng.uniform(0.0, 0.97)
    noise = lfilter([1.0], [1.0, -pole], rng.standard_normal(count))
    knots = rng.uniform(0.5, 1.0, max(2, count // RATE + 2))
    noise = noise * np.interp(np.arange(count) / RATE, np.arange(len(knots)), knots)
    if rng.random() < 0.3:
        hum = rng.choice([50.0, 60.0]) * np.arange(1, 6)[:, None]
        noise += noise.std() * np.sin(2 * np.pi * hum * np.arange(count) / RATE).sum(0)
    return noise / noise.std()


def music(count: int, rng: np.random.Generator) -> Sound:
    """Plucked or swelling chords of harmonic tones, sometimes with a beat of noise."""
    out, at = np.zeros(count), 0
    beat = int(rng.uniform(0.15, 0.6) * RATE)
    drums = rng.random() < 0.5
    while at < count:
        length = min(beat * int(rng.integers(1, 4)), count - at)
        t = np.arange(length) / RATE
        for _ in range(int(rng.integers(1, 4))):
            pitch = 110 * 2 ** (rng.integers(0, 36) / 12)
            harmonics = np.arange(1, int(min(12, 7000 // pitch)) + 1)[:, None]
            tone = (
                np.sin(2 * np.pi * pitch * harmonics * t) / harmonics ** rng.uniform(0.7, 2)
            ).sum(0)
            out[at : at + length] += tone.sum(0) * np.exp(-t * rng.uniform(0.5, 8))
        if drums:
            out[at : at + length] += rng.standard_normal(length) * np.exp(-t * 40)
        at += beat
    return out / (out.std() + 1e-9)


def breath(count: int, rng: np.random.Generator) -> Sound:
    """Breaths: band-passed noise that swells and fades for 0.3 to 0.9 s, with rests between."""
    out, at = np.zeros(count), int(rng.uniform(0, 0.5) * RATE)
    low = rng.uniform(300, 1200)
    band = butter(2, [low, low * rng.uniform(2, 5)], "bandpass", fs=RATE, output="sos")
    while at < count:
        length = min(int(rng.uniform(0.3, 0.9) * RATE), count - at)
        shape = np.sin(np.pi * np.linspace(0, 1, length)) ** rng.uniform(0.7, 2)
        out[at : at + length] = sosfilt(band, rng.standard_normal(length)) * shape
        at += length + int(rng.uniform(0.2, 1.5) * RATE)
    return out / (out.std() + 1e-9)


def clicks(count: int, rng: np.random.Generator) -> Sound:
    """Keys, knocks and taps."""
    out = np.zeros(count)
    for at in rng.integers(0, max(1, count - 800), max(1, int(count / RATE * rng.uniform(1, 6)))):
        t = np.arange(min(800, count - at)) / RATE
        ring = np.sin(2 * np.pi * rng.uniform(150, 4000) * t) + rng.standard_normal(len(t))
        out[at : at + len(t)] += ring * np.exp(-t * rng.uniform(60, 400)) * rng.uniform(0.2, 1)
    return out / (out.std() + 1e-9)


NOISES = (coloured_noise, music, breath, clicks)


def narrow_band(sound: Sound, rng: np.random.Generator) -> Sound:
    """A telephone or a cheap microphone."""
    low, high = rng.uniform(100, 350), rng.uniform(3200, 5500)
    return sosfilt(butter(3, [low, high], "bandpass", fs=RATE, output="sos"), sound)


def opus(sound: Sound, rng: np.random.Generator) -> Sound:
    """Through Opus at 8 to 24 kb/s and back, its delay taken out."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "s16"  # type: ignore[attr-defined]
    encoder.bit_rate = int(rng.choice([8_000, 12_000, 16_000, 24_000]))
    encoder.time_base = Fraction(1, RATE)
    encoder.options = {"application": "voip"}
    encoder.open()
    size = encoder.frame_size or 320  # type: ignore[attr-defined]
    decoder = av.CodecContext.create("opus", "r")
    decoder.extradata = encoder.extradata
    whole = np.pad(sound, (0, -len(sound) % size + 2 * size))
    pcm = (32767 * np.clip(whole, -1, 1)).astype(np.int16)
    packets = []
    for k in range(0, len(pcm), size):
        frame = av.AudioFrame.from_ndarray(pcm[None, k : k + size], "s16", "mono")
        frame.sample_rate, frame.pts = RATE, k
        packets += encoder.encode(frame)
    resampler, out = av.AudioResampler("flt", "mono", RATE), []
    for packet in packets + encoder.encode(None):
        for frame in decoder.decode(packet):
            out += [f.to_ndarray()[0] for f in resampler.resample(frame)]
    decoded = np.concatenate(out).astype(np.float64)
    best = _lag(decoded[: len(sound)], sound[: len(decoded)])
    decoded = decoded[best:]
    return np.pad(decoded, (0, max(0, len(sound) - len(decoded))))[: len(sound)]


def _lag(late: Sound, early: Sound, most: int = 800) -> int:
    """Samples by which `late` trails, 0 .. most."""
    n = min(len(late), len(early))
    product = np.fft.irfft(np.fft.rfft(late[:n], 2 * n) * np.conj(np.fft.rfft(early[:n], 2 * n)))
    return int(np.argmax(product[:most]))


def level(sound: Sound, db: float) -> Sound:
    """Scaled to `db` (RMS of its louder half, relative to full scale)."""
    loud = np.sort(np.abs(sound))[len(sound) // 2 :]
    return sound * 10 ** (db / 20) / (np.sqrt((loud**2).mean()) + 1e-9)


def degrade(
    sound: Sound, rng: np.random.Generator, babble: Sound | None = None
) -> NDArray[np.int16]:
    """A clean voice (S,) -> int16 (S,) as a call brings it: any of room, noise, other voices,
    narrow band, codec, level, clipping; often nothing.
    """
    sound = level(sound, rng.normal(-22, 6))
    if rng.random() < 0.3:
        sound = room(sound, rng)
    kind = rng.random()
    strength = 10 ** (-rng.uniform(2, 32) / 20) * sound.std()
    if kind < 0.35:
        sound = sound + strength * coloured_noise(len(sound), rng)
    elif kind < 0.5:
        noise = NOISES[int(rng.integers(1, len(NOISES)))](len(sound), rng)
        sound = sound + strength * noise
    elif kind < 0.6 and babble is not None:
        sound = sound + strength * babble / (babble.std() + 1e-9)
    if rng.random() < 0.15:
        sound = narrow_band(sound, rng)
    if rng.random() < 0.15:
        sound = np.tanh(sound * rng.uniform(1, 4))
    if rng.random() < 0.2:
        sound = opus(sound, rng)
    return (32767 * np.clip(sound, -1, 1)).astype(np.int16)
