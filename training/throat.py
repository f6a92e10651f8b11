"""What a throat does beside speech: laughter, breaths, coughs, sighs, hums; synthetic, seeded.

A source of glottal pulses and breath, each with its loudness over time, goes through the formants
of a vocal tract. Every maker takes a length in samples at 16 kHz and returns so many, deviation 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

RATE = 16_000
Sound = NDArray[np.float64]

# First three formants of a man's vowels in Hz, Peterson and Barney (1952), and a schwa.
VOWELS = (
    (730, 1090, 2440), (660, 1720, 2410), (640, 1190, 2390), (570, 840, 2410), (530, 1840, 2480),
    (490, 1350, 1690), (440, 1020, 2240), (300, 870, 2240), (270, 2290, 3010), (500, 1500, 2500),
)  # fmt: skip
NASAL = (260, 1050, 2200)


@dataclass(frozen=True)
class Throat:
    """tract: factor on a man's formants; pitch_hz: where the voice rests; breath: its share."""

    tract: float
    pitch_hz: float
    breath: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Throat:
        tract = float(rng.uniform(0.9, 1.4))
        pitch = 110 * tract**2.2 * np.exp(0.25 * rng.standard_normal())
        return cls(tract, float(np.clip(pitch, 60, 500)), float(rng.uniform(0.05, 1.0)))

    def formants(self, rng: np.random.Generator, nasal: bool = False) -> Sound:
        """Four formants (4,) in Hz of a vowel that nobody says quite so."""
        chosen = NASAL if nasal else VOWELS[int(rng.integers(len(VOWELS)))]
        near = np.array([*chosen, 3500.0]) * self.tract * np.exp(0.07 * rng.standard_normal(4))
        return np.clip(near, 150, 7000)


def resonate(sound: Sound, formants: Sound, width: float = 1.0) -> Sound:
    """Through resonances in series; `width` widens them, as breath does."""
    for k, hertz in enumerate(formants):
        r = np.exp(-np.pi * width * (60 + 30 * k) / RATE)
        feedback = [1.0, -2 * r * np.cos(2 * np.pi * hertz / RATE), r * r]
        sound = lfilter([sum(feedback)], feedback, sound)
    return sound


def pulses(pitch: Sound, rng: np.random.Generator, rough: float = 0.02) -> Sound:
    """Glottal pulses at `pitch` (S,) Hz, falling 12 dB an octave; `rough` is the jitter."""
    turn = np.cumsum(pitch * (1 + rough * rng.standard_normal(len(pitch)) * 4) / RATE)
    beats = np.diff(np.floor(turn), prepend=0.0)
    beats *= 1 + 5 * rough * rng.standard_normal(len(pitch))
    pole = rng.uniform(0.8, 0.96)
    return lfilter([1.0, -1.0], np.convolve([1, -pole], [1, -pole]), beats)


def uttered(
    pitch: Sound,
    voice: Sound,
    breath: Sound,
    formants: Sound,
    rng: np.random.Generator,
    rough: float = 0.02,
) -> Sound:
    """Tracks (S,) of pitch in Hz and of the loudness of voice and of breath -> sound (S,)."""
    out = np.zeros(len(pitch))
    if voice.any():
        tone = resonate(pulses(pitch, rng, rough), formants)
        out += voice * tone / (tone.std() + 1e-9)
    if breath.any():
        hiss = lfilter([1.0, -rng.uniform(-0.5, 0.9)], [1.0], rng.standard_normal(len(pitch)))
        hiss = resonate(hiss, formants, rng.uniform(1.5, 6))
        out += breath * hiss / (hiss.std() + 1e-9)
    return out


def swell(count: int, attack: float, shape: float = 1.0) -> Sound:
    """Loudness (count,) 0..1..0 whose top comes after the share `attack`."""
    t = np.linspace(0, 1, count)
    rising, falling = np.minimum(t / attack, 1), np.minimum((1 - t) / (1 - attack), 1)
    return (np.sin(np.pi / 2 * rising) * np.sin(np.pi / 2 * falling)) ** shape


def calls(rng: np.random.Generator) -> list[tuple[int, int]]:
    """A bout of laughter as (start, length) of its calls in samples: 3 to 8 a second, slowing
    down.
    """
    period, at, found = RATE / rng.uniform(3, 8), 0.0, []
    share, slower = rng.uniform(0.3, 0.7), rng.uniform(0.99, 1.06)
    for _ in range(int(rng.integers(2, 12))):
        found.append((int(at), int(period * share * rng.uniform(0.8, 1.2))))
        at += period * rng.uniform(0.93, 1.07)
        period *= slower
    return found


def laugh(throat: Throat, rng: np.random.Generator) -> Sound:
    """One bout: "ha ha ha" in any vowel, voiced, breathy, without voice, or with closed lips."""
    times = calls(rng)
    count = times[-1][0] + 2 * times[-1][1]
    kind = rng.random()
    voiced = 0.0 if kind < 0.2 else 1.0
    breathy = 1.0 if kind < 0.2 else rng.uniform(0.3, 1.2) if kind < 0.5 else 0.3 * throat.breath
    top = throat.pitch_hz * rng.uniform(1.0, 2.4)
    fall, arch = rng.uniform(0.4, 1.1), rng.uniform(-0.2, 0.4)
    fade = rng.uniform(0.2, 1.0)
    pitch = top * fall ** np.linspace(0, 1, count)
    voice, breath = np.zeros(count), np.zeros(count)
    aspirated = rng.uniform(0.02, 0.3)
    for k, (start, length) in enumerate(times):
        left = fade ** (k / len(times)) * rng.uniform(0.7, 1.1)
        end = min(start + length, count)
        shape = swell(end - start, rng.uniform(0.15, 0.5))
        pitch[start:end] *= 1 + arch * shape
        voice[start:end] += voiced * left * shape
        breath[start:end] += breathy * left * shape
        until = min(end + length, count)  # air between the calls
        breath[end:until] += aspirated * left * swell(until - end, 0.5)
    nasal = rng.random() < 0.2
    sound = uttered(pitch, voice, breath, throat.formants(rng, nasal), rng, rng.uniform(0.01, 0.05))
    if rng.random() < 0.2:  # a snort
        flutter = 1 + np.sign(np.sin(2 * np.pi * rng.uniform(25, 60) * np.arange(count) / RATE))
        sound *= flutter
    return sound / (np.abs(sound).max() + 1e-9)


def laughed(vowel: Sound, rng: np.random.Generator) -> Sound:
    """One bout from a recorded vowel (S,): the same again and again, its breath between."""
    times = calls(rng)
    count = times[-1][0] + 2 * times[-1][1]
    out, fade, fall = np.zeros(count), rng.uniform(0.2, 1.0), rng.uniform(0.5, 1.0)
    first, airy = rng.uniform(0.9, 1.7), rng.uniform(0.05, 0.8)
    correlation = np.correlate(vowel, vowel, "full")[len(vowel) - 1 :][:17]
    correlation[0] *= 1.001
    coder = solve_toeplitz(correlation[:16], correlation[1:17])
    hiss = lfilter([1.0], np.r_[1.0, -coder], rng.standard_normal(count))
    hiss *= vowel.std() / (hiss.std() + 1e-9)
    for k, (start, length) in enumerate(times):
        left = fade ** (k / len(times)) * rng.uniform(0.7, 1.1)
        end = min(start + length, count)
        at = np.arange(end - start) * first * fall ** (k / len(times))
        turned = np.abs((at + len(vowel) - 1) % (2 * len(vowel) - 2) - (len(vowel) - 1))
        tone = np.interp(turned, np.arange(len(vowel)), vowel)  # forth and back, without a seam
        out[start:end] += left * swell(end - start, rng.uniform(0.15, 0.5)) * tone
        until = min(end + length, count)
        out[start:until] += airy * left * swell(until - start, 0.3) * hiss[start:until]
    return out / (np.abs(out).max() + 1e-9)


def breath(throat: Throat, rng: np.random.Generator) -> Sound:
    """In or out, by nose or mouth, 0.15 to 1.3 s; sometimes with a little voice, as a sigh has."""
    count = int(rng.uniform(0.15, 1.3) * RATE)
    shape = swell(count, rng.uniform(0.1, 0.9), rng.uniform(0.5, 2.5))
    voice = np.zeros(count)
    if rng.random() < 0.15:
        voice = rng.uniform(0.1, 0.6) * shape
    pitch = throat.pitch_hz * rng.uniform(0.5, 1.0) ** np.linspace(0, 1, count)
    formants = throat.formants(rng, bool(rng.random() < 0.4))
    glide = throat.formants(rng)
    a, b = (uttered(pitch, voice, shape, f, rng) for f in (formants, glide))
    part = np.linspace(0, 1, count)
    sound = a * (1 - part) + b * part
    return rng.uniform(0.3, 1.0) * sound / (np.abs(sound).max() + 1e-9)


def cough(throat: Throat, rng: np.random.Generator) -> Sound:
    """A burst, noise through an open throat, sometimes voice at its end."""
    count = int(rng.uniform(0.15, 0.45) * RATE)
    t = np.arange(count) / RATE
    loud = np.exp(-t * rng.uniform(6, 25)) + 0.4 * swell(count, 0.5) * rng.random()
    voice = swell(count, 0.7) * rng.uniform(0, 0.8) * (rng.random() < 0.5)
    pitch = np.full(count, throat.pitch_hz) * rng.uniform(0.7, 1.6)
    sound = uttered(pitch, voice, loud, throat.formants(rng), rng, 0.1)
    return sound / (np.abs(sound).max() + 1e-9)


def clearing(throat: Throat, rng: np.random.Generator) -> Sound:
    """Throat clearing: a low, rough voice in one or two pushes."""
    count = int(rng.uniform(0.2, 0.6) * RATE)
    shape = swell(count, rng.uniform(0.1, 0.4))
    pitch = throat.pitch_hz * rng.uniform(0.3, 0.7) * np.ones(count)
    sound = uttered(pitch, shape, 0.8 * shape, throat.formants(rng, True), rng, 0.15)
    return sound / (np.abs(sound).max() + 1e-9)


def hum(throat: Throat, rng: np.random.Generator) -> Sound:
    """Some notes with closed lips."""
    steps = throat.pitch_hz * 2 ** (rng.integers(-5, 8, int(rng.integers(1, 6))) / 12)
    count = int(rng.uniform(0.15, 0.6) * RATE)
    pitch = np.repeat(steps, count)
    pitch = lfilter([0.002], [1, -0.998], pitch - steps[0]) + steps[0]
    vibrato = np.sin(2 * np.pi * rng.uniform(4, 7) * np.arange(len(pitch)) / RATE)
    shape = swell(len(pitch), 0.1, 0.5)
    formants = throat.formants(rng, True)
    return 0.5 * uttered(pitch * (1 + 0.01 * vibrato), shape, 0.05 * shape, formants, rng)


Maker = Callable[[Throat, np.random.Generator], Sound]
Filling = Callable[[int, np.random.Generator], Sound]


def repeated(make: Maker, rest_s: tuple[float, float]) -> Filling:
    """`make` again and again by one throat, with so many seconds of rest between."""

    def filled(count: int, rng: np.random.Generator) -> Sound:
        throat, out = Throat.draw(rng), np.zeros(count)
        at = int(rng.uniform(0, 0.4) * RATE)
        while at < count:
            one = make(throat, rng)[: count - at]
            out[at : at + len(one)] += one
            at += len(one) + int(rng.uniform(*rest_s) * RATE)
        return out / (out.std() + 1e-9)

    return filled


laughter = repeated(laugh, (0.05, 1.0))
breaths = repeated(breath, (0.05, 1.5))
coughs = repeated(cough, (0.0, 1.0))
clearings = repeated(clearing, (0.05, 1.2))
hums = repeated(hum, (0.1, 1.0))
