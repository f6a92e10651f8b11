"""Recorded whispers: an English speaker's and a German one's in turn, as quiet as they are. Nobody
filmed their lips: there are no true openings, only the phonemes of the English words.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.audio import FPS, SAMPLES_PER_FRAME
from training.drives import Drive
from training.grid import read_pcm
from training.phonemes import Phoneme
from training.splits import data_dir

ENGLISH_FRAMES, GERMAN_FRAMES = 60, 62  # each with the breath before it and a rest after it
# "Montreal forced aligner". Times by pocketsphinx's alignment, the same at ten times the level.
SAID = (
    *(Phoneme("", 0.0, 0.62), Phoneme("m", 0.62, 0.76), Phoneme("ʌ", 0.76, 0.80)),
    *(Phoneme("n", 0.80, 0.83), Phoneme("t", 0.83, 0.91), Phoneme("ɹ", 0.91, 0.96)),
    *(Phoneme("i", 0.96, 1.04), Phoneme("ɔ", 1.04, 1.19), Phoneme("l", 1.19, 1.23)),
    *(Phoneme("f", 1.23, 1.30), Phoneme("ɔ", 1.30, 1.40), Phoneme("ɹ", 1.40, 1.48)),
    *(Phoneme("s", 1.48, 1.56), Phoneme("t", 1.56, 1.64), Phoneme("ʌ", 1.64, 1.68)),
    *(Phoneme("l", 1.68, 1.78), Phoneme("a", 1.78, 1.87), Phoneme("ɪ", 1.87, 1.96)),
    *(Phoneme("n", 1.96, 2.04), Phoneme("ɝ", 2.04, 2.22), Phoneme("", 2.22, 2.40)),
)


def recorded_whispers(seconds: float) -> tuple[Drive, tuple[Phoneme, ...]]:
    """Both again and again, about `seconds` long; the English one's phonemes in every turn."""
    folder = data_dir() / "audio"
    parts = (
        (folder / "mfa" / "mfa_whisper.flac", ENGLISH_FRAMES),
        (folder / "thorsten_de" / "whisper.wav", GERMAN_FRAMES),
    )
    turn = np.concatenate([read_pcm(path)[: n * SAMPLES_PER_FRAME] for path, n in parts])
    frames = ENGLISH_FRAMES + GERMAN_FRAMES
    turns = max(1, round(seconds * FPS / frames))
    phonemes = [
        replace(p, start_s=p.start_s + start, end_s=p.end_s + start)
        for start in np.arange(turns) * frames / FPS
        for p in SAID
    ]
    drive = Drive(
        f"recorded whispers, {turns} turns",
        np.tile(turn, turns),
        np.full(turns * frames, np.nan),
    )
    return drive, tuple(phonemes)
