"""Phonemes of any language by how they are spoken: IPA letters -> articulatory features.

Dictionaries and synthesisers name phonemes in their own ways (IPA of espeak-ng and MFA, ARPAbet
of flite and pocketsphinx); all become timed IPA letters here. Signs that no table knows (tones,
stress, breath) are left out.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


class Kind(StrEnum):
    """What a phoneme asks of the lips."""

    SILENCE = "silence"
    CLOSED = "closed"  # p b m: both lips together
    LABIODENTAL = "labiodental"  # f v: lower lip at the teeth
    OPEN_VOWEL = "open vowel"
    MID_VOWEL = "mid vowel"
    CLOSE_VOWEL = "close vowel"
    CONSONANT = "consonant"


@dataclass(frozen=True, slots=True)
class Phoneme:
    """One IPA letter ("" = silence) from `start_s` to `end_s` seconds."""

    symbol: str
    start_s: float
    end_s: float

    @property
    def kind(self) -> Kind:
        return kind_of(self.symbol)


# letter -> (openness 0 close .. 1 open, backness 0 front .. 1 back, rounding 0..1)
VOWELS: dict[str, tuple[float, float, float]] = {
    "i": (0.0, 0.0, 0.0), "y": (0.0, 0.1, 0.9), "ɨ": (0.0, 0.5, 0.0), "ʉ": (0.0, 0.5, 0.8),
    "ɯ": (0.0, 1.0, 0.0), "u": (0.0, 1.0, 1.0), "ɪ": (0.2, 0.1, 0.0), "ʏ": (0.2, 0.2, 0.8),
    "ʊ": (0.2, 0.9, 0.7), "ᵻ": (0.2, 0.4, 0.0), "e": (0.35, 0.0, 0.0), "ø": (0.35, 0.1, 0.8),
    "ɘ": (0.35, 0.5, 0.0), "ɵ": (0.35, 0.5, 0.6), "ɤ": (0.35, 1.0, 0.0), "o": (0.4, 1.0, 0.9),
    "ə": (0.45, 0.5, 0.0), "ɚ": (0.4, 0.5, 0.3), "ɛ": (0.6, 0.1, 0.0), "œ": (0.6, 0.2, 0.6),
    "ɜ": (0.55, 0.5, 0.1), "ɝ": (0.45, 0.5, 0.3), "ɞ": (0.6, 0.6, 0.4), "ʌ": (0.65, 0.8, 0.0),
    "ɔ": (0.65, 1.0, 0.7), "ɐ": (0.65, 0.5, 0.0), "æ": (0.85, 0.1, 0.0), "a": (1.0, 0.3, 0.0),
    "ɶ": (1.0, 0.2, 0.4), "ɑ": (1.0, 0.9, 0.0), "ɒ": (0.9, 1.0, 0.4),
}  # fmt: skip

PLACES = (
    "bilabial", "labiodental", "dental", "alveolar", "postalveolar", "palatal", "velar", "glottal",
)  # fmt: skip
MANNERS = ("stop", "nasal", "fricative", "approximant", "lateral", "trill")
_CONSONANTS: dict[tuple[str, str], str] = {
    ("bilabial", "stop"): "pbɓʙ", ("bilabial", "nasal"): "m", ("bilabial", "fricative"): "ɸβ",
    ("bilabial", "approximant"): "wɥʍ",
    ("labiodental", "fricative"): "fv", ("labiodental", "nasal"): "ɱ",
    ("labiodental", "approximant"): "ʋ",
    ("dental", "fricative"): "θð",
    ("alveolar", "stop"): "tdɗʈɖᶑ", ("alveolar", "nasal"): "nɳ", ("alveolar", "fricative"): "sz",
    ("alveolar", "approximant"): "ɹɻ", ("alveolar", "lateral"): "lɫɭɬɮɺ",
    ("alveolar", "trill"): "rɾɽ",
    ("postalveolar", "fricative"): "ʃʒʂʐɕʑɧ",
    ("palatal", "stop"): "cɟʄ", ("palatal", "nasal"): "ɲ", ("palatal", "fricative"): "çʝ",
    ("palatal", "approximant"): "j", ("palatal", "lateral"): "ʎ",
    ("velar", "stop"): "kɡgɠqɢʛ", ("velar", "nasal"): "ŋɴ", ("velar", "fricative"): "xɣχʁ",
    ("velar", "approximant"): "ɰ", ("velar", "lateral"): "ʟ", ("velar", "trill"): "ʀ",
    ("glottal", "stop"): "ʔ", ("glottal", "fricative"): "hɦħʕ",
}  # fmt: skip
CONSONANTS = {letter: key for key, letters in _CONSONANTS.items() for letter in letters}
GLIDES = frozenset("wɥʍ")  # rounded, not closed
CLOSED = frozenset("pbmɓ")
STOPS = frozenset("".join(v for (_, manner), v in _CONSONANTS.items() if manner == "stop"))
_ROUNDED_CONSONANTS = {"w": 1.0, "ʍ": 1.0, "ɥ": 0.9, "ʃ": 0.6, "ʒ": 0.6, "ɹ": 0.4, "ɻ": 0.4}

ARPABET = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "ay": "aɪ", "b": "b",
    "ch": "tʃ", "d": "d", "dh": "ð", "dx": "ɾ", "eh": "ɛ", "el": "l", "em": "m", "en": "n",
    "er": "ɝ", "ey": "eɪ", "f": "f", "g": "ɡ", "hh": "h", "hv": "h", "ih": "ɪ", "iy": "i",
    "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n", "ng": "ŋ", "nx": "n", "ow": "oʊ",
    "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ", "uh": "ʊ",
    "uw": "u", "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ",
    "pau": "", "sil": "", "ssil": "", "h#": "",
}  # fmt: skip


def kind_of(symbol: str) -> Kind:
    if not symbol:
        return Kind.SILENCE
    if symbol in CLOSED:
        return Kind.CLOSED
    if symbol in VOWELS:
        openness = VOWELS[symbol][0]
        if openness > 0.8:
            return Kind.OPEN_VOWEL
        return Kind.CLOSE_VOWEL if openness < 0.25 else Kind.MID_VOWEL
    place, _ = CONSONANTS.get(symbol, ("", ""))
    return Kind.LABIODENTAL if place == "labiodental" else Kind.CONSONANT


def letters(written: str) -> list[tuple[str, float]]:
    """IPA as written ("tʃ", "aʊ", "ɑːɹ", "bʰ") -> its letters and the share of time each takes."""
    found: list[tuple[str, float]] = []
    for sign in unicodedata.normalize("NFD", written):
        if sign in VOWELS or sign in CONSONANTS:
            found.append((sign, 1.0))
        elif sign in "ːˑ" and found:
            found[-1] = (found[-1][0], 1.6)
    total = sum(weight for _, weight in found)
    return [(sign, weight / total) for sign, weight in found]


def timed(written: str, start_s: float, end_s: float, arpabet: bool = False) -> list[Phoneme]:
    """One phoneme as a dictionary writes it -> its letters in time; silence where none is known."""
    ipa = ARPABET.get(written.lower().rstrip("012"), "") if arpabet else written
    out, at = [], start_s
    for sign, share in letters(ipa):
        until = at + share * (end_s - start_s)
        out.append(Phoneme(sign, at, until))
        at = until
    return out or [Phoneme("", start_s, end_s)]


def merged(phonemes: list[Phoneme]) -> list[Phoneme]:
    """The same without empty spans, neighbouring silences and equal letters joined."""
    out: list[Phoneme] = []
    for p in phonemes:
        if p.end_s - p.start_s < 1e-4:
            continue
        if out and out[-1].symbol == p.symbol:
            out[-1] = replace(out[-1], end_s=p.end_s)
        else:
            out.append(p)
    return out


FEATURES = (
    "silence", "vowel", "openness", "back", "rounding", "front close", "closed", "glide",
    *PLACES[1:], *MANNERS,
)  # fmt: skip


@lru_cache(512)
def features(symbol: str) -> NDArray[np.float32]:
    """Articulatory features (len(FEATURES),) of one IPA letter, each 0..1."""
    told: dict[str, float] = {}
    if not symbol:
        told["silence"] = 1.0
    elif symbol in VOWELS:
        openness, back, rounding = VOWELS[symbol]
        told = {"vowel": 1.0, "openness": openness, "back": back, "rounding": rounding}
        told["front close"] = (1 - openness) * (1 - back)
    elif symbol in CONSONANTS:
        place, manner = CONSONANTS[symbol]
        told = {place: 1.0, manner: 1.0, "rounding": _ROUNDED_CONSONANTS.get(symbol, 0.0)}
        told["closed"] = float(symbol in CLOSED)
        told["glide"] = float(symbol in GLIDES)
    return np.array([told.get(name, 0.0) for name in FEATURES], np.float32)
