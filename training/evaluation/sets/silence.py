"""Sounds that are no speech, after speech on the same picture: a mouth should rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from engine.audio import SAMPLE_RATE, SAMPLES_PER_FRAME
from training.drives import Drive
from training.evaluation.clip import Clip, Group, Segment
from training.evaluation.sets.portraits import portrait
from training.evaluation.sets.speakers import whole
from training.evaluation.stock import Plan, Stock
from training.grid import read_pcm
from training.splits import data_dir

SETTLE_FRAMES = 15  # after a sound changes, before its stillness counts
Sound = NDArray[np.float64]
# Both recordings say "Montreal forced aligner" between breaths and laughs; a mouth may move there.
# Times by pocketsphinx's alignment, 0.1 s more before and 0.2 s after.
WORDS_S = {
    "mfa_breaths": ((4.19, 5.23), (6.78, 7.83), (10.92, 11.85)),
    "mfa_laughter": ((1.86, 3.29), (5.16, 5.93), (8.10, 9.14)),
}


def _noise(count: int, band: tuple[float, float], level: float, seed: int) -> Sound:
    """Noise of a frequency band, `level` its root mean square in shares of full scale."""
    white = np.random.default_rng(seed).normal(size=count)
    sos = butter(2, band, "bandpass", fs=SAMPLE_RATE, output="sos")
    shaped = sosfilt(sos, white)
    return shaped * level / shaped.std()


def _room(count: int) -> Sound:
    hum = np.sin(2 * np.pi * 100 * np.arange(count) / SAMPLE_RATE)
    return _noise(count, (60, 4000), 0.002, 1) + 0.0015 * hum


def _breath(count: int) -> Sound:
    """Noise that swells and ebbs every 2.4 s."""
    t = np.arange(count) / SAMPLE_RATE
    return _noise(count, (500, 6000), 0.02, 2) * np.sin(np.pi * t / 1.2) ** 2


def _music(count: int) -> Sound:
    """A chord that changes twice a second, with decaying tones."""
    t = np.arange(count) / SAMPLE_RATE
    beat = (t * 2).astype(int)
    out = np.zeros(count)
    for voice, ratio in enumerate((1.0, 1.26, 1.498)):
        pitch = 220 * ratio * 2 ** (np.array([0, 5, 7, 3, 10])[(beat + voice) % 5] / 12)
        phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
        out += np.sin(phase) + 0.4 * np.sin(2 * phase) + 0.2 * np.sin(3 * phase)
    return 0.05 * out * np.exp(-3 * (t * 2 - beat))


def _recorded(name: str, count: int) -> Sound:
    """A recording without its words, again and again."""
    pcm = read_pcm(data_dir() / "audio" / "mfa" / f"{name}.flac").astype(np.float64) / 32768
    heard = np.ones(len(pcm), bool)
    for start, end in WORDS_S[name]:
        heard[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = False
    return np.resize(pcm[heard], count)


def quiet_sounds(count: int) -> dict[str, Sound]:
    """Each sound by name, (count,), -1..1."""
    return {
        "digital silence": np.zeros(count),
        "room": _room(count),
        "breath noise": _breath(count),
        "breaths": _recorded("mfa_breaths", count),
        "laughter": _recorded("mfa_laughter", count),
        "music": _music(count),
    }


def quiet_drive(speech: Drive, seconds: float) -> tuple[Drive, tuple[Segment, ...]]:
    """Speech, then each sound for `seconds`, as one drive of unknown openings after the speech."""
    frames = round(seconds * 25)
    sounds = quiet_sounds(frames * SAMPLES_PER_FRAME)
    spoken = len(speech.opening)
    segments = [Segment("speech", 0, spoken)]
    for k, name in enumerate(sounds):
        start = spoken + k * frames
        segments.append(Segment(name, start + SETTLE_FRAMES, start + frames))
    joined = np.concatenate(list(sounds.values()))
    pcm = np.clip(np.round(joined * 32767), -32768, 32767).astype(np.int16)
    drive = Drive(
        f"{speech.name}, then silence",
        np.concatenate([speech.pcm[: spoken * SAMPLES_PER_FRAME], pcm]),
        np.concatenate([speech.opening, np.full(len(sounds) * frames, np.nan)]),
    )
    return drive, tuple(segments)


def silence(stock: Stock, plan: Plan) -> list[Clip]:
    clips = data_dir() / "clips"
    sources = (
        ("portrait 500 still", lambda: portrait(stock, 500, False)),
        ("grid_other_lbax4n", lambda: whole(stock, clips / "grid_other_lbax4n.mpg")),
        ("grid_s1_bbas1s", lambda: whole(stock, clips / "grid_s1_bbas1s.mpg")),
        ("portrait 881 swaying", lambda: portrait(stock, 881, True)),
        ("grid_other_sbwe5n", lambda: whole(stock, clips / "grid_other_sbwe5n.mpg")),
    )
    made = []
    for k in plan.some(len(sources), 2):
        name, source = sources[k]
        speech = stock.drive(7000 + k, plan.seconds * 0.4)
        drive, segments = quiet_drive(speech, max(1.2, plan.seconds * 0.2))
        made.append(Clip(name, Group.REALISTIC, source(), drive, segments=segments))
    return made
