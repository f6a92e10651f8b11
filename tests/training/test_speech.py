"""Voices for the sound side: same lips, other sounds; and lips that follow from phonemes."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.audio import (  # noqa: E402
    COLUMNS_PER_FRAME,
    EARLIER,
    FUTURE,
    MEL_COLUMNS,
    SILENCE_LEVEL,
)
from training.articulation import Articulation, Score, closed_weight  # noqa: E402
from training.degrade import degrade, opus  # noqa: E402
from training.phoneme_report import HELD_OUT_LANGUAGE, closure_rate  # noqa: E402
from training.phonemes import VOWELS, Kind, Phoneme, kind_of  # noqa: E402
from training.revoice import revoice  # noqa: E402
from training.sentences import LANGUAGES, sentence  # noqa: E402
from training.sound import SoundTable, pose_loss  # noqa: E402
from training.speech import weights  # noqa: E402
from training.voice_report import read_textgrid  # noqa: E402
from training.voice_table import PAUSE, VoiceTable, silenced  # noqa: E402

pytestmark = pytest.mark.torch


def voice(seconds: float = 2.0, pitch_hz: int = 100) -> np.ndarray:
    """Pulses through one resonance, loud and quiet by turns."""
    count = int(16_000 * seconds)
    pulses = np.zeros(count)
    pulses[:: 16_000 // pitch_hz] = 1.0
    ring = np.exp(-np.arange(400) / 60) * np.sin(2 * np.pi * 700 * np.arange(400) / 16_000)
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 2 * np.arange(count) / 16_000)
    return (9000 * np.convolve(pulses, ring)[:count] * swell).astype(np.int16)


def pitch_of(pcm: np.ndarray) -> float:
    piece = pcm[4000:8000].astype(float)
    auto = np.correlate(piece, piece, "full")[len(piece) - 1 :]
    return 16_000 / (50 + int(np.argmax(auto[50:300])))


def loudness(pcm: np.ndarray) -> np.ndarray:
    return np.sqrt((pcm[: len(pcm) // 400 * 400].reshape(-1, 400).astype(float) ** 2).mean(1))


@pytest.mark.parametrize(("pitch", "hertz"), [(1.5, 150), (0.8, 80)])
def test_another_voice_has_another_pitch_and_the_same_timing(pitch: float, hertz: int) -> None:
    pcm = voice()
    other = revoice(pcm, np.random.default_rng(0), pitch=pitch, formants=1.1)
    assert len(other) == len(pcm)
    assert pitch_of(other) == pytest.approx(hertz, rel=0.06)
    assert np.corrcoef(loudness(pcm), loudness(other))[0, 1] > 0.9


def test_a_whisper_has_no_pitch_and_the_same_timing() -> None:
    pcm = voice()
    breathed = revoice(pcm, np.random.default_rng(0), whisper=1.0)
    piece = breathed[4000:8000].astype(float)
    auto = np.correlate(piece, piece, "full")[len(piece) - 1 :]
    assert auto[140:180].max() < 0.3 * auto[0]
    assert np.corrcoef(loudness(pcm), loudness(breathed))[0, 1] > 0.8


def test_calls_spoil_sound_in_place_and_alike_for_one_seed() -> None:
    pcm = voice() / 32768.0
    a, b = (degrade(pcm, np.random.default_rng(3)) for _ in range(2))
    assert (a == b).all()
    assert len(a) == len(pcm)
    coded = opus(pcm, np.random.default_rng(0))
    shifts = [np.corrcoef(pcm[1000:-1000], np.roll(coded, s)[1000:-1000])[0, 1] for s in (0, 320)]
    assert shifts[0] > 0.8
    assert shifts[0] > shifts[1]


def chain(signs: str, each_s: float = 0.12) -> list[Phoneme]:
    return [Phoneme(s, k * each_s, (k + 1) * each_s) for k, s in enumerate(signs)]


def test_lips_learnt_on_some_sounds_serve_others() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    known = "pbmtksaɛiuo"

    def truth(phonemes: list[Phoneme]) -> np.ndarray:
        at = (np.arange(40) + 0.5) / 25
        wide = np.zeros(40)
        for p in phonemes:
            here = (at >= p.start_s) & (at < p.end_s)
            wide[here] = VOWELS[p.symbol][0] if p.symbol in VOWELS else 0.4
            if p.kind is Kind.CLOSED:
                wide[here] = -1.0
        return wide.astype(np.float32)

    model = Articulation(components=1)
    optimiser = torch.optim.Adam(model.parameters(), 0.03)
    times = (torch.arange(40) + 0.5) / 25
    for _ in range(60):
        said = [chain("".join(rng.choice(list(known), 13))) for _ in range(6)]
        error = model(Score.of(said), times)[..., 0] - torch.from_numpy(
            np.stack([truth(s) for s in said])
        )
        optimiser.zero_grad()
        error.pow(2).mean().backward()
        optimiser.step()
    unseen = chain("tɑkytɑɓɑkytɑsy")  # neither ɑ nor y nor ɓ was ever heard
    made = model.poses(unseen, 40)[:, 0]
    at = {sign: int((unseen[k].start_s + 0.06) * 25) for k, sign in enumerate("tɑkytɑɓ")}
    assert made[at["ɓ"]] < made[at["y"]] < made[at["ɑ"]]


def test_pressed_lips_close_however_fast_the_speech() -> None:
    model = Articulation(components=1)
    model.closed.fill_(-1.0)
    fast = [Phoneme("", 0, 0.5), *(
        Phoneme(s, 0.5 + 0.05 * k, 0.55 + 0.05 * k) for k, s in enumerate("apabamapa")
    ), Phoneme("", 0.95, 1.5)]  # fmt: skip
    with torch.no_grad():
        model.traits.bias[0] = 1.0  # every target is open
    assert closure_rate(model.poses(fast, 37, pressed=True)[:, 0], fast) == 1.0
    assert closed_weight(fast, 37)[[5, 30]].max() == 0


def test_no_training_language_is_the_held_out_one_or_near_it() -> None:
    assert not {HELD_OUT_LANGUAGE, "ur", "mr", "ne", "pa", "gu", "bn"} & set(LANGUAGES)
    rng = np.random.default_rng(0)
    assert len({sentence(language, rng) for language in LANGUAGES}) == len(LANGUAGES)
    assert kind_of("") is Kind.SILENCE


def test_windows_cut_when_drawn_equal_windows_cut_before(
    tmp_path: Path, made_up_data: Path
) -> None:
    rng = np.random.default_rng(0)
    stored = {}
    for name in ("a", "b"):
        stored[f"mel/{name}"] = rng.normal(size=(80, 61)).astype(np.float16)
        stored[f"pose/{name}"] = np.arange(15, dtype=np.float32)[:, None] + 100 * (name == "b")
        stored[f"open/{name}"] = np.zeros(15, np.float32)
    np.savez(tmp_path / "s.npz", **stored)
    before = SoundTable.read(tmp_path / "s.npz", ["a", "b"])
    torch.manual_seed(0)
    mel, pose, weight = VoiceTable.read(tmp_path / "s.npz").draw(64)
    rows = [int(p) if p < 100 else int(p) - 100 + 15 for p in pose[:, 0]]
    whole = before.mel[rows].float()
    assert torch.equal(mel[:, :, EARLIER:], whole[:, :, EARLIER:])
    assert (weight == 1).all()
    # What came earlier is the recording's own, or nothing; before it begins, another's.
    nothing = (mel[:, :, :EARLIER] == SILENCE_LEVEL).all(2).all(1)
    assert 5 < nothing.sum() < 25
    told = [k for k, row in enumerate(rows) if row % 15 >= 10 and not nothing[k]]
    own = slice(EARLIER - 4, EARLIER)
    torch.testing.assert_close(mel[told][:, :, own], whole[told][:, :, own], atol=2e-3, rtol=0)


def test_closures_and_silences_count_more() -> None:
    said = [Phoneme("", 0, 0.6), *[Phoneme(s, t, t + 0.2) for s, t in (("p", 0.6), ("a", 0.8))]]
    weight = weights(said, 25)
    assert weight[16] > weight[6] > weight[22] == 1
    gap = torch.tensor([1.0, 0.0])
    along, across = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    still = torch.zeros(1, 2)
    one = torch.ones(1)
    assert pose_loss(along, still, one, gap) > pose_loss(across, still, one, gap) > 0
    assert pose_loss(along, still, 2 * one, gap) == 2 * pose_loss(along, still, one, gap)


def test_both_forms_of_textgrid_are_read(tmp_path: Path) -> None:
    short = '"IntervalTier"\n"words"\n0\n1\n1\n0\n1\n"a"\n"IntervalTier"\n"phones"\n0\n1\n2\n'
    short += '0\n0.25\n"p"\n0.25\n1\n"ah"\n'
    long = 'item [1]:\n class = "IntervalTier"\n name = "phones"\n xmin = 0\n xmax = 1\n'
    long += " intervals: size = 2\n intervals [1]:\n xmin = 0\n xmax = 0.25\n"
    long += ' text = "p"\n intervals [2]:\n xmin = 0.25\n xmax = 1\n text = "ah"\n'
    for written in (short, long):
        (tmp_path / "g.TextGrid").write_text(written)
        assert read_textgrid(tmp_path / "g.TextGrid", "phones") == [
            (0.0, 0.25, "p"),
            (0.25, 1.0, "ah"),
        ]
    with pytest.raises(ValueError, match="no tier"):
        read_textgrid(tmp_path / "g.TextGrid", "syllables")


def test_a_pause_ends_before_the_frame_itself() -> None:
    torch.manual_seed(0)
    pauses = silenced(2000, 0.25)
    columns = EARLIER * COLUMNS_PER_FRAME + MEL_COLUMNS
    assert pauses.shape == (2000, columns)
    assert pauses.any(1).float().mean() == pytest.approx(0.25, abs=0.04)
    assert not pauses[:, -FUTURE - 1 :].any()  # what is heard of the frame and after it stays
    assert pauses.sum(1).max() < PAUSE[1]
    turns = pauses[:, 1:] != pauses[:, :-1]
    assert turns.sum(1).max() <= 2  # one pause a window
