"""Everything that is no speech, in the shares that training hears it; the mouth rests.

Synthetic sounds of throats, music, rooms and things; what training voices give: laughter made of
a recorded vowel said again and again, and the breaths in pauses; and recorded laughter. Seeded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from training.ambience import hits, rustle, tones, traffic, wind
from training.degrade import clicks, coloured_noise, degrade, level, narrow_band, opus, room
from training.phonemes import VOWELS
from training.revoice import revoice
from training.spoken import Spoken
from training.throat import (
    Throat,
    breath,
    breaths,
    clearings,
    coughs,
    gasp,
    hums,
    laughed,
    laughter,
)
from training.tunes import tune

RATE = 16_000
Sound = NDArray[np.float64]
VOWEL_S, PAUSE_S = 0.07, 0.2  # the shortest that are cut out
SYNTHETIC: dict[Callable[[int, np.random.Generator], Sound], float] = {
    laughter: 0.25, breaths: 0.12, coughs: 0.05, clearings: 0.04, hums: 0.05,
    tune: 0.22, tones: 0.03, wind: 0.02, traffic: 0.03, hits: 0.05, rustle: 0.02,
    coloured_noise: 0.08, clicks: 0.02,
}  # fmt: skip
LAUGHS = 0.4  # of all, where there are recorded bouts
RECORDED = 0.4  # of the rest, laughter and pauses from voices
GATED = 0.4  # of all, as a noise gate lets it through


def gated(sound: Sound, rng: np.random.Generator) -> Sound:
    """The sound (count,), 16 kHz in any unit, over a room's own noise 5 to 45 dB below it, both
    there at once and gone at once, as a noise gate, a button or a cut has it: a gate opens before
    the mouth does.
    """
    count = len(sound)
    floor = coloured_noise(count, rng) * 10 ** (rng.uniform(-45, -5) / 20) * sound.std()
    gate = np.full(count, rng.choice([0.0, 10 ** (rng.uniform(-60, -35) / 20)]))
    at = int(rng.uniform(-0.5, 1.0) * RATE)
    while at < count:
        last = at + int(rng.uniform(0.1, 2.5) * RATE)
        gate[max(at, 0) : max(last, 0)] = 1
        at = last + int(rng.uniform(0.1, 1.5) * RATE)
    edge = np.ones(int(rng.uniform(0.001, 0.02) * RATE))
    return (sound + floor) * np.convolve(gate, edge / len(edge), "same")


@dataclass
class NonSpeech:
    """Draws sounds; `vowels` int16 and `pauses` float64 (S,) are pieces of training voices,
    `laughs` int16 (S,) recorded bouts.
    """

    rng: np.random.Generator
    vowels: list[NDArray[np.int16]] = field(default_factory=list)
    pauses: list[Sound] = field(default_factory=list)
    laughs: list[NDArray[np.int16]] = field(default_factory=list)

    def cut(self, voices: Iterable[Spoken]) -> None:
        """Take the long vowels and the pauses of these recordings."""
        for said in voices:
            for p in said.phonemes:
                seconds, first = p.end_s - p.start_s, int(p.start_s * RATE)
                piece = said.pcm[first : int(p.end_s * RATE)]
                if p.symbol in VOWELS and seconds >= VOWEL_S:
                    self.vowels.append(piece)
                elif not p.symbol and seconds >= PAUSE_S:
                    inner = piece[int(0.05 * RATE) : -int(0.05 * RATE)]
                    if inner.std() > 1:
                        self.pauses.append(inner.astype(np.float64))

    def draw(self, count: int) -> Sound:
        """One or two sounds at once, (count,)."""
        rng = self.rng
        sound = self._one(count)
        if rng.random() < 0.15:
            sound = sound + rng.uniform(0.1, 1) * self._one(count)
        return gated(sound, rng) if rng.random() < GATED else sound

    def heard(self, count: int) -> NDArray[np.int16]:
        """As a call brings it, int16 (count,)."""
        rng, sound = self.rng, self.draw(count)
        if rng.random() < 0.5:
            return degrade(sound, rng)
        sound = level(sound, rng.uniform(-50, -12))
        for spoil, share in ((room, 0.3), (narrow_band, 0.1), (opus, 0.15)):
            if rng.random() < share:
                sound = spoil(sound, rng)
        return (32767 * np.clip(sound, -1, 1)).astype(np.int16)

    def _one(self, count: int) -> Sound:
        rng = self.rng
        if self.laughs and rng.random() < LAUGHS:
            return self._bouts(count)
        if self.vowels and rng.random() < RECORDED:
            return self._sighing(count) if rng.random() < 0.2 else self._laughing(count)
        makers, shares = list(SYNTHETIC), np.array(list(SYNTHETIC.values()))
        return makers[int(rng.choice(len(makers), p=shares / shares.sum()))](count, rng)

    def _bouts(self, count: int) -> Sound:
        """One recorded laugher in another voice and at another speed, with air before a bout and
        after it, again and again; at times from the middle of a bout.
        """
        rng, out = self.rng, np.zeros(count)
        chosen = self.laughs[int(rng.integers(len(self.laughs)))]
        chosen = resample_poly(chosen.astype(np.float64), int(rng.integers(80, 126)), 100)
        tract = float(np.exp(0.11 * rng.standard_normal()))
        pitch = float(np.clip(tract * np.exp(0.3 * rng.standard_normal()), 0.5, 2.2))
        whisper = float(rng.choice([0.0, 0.0, 0.0, 0.4, 1.0]))
        laugh = chosen
        if rng.random() < 0.8:
            voiced = np.clip(np.round(chosen), -32768, 32767).astype(np.int16)
            laugh = revoice(voiced, rng, pitch, tract, whisper).astype(np.float64)
        laugh /= np.abs(laugh).max() + 1e-9
        throat, rest_s = Throat.draw(rng), rng.choice([0.4, 2.0])
        at = int(rng.uniform(0, rest_s) * RATE)
        while at < count:
            for part in self._bout(laugh, throat):
                piece = part[: max(count - at, 0)]
                out[at : at + len(piece)] += piece
                at += int(len(piece) * rng.uniform(0.75, 1.05))
            at += int(rng.uniform(0.0, rest_s) * RATE)
        return out / (out.std() + 1e-9)

    def _bout(self, laugh: Sound, throat: Throat) -> list[Sound]:
        """Air, a piece of a bout or all of it, air."""
        rng, count = self.rng, len(laugh)
        first = int(rng.uniform(0, 0.7) * count) if rng.random() < 0.3 else 0
        last = first + int(rng.uniform(0.2, 0.7) * RATE) if rng.random() < 0.4 else count
        parts = [rng.uniform(0.3, 1.0) * laugh[first:last]]
        if rng.random() < 0.65:
            before = gasp if rng.random() < 0.7 else breath
            parts.insert(0, rng.uniform(0.1, 1.0) * before(throat, rng))
        if rng.random() < 0.5:
            parts.append(rng.uniform(0.1, 0.8) * breath(throat, rng))
        return parts

    def _laughing(self, count: int) -> Sound:
        """Bouts of laughter by one throat, from one or two vowels of a recording."""
        rng, out = self.rng, np.zeros(count)
        chosen = self.vowels[int(rng.integers(len(self.vowels)))]
        tract = float(np.exp(0.12 * rng.standard_normal()))
        pitch = float(np.clip(tract * np.exp(0.35 * rng.standard_normal()), 0.6, 2.2))
        whisper = float(rng.choice([0.0, 0.0, 0.3, 0.7, 1.0]))
        vowel = revoice(chosen, rng, pitch, tract, whisper) / 32768.0
        at = int(rng.uniform(0, 0.4) * RATE)
        while at < count:
            bout = laughed(vowel, rng)[: count - at]
            out[at : at + len(bout)] += bout
            at += len(bout) + int(rng.uniform(0.05, 1.0) * RATE)
        return out / (out.std() + 1e-9)

    def _sighing(self, count: int) -> Sound:
        """Pauses of one recording after another, breaths among them, raised."""
        rng, parts, total = self.rng, [], 0
        while total < count:
            part = self.pauses[int(rng.integers(len(self.pauses)))]
            parts.append(part / (part.std() + 1e-9))
            total += len(part)
        return np.concatenate(parts)[:count]
