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
        tract = resonate(hiss, formants, rng.uniform(1.5, 6))
        # Some of the air is heard as it leaves teeth and lips, past most of the tract.
        bright = rng.uniform(0, 0.7) * np.diff(hiss, prepend=0.0) * (rng.random() < 0.5)
        out += breath * (tract / (tract.std() + 1e-9) + bright / (hiss.std() + 1e-9))
    return out


def swell(count: int, attack: float, shape: float = 1.0) -> Sound:
    """Loudness (count,) 0..1..0 whose top comes after the share `attack`."""
    t = np.linspace(0, 1, count)
    rising, falling = np.minimum(t / attack, 1), np.minimum((1 - t) / (1 - attack), 1)
    return (np.sin(np.pi / 2 * rising) * np.sin(np.pi / 2 * falling)) ** shape


@dataclass(frozen=True)
class Bout:
    """One bout of laughter, in samples: air goes out, calls follow, air comes in again (onset, apex
    and offset: Trouvain, "Segmenting phonetic units in laughter", ICPhS 2003).

    calls: start and length of each; inhale: the same of the breath after them, of length 0 where
    there is none.
    """

    calls: tuple[tuple[int, int], ...]
    inhale: tuple[int, int]
    count: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Bout:
        """2 to 11 calls, 3 to 8 a second, slowing down; the last one long at times."""
        at = rng.uniform(0.05, 0.45) * RATE if rng.random() < 0.6 else 0.0
        period, found = RATE / rng.uniform(3, 8), []
        share, slower = rng.uniform(0.25, 0.7), rng.uniform(0.99, 1.06)
        for _ in range(int(rng.integers(2, 12))):
            found.append((int(at), int(period * share * rng.uniform(0.8, 1.2))))
            at += period * rng.uniform(0.93, 1.07)
            period *= slower
        start, length = found[-1]
        if rng.random() < 0.15:
            found[-1] = start, length = start, int(length * rng.uniform(1.5, 4))
        end = start + 2 * length
        inhale = (start + int(length * rng.uniform(1.0, 2.0)), int(rng.uniform(0.15, 0.6) * RATE))
        if rng.random() < 0.5:
            inhale = (end, 0)
        return cls(tuple(found), inhale, max(end, sum(inhale)))

    def fading(self, rng: np.random.Generator) -> list[tuple[slice, Sound]]:
        """Where each call is, and its loudness there."""
        fade, found = rng.uniform(0.2, 1.0), []
        for k, (start, length) in enumerate(self.calls):
            left = fade ** (k / len(self.calls)) * rng.uniform(0.7, 1.1)
            found.append(
                (slice(start, start + length), left * swell(length, rng.uniform(0.15, 0.5)))
            )
        return found

    def air(self, calls: list[tuple[slice, Sound]], rng: np.random.Generator) -> Sound:
        """Loudness of the breath that goes out before the calls, through them and between them, as
        a share of theirs, (count,).
        """
        out, first = np.zeros(self.count), self.calls[0][0]
        if first:
            sudden = rng.uniform(0.02, 0.9), rng.uniform(0.3, 1.0)
            out[:first] = rng.uniform(0.1, 1.0) * swell(first, *sudden)
        between = rng.uniform(0.02, 0.3)
        for at, loud in calls:  # up to the next call
            until = min(at.stop + len(loud), self.count)
            gap = swell(until - at.stop, 0.5) if until > at.stop else np.zeros(0)
            out[at.stop : until] += between * loud.max() * gap
        if rng.random() < 0.5:
            whole = self.calls[-1][0] + self.calls[-1][1]
            out[:whole] += rng.uniform(0.05, 0.5) * swell(whole, rng.uniform(0.1, 0.4), 0.5)
        return out

    def inhaled(self, throat: Throat, rng: np.random.Generator) -> Sound:
        """The breath that comes in, (count,), as loud as the calls or less; voiced at times."""
        out, (start, length) = np.zeros(self.count), self.inhale
        if length:
            shape = swell(length, rng.uniform(0.3, 0.9))
            voice = rng.uniform(0.2, 1.0) * shape * (rng.random() < 0.4)
            pitch = np.full(length, throat.pitch_hz * rng.uniform(1.0, 2.5))
            sound = uttered(pitch, voice, shape, throat.formants(rng), rng, 0.05)
            out[start : start + length] = rng.uniform(0.1, 0.9) * sound / (np.abs(sound).max())
        return out


def laugh(throat: Throat, rng: np.random.Generator) -> Sound:
    """One bout: "ha ha ha" in any vowel, voiced, breathy, without voice, or with closed lips."""
    bout = Bout.draw(rng)
    count, kind = bout.count, rng.random()
    voiced = 0.0 if kind < 0.2 else 1.0
    breathy = 1.0 if kind < 0.2 else rng.uniform(0.3, 1.2) if kind < 0.5 else 0.3 * throat.breath
    top = throat.pitch_hz * rng.uniform(1.0, 2.4)
    fall, arch = rng.uniform(0.4, 1.1), rng.uniform(-0.2, 0.4)
    pitch, voice = top * fall ** np.linspace(0, 1, count), np.zeros(count)
    calls = bout.fading(rng)
    breath = bout.air(calls, rng)
    for at, loud in calls:
        pitch[at] *= 1 + arch * loud / loud.max()
        voice[at] += voiced * loud
        breath[at] += breathy * loud
    nasal = rng.random() < 0.2
    sound = uttered(pitch, voice, breath, throat.formants(rng, nasal), rng, rng.uniform(0.01, 0.05))
    if rng.random() < 0.2:  # a snort
        flutter = 1 + np.sign(np.sin(2 * np.pi * rng.uniform(25, 60) * np.arange(count) / RATE))
        sound *= flutter
    sound = sound / (np.abs(sound).max() + 1e-9) + bout.inhaled(throat, rng)
    return sound / (np.abs(sound).max() + 1e-9)


def laughed(vowel: Sound, rng: np.random.Generator) -> Sound:
    """One bout from a recorded vowel (S,): the same again and again, its breath between."""
    bout = Bout.draw(rng)
    fall, first, airy = rng.uniform(0.5, 1.0), rng.uniform(0.9, 1.7), rng.uniform(0.05, 0.8)
    correlation = np.correlate(vowel, vowel, "full")[len(vowel) - 1 :][:17]
    correlation[0] *= 1.001
    coder = solve_toeplitz(correlation[:16], correlation[1:17])
    hiss = lfilter([1.0], np.r_[1.0, -coder], rng.standard_normal(bout.count))
    hiss *= vowel.std() / (hiss.std() + 1e-9)
    calls = bout.fading(rng)
    out = bout.air(calls, rng) * hiss
    for k, (at, loud) in enumerate(calls):
        turn = np.arange(len(loud)) * first * fall ** (k / len(calls))
        turned = np.abs((turn + len(vowel) - 1) % (2 * len(vowel) - 2) - (len(vowel) - 1))
        tone = np.interp(turned, np.arange(len(vowel)), vowel)  # forth and back, without a seam
        out[at] += loud * (tone + airy * hiss[at])
    out = out / (np.abs(out).max() + 1e-9) + bout.inhaled(Throat.draw(rng), rng)
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


def gasp(throat: Throat, rng: np.random.Generator) -> Sound:
    """Air that comes at once, as before laughter; with a thin voice in it at times."""
    count = int(rng.uniform(0.08, 0.5) * RATE)
    shape = swell(count, rng.uniform(0.02, 0.25), rng.uniform(0.2, 0.6))
    voice = rng.uniform(0.05, 0.5) * shape * (rng.random() < 0.35)
    pitch = (
        throat.pitch_hz * rng.uniform(0.8, 3.0) * rng.uniform(0.5, 2.0) ** np.linspace(0, 1, count)
    )
    sound = uttered(pitch, voice, shape, throat.formants(rng), rng)
    return rng.uniform(0.4, 1.0) * sound / (np.abs(sound).max() + 1e-9)


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
