"""Sounds of rooms, streets and things, synthetic and seeded.

Every maker takes a length in samples at 16 kHz and returns so many, deviation 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

RATE = 16_000
Sound = NDArray[np.float64]


def _unit(sound: Sound) -> Sound:
    return sound / (sound.std() + 1e-9)


def _wander(count: int, hertz: float, rng: np.random.Generator) -> Sound:
    """A track (count,) 0..1 that changes about `hertz` times a second."""
    knots = rng.random(int(count / RATE * hertz) + 3)
    return np.interp(np.arange(count) * hertz / RATE, np.arange(len(knots)), knots)


def _noise(count: int, low: float, high: float, rng: np.random.Generator) -> Sound:
    band = butter(2, [low, min(high, 7900)], "bandpass", fs=RATE, output="sos")
    return _unit(sosfilt(band, rng.standard_normal(count)))


def wind(count: int, rng: np.random.Generator) -> Sound:
    """Gusts, on the microphone or round a house, and waves of water."""
    low = rng.uniform(30, 500)
    out = np.zeros(count)
    for octave in (1.0, 2.0, 4.0):
        out += _noise(count, low * octave, 2 * low * octave, rng) * _wander(count, 1.5, rng) ** 2
    return _unit(out)


def traffic(count: int, rng: np.random.Generator) -> Sound:
    """Engines that pass: a low harmonic tone and tyres."""
    out = _noise(count, 40, rng.uniform(200, 1500), rng)
    pitch = rng.uniform(40, 160) * (0.8 + 0.4 * _wander(count, 0.5, rng))
    turn = np.cumsum(pitch) / RATE
    engine = sum(np.sin(2 * np.pi * k * turn + k) / k for k in range(1, 9))
    return _unit(out * (0.3 + _wander(count, 0.7, rng)) + _wander(count, 0.7, rng) * engine)


def tones(count: int, rng: np.random.Generator) -> Sound:
    """Sirens, whistles, alarms, dial tones: one or two tones, steady, gliding or interrupted."""
    base, t = 10 ** rng.uniform(2.2, 3.5), np.arange(count) / RATE
    kind, rate = rng.random(), rng.uniform(0.3, 6)
    bend = np.zeros(count)
    if kind < 0.3:
        bend = rng.uniform(0.1, 1) * np.sin(2 * np.pi * rate * t)
    elif kind < 0.5:
        bend = rng.uniform(0.1, 0.6) * np.sign(np.sin(2 * np.pi * rate * t))
    elif kind < 0.7:
        bend = 1.5 * _wander(count, rate, rng)
    turn = np.cumsum(np.minimum(base * 2**bend, 7500)) / RATE
    out = np.sin(2 * np.pi * turn)
    if rng.random() < 0.4:
        out += np.sin(2 * np.pi * turn * rng.uniform(1.1, 2.5))
    if rng.random() < 0.4:
        out = np.tanh(4 * out)
    if rng.random() < 0.5:
        out *= np.sin(2 * np.pi * rng.uniform(0.5, 12) * t + rng.uniform(0, 6)) > rng.uniform(
            -0.8, 0.8
        )
    return _unit(out + rng.uniform(0, 0.3) * rng.standard_normal(count))


def hits(count: int, rng: np.random.Generator) -> Sound:
    """Claps, keys, doors, dishes, steps: struck things of one kind, at random or in a beat."""
    length = int(rng.uniform(0.03, 0.5) * RATE)
    t = np.arange(length) / RATE
    out = np.zeros(count + length)
    modes, tonal = 10 ** rng.uniform(1.8, 3.6, int(rng.integers(1, 8))), rng.uniform(0, 2)
    dying, colour = rng.uniform(10, 200), rng.uniform(-0.9, 0.9)
    often = rng.uniform(0.5, 12)
    regular = np.arange(rng.uniform(0, RATE / often), count, RATE / often)
    free = rng.integers(0, count, max(1, int(often * count / RATE)))
    for at in regular.astype(int) if rng.random() < 0.5 else free:
        ring = sum(np.sin(2 * np.pi * m * t) * np.exp(-t * rng.uniform(5, 60)) for m in modes)
        hiss = lfilter([1.0], [1.0, -colour], rng.standard_normal(length)) * np.exp(-t * dying)
        out[at : at + length] += rng.uniform(0.2, 1) * (tonal * ring + hiss)
    return _unit(out[:count])


def rustle(count: int, rng: np.random.Generator) -> Sound:
    """Cloth, paper, frying, rain: grains of noise, dense or sparse."""
    grains = (rng.random(count) < 10 ** rng.uniform(-3, -0.5)) * rng.standard_normal(count)
    low = rng.uniform(200, 3000)
    band = butter(1, [low, min(7900, low * rng.uniform(2, 8))], "bandpass", fs=RATE, output="sos")
    return _unit(
        sosfilt(band, grains) * _wander(count, rng.uniform(0.5, 8), rng) ** rng.uniform(0, 3)
    )
