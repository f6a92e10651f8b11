"""The figures by phoneme class, on mouths whose answer is known; and speech with phoneme times."""

import numpy as np
import pytest

pytest.importorskip("scipy")  # of the train extra

from training.phoneme_report import (
    HELD_OUT_LANGUAGE,
    chance_rate,
    closure_rate,
    closures,
    figures,
    pooled,
    shut,
    stillness,
    test_sentences,
    vowel_gap,
)
from training.phonemes import Kind, Phoneme, features, kind_of, letters, timed
from training.spoken import NoSynthesiser, Spoken, close_before_release

WIDTH = {Kind.SILENCE: 0.0, Kind.CLOSED: 0.0, Kind.OPEN_VOWEL: 1.0, Kind.CLOSE_VOWEL: 0.3}


def mouth(phonemes: list[Phoneme]) -> np.ndarray:
    """A mouth that does what the phonemes ask for."""
    at = (np.arange(int(phonemes[-1].end_s * 25)) + 0.5) / 25
    out = np.full(len(at), 0.5)
    for p in phonemes:
        out[(at >= p.start_s) & (at < p.end_s)] = WIDTH.get(p.kind, 0.5)
    return out


def sentence() -> list[Phoneme]:
    signs = ["", *"pamibatilipamidapi", ""]
    out, start = [], 0.0
    for sign in signs:
        end = start + (0.6 if not sign else 0.1)
        out.append(Phoneme(sign, start, end))
        start = end
    return out


def test_a_right_mouth_closes_opens_and_rests() -> None:
    phonemes = sentence()
    track = mouth(phonemes)
    assert closure_rate(track, phonemes) == 1.0
    assert vowel_gap(track, phonemes) == pytest.approx(0.7, abs=0.05)
    assert stillness(track, phonemes) == 0.0
    assert chance_rate(track, phonemes) < 1.0


def test_a_mouth_that_never_closes_or_hears_nothing_fails() -> None:
    phonemes = sentence()
    track = mouth(phonemes)
    spoken = slice(15, len(track) - 15)
    ajar = track.copy()
    ajar[spoken] = np.maximum(ajar[spoken], 0.4)
    assert closure_rate(ajar, phonemes) < 0.2  # the first p borders on silence
    late = track.copy()
    late[spoken] = np.roll(late[spoken], 4)
    assert closure_rate(late, phonemes) < 0.8
    restless = track + 0.3 * np.sin(np.arange(len(track)))
    assert stillness(restless, phonemes) > 0.3


def test_lost_faces_close_nothing_and_counts_pool() -> None:
    phonemes = sentence()
    track = mouth(phonemes)
    lost = np.where(np.arange(len(track)) < 40, np.nan, track)
    assert closure_rate(lost, phonemes) < 1.0
    both = pooled([figures(track, phonemes), figures(lost, phonemes)])
    assert both.closures == 2 * figures(track, phonemes).closures
    assert 0.5 < both.closure_rate < 1.0


@pytest.mark.parametrize(
    ("sign", "kind"),
    [("m", Kind.CLOSED), ("ʋ", Kind.LABIODENTAL), ("ɑ", Kind.OPEN_VOWEL), ("ʉ", Kind.CLOSE_VOWEL)],
)
def test_letters_of_any_language_have_a_kind(sign: str, kind: Kind) -> None:
    assert kind_of(sign) is kind
    assert features(sign).max() == 1.0


def test_compound_letters_are_spelled_out() -> None:
    assert [s for s, _ in letters("ɑːɹ")] == ["ɑ", "ɹ"]
    assert [s for s, _ in letters("bʰ")] == ["b"]
    assert [p.symbol for p in timed("CH", 1.0, 2.0, arpabet=True)] == ["t", "ʃ"]
    assert timed("ow1", 0.0, 1.0, arpabet=True)[1] == Phoneme("ʊ", 0.5, 1.0)


def test_a_stop_starts_with_its_silence() -> None:
    tone = (8000 * np.sin(np.arange(3200))).astype(np.int16)
    pcm = np.concatenate([tone, np.zeros(1120, np.int16), tone])  # 70 ms of closure
    a, p, b = close_before_release(
        pcm, 16_000, [Phoneme("a", 0, 0.27), Phoneme("p", 0.27, 0.3), Phoneme("a", 0.3, 0.47)]
    )
    assert p.start_s == pytest.approx(0.2, abs=0.005)
    assert (a.end_s, b.start_s) == (p.start_s, 0.3)


@pytest.fixture(scope="module")
def spoken() -> list[Spoken]:
    try:
        return test_sentences()
    except NoSynthesiser as error:
        pytest.skip(str(error))


def test_sentences_have_five_languages_both_sexes_and_many_closures(spoken: list[Spoken]) -> None:
    languages = {s.language for s in spoken}
    assert len(languages) == 5
    assert HELD_OUT_LANGUAGE in languages
    for language in languages:
        assert {s.female for s in spoken if s.language == language} == {True, False}
    kinds = [p.kind for s in spoken for p in s.phonemes]
    assert kinds.count(Kind.CLOSED) > 150
    assert kinds.count(Kind.OPEN_VOWEL) > 100
    assert 60 < sum(s.seconds for s in spoken) < 180


def test_known_times_meet_the_sound(spoken: list[Spoken]) -> None:
    for s in spoken:
        assert s.phonemes[0].start_s == 0
        assert s.phonemes[-1].end_s == pytest.approx(s.seconds, abs=0.06)
        level = {
            kind: np.concatenate(
                [
                    s.pcm[int(p.start_s * 16_000) : int(p.end_s * 16_000)].astype(float)
                    for p in s.phonemes
                    if (p.kind is kind and (kind is not Kind.CLOSED or p.symbol == "p"))
                ]
                or [np.zeros(1)]
            ).std()
            for kind in (Kind.CLOSED, Kind.OPEN_VOWEL)
        }
        assert level[Kind.CLOSED] < 0.5 * level[Kind.OPEN_VOWEL], s.voice


def test_lips_are_shut_where_they_meet_as_in_the_picture() -> None:
    said = [Phoneme("b", 1.0, 1.1), Phoneme("m", 2.0, 2.1)]
    track = np.full(75, 0.12)
    track[25:28] = 0.015
    track[50:53] = 0.07
    assert shut(track, 0.005, said) == (1, 2)
    assert closures(track, said)[0] == 1
    only_nearer = np.where(track < 0.1, 0.07, track)
    assert shut(only_nearer, 0.005, said) == (0, 2)
    assert closures(only_nearer, said)[0] == 2  # in shares of its own range
