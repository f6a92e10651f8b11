"""Sounds that are no speech: as long and as loud as asked, the same for one seed, the mouth at
rest.
"""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.audio import FLOOR, mel_of  # noqa: E402
from training.articulation import Articulation  # noqa: E402
from training.nonspeech import SYNTHETIC, NonSpeech, gated  # noqa: E402
from training.phonemes import Phoneme  # noqa: E402
from training.speech import NO_SPEECH_WEIGHT, Voices  # noqa: E402
from training.spoken import Spoken  # noqa: E402
from training.throat import Bout, Throat, laughed  # noqa: E402
from training.voices import overlaid  # noqa: E402

pytestmark = pytest.mark.torch
RATE = 16_000


def spoken() -> Spoken:
    """A second of a buzz that passes for "apa" between pauses that hiss."""
    rng = np.random.default_rng(0)
    pcm = (20 * rng.standard_normal(2 * RATE)).astype(np.int16)
    pcm[RATE // 2 : RATE * 3 // 2 : 130] = 12_000
    signs = (("", 0, 0.5), ("a", 0.5, 0.9), ("p", 0.9, 1.05), ("a", 1.05, 1.5), ("", 1.5, 2))
    return Spoken(pcm, [Phoneme(*s) for s in signs], "en-us", "buzz", False)


@pytest.mark.parametrize("make", SYNTHETIC, ids=lambda m: getattr(m, "__name__", "throat"))
@pytest.mark.parametrize("seed", range(4))
def test_sounds_fill_the_time_at_one_loudness_alike_for_one_seed(
    make: Callable[[int, np.random.Generator], np.ndarray], seed: int
) -> None:
    sound, again = (make(RATE, np.random.default_rng(seed)) for _ in range(2))
    assert len(sound) == RATE
    assert np.isfinite(sound).all()
    assert sound.std() == pytest.approx(1, rel=1e-3)
    assert (sound == again).all()


def test_laughter_repeats_one_vowel_at_its_rate() -> None:
    tone = np.sin(2 * np.pi * 200 * np.arange(1600) / RATE) + 0.1
    for seed in range(5):
        bout = Bout.draw(np.random.default_rng(seed))
        sound = laughed(tone, np.random.default_rng(seed))
        assert len(sound) == bout.count
        for (start, length), (after, _) in itertools.pairwise(bout.calls):
            assert RATE / 9 < after - start < RATE / 2
            call, rest = sound[start : start + length], sound[start + length : after]
            assert call.std() > rest.std()


def test_some_laughter_begins_and_ends_with_a_breath() -> None:
    bouts = [Bout.draw(np.random.default_rng(seed)) for seed in range(200)]
    assert 0.5 < np.mean([b.calls[0][0] > 0 for b in bouts]) < 0.7
    assert 0.4 < np.mean([b.inhale[1] > 0 for b in bouts]) < 0.6
    for b in bouts:
        start, length = b.calls[-1]
        assert b.inhale[0] >= start + length
        assert b.count >= sum(b.inhale)
    rng = np.random.default_rng(0)
    inhaling = next(b for b in bouts if b.inhale[1])
    heard = inhaling.inhaled(Throat.draw(rng), rng)
    start, length = inhaling.inhale
    assert np.abs(heard[start : start + length]).max() > 0.05
    assert not heard[:start].any()


def test_a_gate_lets_a_rooms_noise_in_at_once_before_the_sound_is_there() -> None:
    sound = np.zeros(4 * RATE)
    sound[2 * RATE : 3 * RATE] = np.sin(np.arange(RATE))
    heard = [gated(sound, np.random.default_rng(seed)) for seed in range(40)]
    power = np.stack([h.reshape(-1, 320).std(1) for h in heard])  # of 20 ms each
    quiet = power[:, :95]
    floor = np.quantile(power, 0.6, axis=1)
    early = (quiet > 0.5 * floor[:, None]).any(1)
    assert early.mean() > 0.5
    rises = quiet[:, 2:] / np.maximum(quiet[:, :-2], 1e-12)
    assert np.median(rises.max(1)[early]) > 30  # 30 dB within 40 ms
    assert all(len(h) == len(sound) and np.isfinite(h).all() for h in heard)


def test_vowels_and_pauses_are_cut_out_of_voices() -> None:
    sounds = NonSpeech(np.random.default_rng(0))
    sounds.cut([spoken()])
    assert [len(v) for v in sounds.vowels] == [6400, 7200]
    assert [round(len(p) / RATE, 2) for p in sounds.pauses] == [0.4, 0.4]
    heard = [sounds.heard(RATE) for _ in range(20)]
    assert all(len(h) == RATE and h.any() for h in heard)


def test_the_mouth_rests_while_others_laugh_and_speaks_between() -> None:
    torch.manual_seed(0)
    articulation = Articulation(components=2)
    torch.nn.init.normal_(articulation.known.weight)
    voices, sounds = Voices(articulation, 0), NonSpeech(np.random.default_rng(0))
    sounds.cut([spoken()])
    mute = voices.no_speech(sounds, 2.0)
    assert len(mute.pcm) == 2 * RATE
    assert mute.pose.std(0).max() == pytest.approx(0, abs=1e-6)
    assert (mute.weight == NO_SPEECH_WEIGHT).all()
    between = voices.between(spoken(), sounds)
    assert between.pose.std(0).max() > 0.05
    assert between.pose[0] == pytest.approx(mute.pose[0], abs=0.05)
    assert len(between.pose) == len(between.weight) == len(between.pcm) // 640


def test_backgrounds_add_their_power_below_the_voice() -> None:
    rng = np.random.default_rng(0)
    loud, other = (
        torch.from_numpy(mel_of((level * rng.standard_normal(RATE // 3)).astype(np.int16)))[:, 1:33]
        for level in (3000, 500)
    )
    silence = torch.full_like(loud, (np.log10(FLOOR) + 2) / 2)
    voices = torch.stack([loud, loud, silence])
    made = overlaid(voices, other.expand(3, -1, -1), torch.tensor([10.0, 200.0, 10.0]))

    def power(mel: torch.Tensor) -> float:
        return float((10 ** (2 * mel - 2)).sum(0).max())

    assert made[1] == pytest.approx(loud, abs=1e-4)
    assert power(loud) < power(made[0]) < 1.11 * power(loud)
    assert power(made[2]) == pytest.approx(power(loud) / 10, rel=0.02)
