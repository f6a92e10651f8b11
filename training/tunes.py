"""Music, synthetic and seeded: parts on one scale, each with an instrument of its own, and drums.

`tune` takes a length in samples at 16 kHz and returns so many, deviation 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from training.throat import RATE, Throat, resonate

Sound = NDArray[np.float64]
Instrument = Callable[[float, int], Sound]

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), tuple(range(12)))


def _fade(count: int, attack_s: float, decay: float) -> Sound:
    """Loudness (count,): rising for `attack_s`, then exp(-decay t), with a short end."""
    t = np.arange(count) / RATE
    return np.minimum(t / attack_s, 1) * np.exp(-decay * t) * np.minimum((t[-1] - t) * 100, 1)


def _partials(rng: np.random.Generator) -> Instrument:
    """Organ, flute, electric piano, bell: from one partial to ten, held or dying, with vibrato."""
    slope, most = rng.uniform(0.5, 2.5), int(rng.integers(1, 11))
    attack = 10 ** rng.uniform(-3, -1)
    decay = rng.choice([0.0, 1.0, 4.0, 8.0]) * rng.uniform(0.7, 1.5)
    odd, stretch = rng.random() < 0.2, rng.choice([0.0, 0.0, 0.003, 0.3])
    depth, wobble = rng.choice([0.0, 0.0, 0.006, 0.015]), rng.uniform(4, 7)

    def play(hertz: float, count: int) -> Sound:
        t = np.arange(count) / RATE
        turn = (
            2 * np.pi * hertz * (t + depth * np.sin(2 * np.pi * wobble * t) / (2 * np.pi * wobble))
        )
        out = np.zeros(count)
        for k in range(1, most + 1, 2 if odd else 1):
            if hertz * k * (1 + stretch * (k - 1)) < RATE / 2:
                out += np.sin(k * (1 + stretch * (k - 1)) * turn) / k**slope
        return out * _fade(count, attack, decay)

    return play


def _plucked(rng: np.random.Generator) -> Instrument:
    """Karplus and Strong (1983): a delayed, averaged burst of noise."""
    keep, bright = rng.uniform(0.97, 0.999), rng.uniform(0.0, 0.6)
    noise = rng.standard_normal(RATE // 20)

    def play(hertz: float, count: int) -> Sound:
        delay = max(2, round(RATE / hertz))
        loop = np.zeros(delay + 2)
        loop[0] = 1.0
        loop[delay:] = -keep * np.array([0.5 + bright / 2, 0.5 - bright / 2])
        burst = np.zeros(count)
        burst[: min(delay, len(noise), count)] = noise[: min(delay, len(noise), count)]
        return lfilter([1.0], loop, burst) * _fade(count, 0.001, 0)

    return play


def _modulated(rng: np.random.Generator) -> Instrument:
    """Two-operator FM (Chowning 1973)."""
    ratio = float(rng.choice([0.5, 1.0, 1.41, 2.0, 3.0, 3.5]))
    index, fall, decay = rng.uniform(0.5, 6), rng.uniform(0, 8), rng.uniform(0, 6)

    def play(hertz: float, count: int) -> Sound:
        t = np.arange(count) / RATE
        inner = index * np.exp(-fall * t) * np.sin(2 * np.pi * hertz * ratio * t)
        return np.sin(2 * np.pi * hertz * t + inner) * _fade(count, 0.005, decay)

    return play


def _bowed(rng: np.random.Generator) -> Instrument:
    """Sawtooths, slightly out of tune, through a falling slope: strings, brass, synthesisers."""
    detune, pole = rng.uniform(0, 0.01), rng.uniform(0.3, 0.95)
    attack, decay = 10 ** rng.uniform(-2.3, -0.7), rng.choice([0.0, 0.0, 3.0])

    def play(hertz: float, count: int) -> Sound:
        t = np.arange(count) / RATE
        saws = sum(2 * ((hertz * (1 + d) * t) % 1) - 1 for d in (-detune, 0.0, detune))
        return lfilter([1 - pole], [1, -pole], saws) * _fade(count, attack, decay)

    return play


def _sung(rng: np.random.Generator) -> Instrument:
    """A lead through the formants of one held vowel."""
    formants, depth = Throat.draw(rng).formants(rng), rng.uniform(0.005, 0.02)
    attack = rng.uniform(0.02, 0.1)

    def play(hertz: float, count: int) -> Sound:
        t = np.arange(count) / RATE
        turn = hertz * (t + depth * np.sin(2 * np.pi * 5.5 * t) / (2 * np.pi * 5.5))
        source = np.diff(np.floor(turn), prepend=0.0)
        sound = resonate(lfilter([1.0], [1, -0.9], source), formants)
        return sound / (sound.std() + 1e-9) * _fade(count, attack, 0)

    return play


INSTRUMENTS = (_partials, _partials, _plucked, _modulated, _bowed, _sung)


def _drums(count: int, beat: float, rng: np.random.Generator) -> Sound:
    """Kick, snare and hat on a grid of half beats."""
    out = np.zeros(count)
    step, pattern = int(beat * RATE / 2), rng.random((3, 8)) < rng.uniform(0.2, 0.6, (3, 1))
    t = np.arange(RATE // 4) / RATE
    kick = np.sin(2 * np.pi * (45 * t + 6 * (1 - np.exp(-t * 30)))) * np.exp(-t * 14)
    noise = rng.standard_normal(len(t))
    snare = (noise + 0.5 * np.sin(2 * np.pi * 190 * t)) * np.exp(-t * rng.uniform(15, 35))
    hat = np.diff(noise, prepend=0.0) * np.exp(-t * rng.uniform(30, 90))
    levels = rng.uniform(0.2, 1.5, 3)
    for k, at in enumerate(range(0, count, max(step, 1))):
        for part, (sound, hits) in enumerate(zip((kick, snare, hat), pattern, strict=True)):
            if hits[k % 8]:
                length = min(len(t), count - at)
                out[at : at + length] += levels[part] * sound[:length]
    return out


def _part(
    count: int, beat: float, scale: tuple[int, ...], root: int, rng: np.random.Generator
) -> Sound:
    """One instrument: chords in blocks, an arpeggio, a bass or a tune."""
    play = INSTRUMENTS[int(rng.integers(len(INSTRUMENTS)))](rng)
    octave, voices = int(rng.integers(-1, 3)), int(rng.choice([1, 1, 2, 3, 4]))
    step = beat * float(rng.choice([0.25, 0.5, 1.0, 1.0, 2.0]))
    held, rests = rng.uniform(0.5, 1.3), rng.choice([0.0, 0.1, 0.4])
    out, degree, at = np.zeros(count), int(rng.integers(8)), 0.0
    while at < count:
        if rng.random() >= rests:
            length = min(int(held * step * RATE), count - int(at))
            for voice in range(voices if length > 32 else 0):
                up, place = divmod(degree + 2 * voice, len(scale))
                pitch = root + 12 * (octave + up) + scale[place]
                hertz = 440.0 * 2 ** ((pitch - 69) / 12)
                if 30 < hertz < 4000:
                    out[int(at) : int(at) + length] += play(hertz, length)
        degree = int(np.clip(degree + rng.integers(-3, 4), 0, 12))
        at += step * RATE * float(rng.choice([1, 1, 1, 2]))
    return rng.uniform(0.2, 1.0) * out / (out.std() + 1e-9)


def tune(count: int, rng: np.random.Generator) -> Sound:
    """One to four instruments at 50 to 190 beats a minute, drums in two of five."""
    beat, scale = 60 / rng.uniform(50, 190), SCALES[int(rng.integers(len(SCALES)))]
    root, out = int(rng.integers(45, 62)), np.zeros(count)
    for _ in range(int(rng.integers(1, 5))):
        out += _part(count, beat, scale, root, rng)
    if rng.random() < 0.4:
        out += rng.uniform(0.3, 3) * _drums(count, beat, rng)
    return out / (out.std() + 1e-9)
