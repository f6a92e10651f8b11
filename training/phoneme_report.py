"""Mouths judged by phoneme class, for voices whose true mouth nobody filmed.

Openings are told in shares of a mouth's own range (2nd to 95th percentile of the track): a mouth is
closed below `CLOSED_SHARE`. It is shut where its lips stand as near to each other as in the picture
itself, to `SHUT` eye distances. A track of openings (T,) at 25 fps may come from a lip pose
or from landmarks of a rendered picture; frame i stands for the instant (i + 0.5) / 25 s.

`test_sentences` speaks five languages in both sexes with voices that no training hears; Hindi is in
no training at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.phonemes import Kind, Phoneme
from training.spoken import Spoken, say_espeak, say_flite

FPS = 25
CLOSED_SHARE = 0.25
SHUT = 0.02  # 1.3 mm of a face
SLACK_FRAMES = 1
STILL_MARGIN_S = 0.2  # of a silence, what lies this near to speech may still move
# Voices that no training may speak with: espeak-ng's variants, and flite's voices.
HELD_OUT_VARIANTS = ("f2", "m3", "linda", "edward")
HELD_OUT_FLITE = ("slt", "awb")
HELD_OUT_LANGUAGE = "hi"

Track = NDArray[np.float64]

_TEXTS = {
    "en-us": (
        "Bob may bring my mother a small pot of hot plum jam.",
        "People believe me; perhaps a deep blue harbour map helps.",
        "Father poured apple beer, and Emma kept five bars of soap.",
    ),
    "de": (
        "Am Abend mag meine Mutter Pflaumen, Brot und warme Suppe.",
        "Bitte gib mir bald die blaue Lampe und den Becher vom Baum.",
        "Papa bat um Hilfe, aber niemand im Park sah ihn.",
    ),
    "fr": (
        "Papa prépare un bon repas pour ma petite famille à Paris.",
        "Mon ami Bernard porte un beau pull bleu et mange une pomme.",
        "La pluie tombe sur le bateau, mais la table est à l'abri.",
    ),
    "es": (
        "Mi mamá compra pan blanco y una botella de buen vino.",
        "Pablo bebe poco, pero baila mucho por la mañana.",
        "El capitán mira el mapa y apunta a la bahía más amplia.",
    ),
    "hi": (
        "मेरी माँ बाज़ार में आम और पपीता बेचती है।",
        "बारिश में पापा का बड़ा बस्ता भीग गया।",
        "हम सब मिलकर बाग में पेड़ और फूल लगाते हैं।",
    ),
}
_VOICES = (("f2", True, 55), ("m3", False, 45), ("linda", True, 60), ("edward", False, 38))


def test_sentences() -> list[Spoken]:
    """About two minutes of speech: four espeak-ng voices in five languages, two flite voices in
    English; half a second of silence at both ends of each sentence.

    Raises:
        NoSynthesiser: espeak-ng or flite is not installed.
    """
    said = []
    for language, texts in _TEXTS.items():
        for k, (variant, female, pitch) in enumerate(_VOICES):
            text = texts[k % len(texts)]
            rate = 150 + 15 * (k % 3)
            said.append(say_espeak(text, language, variant, female, rate, pitch))
    for voice, female in zip(HELD_OUT_FLITE, (True, False), strict=True):
        said += [say_flite(text, voice, female) for text in _TEXTS["en-us"]]
    return [s.padded(0.5, 0.5) for s in said]


test_sentences.__test__ = False  # type: ignore[attr-defined]


@dataclass(frozen=True)
class PhonemeFigures:
    """Counts and shares that add up over sentences."""

    closed: int  # p b m in which the mouth closed
    closures: int  # all p b m
    open_gap: float  # open minus close vowels, in shares of the range; NaN where one is missing
    still: float  # deviation in silence over deviation in speech; NaN without silence

    @property
    def closure_rate(self) -> float:
        return self.closed / self.closures if self.closures else float("nan")


def opening_share(opening: Track) -> Track:
    """Openings (T,) -> 0 (the track's 2nd percentile) .. 1 (its 95th)."""
    low, high = np.nanpercentile(opening, [2, 95])
    return (np.asarray(opening, np.float64) - low) / max(float(high - low), 1e-9)


def _frames(start_s: float, end_s: float, count: int) -> slice:
    """Frames whose middle lies in the span; at least the nearest one."""
    first = int(np.ceil(start_s * FPS - 0.5))
    last = int(np.floor(end_s * FPS - 0.5))
    if last < first:
        first = last = round((start_s + end_s) / 2 * FPS - 0.5)
    return slice(max(0, first), min(count, max(0, last + 1)))


def closures(
    opening: Track, phonemes: list[Phoneme], threshold: float = CLOSED_SHARE
) -> tuple[int, int]:
    """How many p, b and m have a closed mouth within one frame of their span, and how many there
    are. Frames without a face (NaN) close nothing.
    """
    least = _least(opening_share(opening), phonemes)
    return int((least < threshold).sum()), len(least)


def _least(track: Track, phonemes: list[Phoneme]) -> Track:
    """The least of a track within one frame of each p, b and m; infinity where all is unknown."""
    slack, found = SLACK_FRAMES / FPS, []
    for p in phonemes:
        if p.kind is Kind.CLOSED:
            span = track[_frames(p.start_s - slack, p.end_s + slack, len(track))]
            if len(span):
                found.append(float(np.nanmin(np.append(span, np.inf))))
    return np.array(found)


def shut(opening: Track, resting: float, phonemes: list[Phoneme]) -> tuple[int, int]:
    """How many p, b and m have the lips within `SHUT` of `resting`, the gap (eye distances, as
    `opening`) of the picture's mouth where it is most closed; and how many there are.
    """
    least = _least(np.asarray(opening, np.float64), phonemes)
    return int((least < resting + SHUT).sum()), len(least)


def closure_rate(opening: Track, phonemes: list[Phoneme], threshold: float = CLOSED_SHARE) -> float:
    """Share of p, b and m within one frame of which the mouth is closed; NaN without any."""
    closed, total = closures(opening, phonemes, threshold)
    return closed / total if total else float("nan")


def chance_rate(opening: Track, phonemes: list[Phoneme]) -> float:
    """`closure_rate` of the same track at other times: what a mouth that moves alike, but not with
    this sound, would score.
    """
    rates = [closure_rate(track, phonemes) for track in at_other_times(opening, phonemes)]
    return float(np.mean(rates)) if rates else float("nan")


def at_other_times(opening: Track, phonemes: list[Phoneme]) -> list[Track]:
    """The track shifted round by 0.4 to 1.2 s inside the speech; none without speech."""
    spoken = [p for p in phonemes if p.symbol]
    if not spoken:
        return []
    first, last = int(spoken[0].start_s * FPS), int(spoken[-1].end_s * FPS) + 1
    tracks = []
    for shift in (10, 15, 20, 25, 30):
        moved = np.array(opening, np.float64)
        moved[first:last] = np.roll(moved[first:last], shift)
        tracks.append(moved)
    return tracks


def vowel_gap(opening: Track, phonemes: list[Phoneme]) -> float:
    """Mean of the widest opening in open vowels minus that in close vowels, as a share of the
    track's range; NaN where either is missing.
    """
    share = opening_share(opening)
    widest: dict[Kind, list[float]] = {Kind.OPEN_VOWEL: [], Kind.CLOSE_VOWEL: []}
    for p in phonemes:
        if p.kind in widest:
            span = share[_frames(p.start_s, p.end_s, len(share))]
            if len(span) and not np.isnan(span).all():
                widest[p.kind].append(float(np.nanmax(span)))
    if not all(widest.values()):
        return float("nan")
    return float(np.mean(widest[Kind.OPEN_VOWEL]) - np.mean(widest[Kind.CLOSE_VOWEL]))


def stillness(opening: Track, phonemes: list[Phoneme]) -> float:
    """Deviation of the opening in silence over its deviation in speech; NaN without silence longer
    than twice `STILL_MARGIN_S`.
    """
    silent, spoken = [], []
    for p in phonemes:
        if p.symbol:
            spoken.append(opening[_frames(p.start_s, p.end_s, len(opening))])
        elif p.end_s - p.start_s > 2 * STILL_MARGIN_S:
            first = p.start_s + (STILL_MARGIN_S if p.start_s > 0 else 0)
            until = p.end_s - STILL_MARGIN_S
            silent.append(opening[_frames(first, until, len(opening))])
    if not silent or not spoken:
        return float("nan")
    moving = max(float(np.nanstd(np.concatenate(spoken))), 1e-9)
    return float(np.nanstd(np.concatenate(silent))) / moving


def figures(opening: Track, phonemes: list[Phoneme]) -> PhonemeFigures:
    closed, total = closures(opening, phonemes)
    return PhonemeFigures(closed, total, vowel_gap(opening, phonemes), stillness(opening, phonemes))


def pooled(parts: list[PhonemeFigures]) -> PhonemeFigures:
    """All sentences of a voice, a language or a set together: counts added, shares averaged."""

    def mean(values: list[float]) -> float:
        known = [v for v in values if not np.isnan(v)]
        return float(np.mean(known)) if known else float("nan")

    return PhonemeFigures(
        sum(p.closed for p in parts),
        sum(p.closures for p in parts),
        mean([p.open_gap for p in parts]),
        mean([p.still for p in parts]),
    )
