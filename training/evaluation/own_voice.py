"""Voices that no true mouth belongs to: the opening that the judged model hears stands for it. How
well a picture follows it tells nothing about whether the model hears right.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import LipSyncEngine
from engine.audio import FPS, MEL_COLUMNS, mel_of, mel_window
from engine.media import MediaError, Voice
from training.drives import Drive
from training.evaluation.measure.ceiling import OpeningReader
from training.evaluation.measure.render import quiet_frames

SHORTEST_S = 2.0
QUIET = 100  # int16; a recording that is nowhere louder is silence
MAP = Path(__file__).resolve().parent.parent / "personal" / "mouth_pose.npz"


def voice_drive(path: Path, seconds: float) -> Drive:
    """The first `seconds` of a recording; of its openings nothing is known yet.

    Raises:
        MediaError: it cannot be read, is shorter than SHORTEST_S, or silent.
    """
    if seconds < SHORTEST_S:
        raise MediaError(f"--seconds {seconds:g} are too few to judge by; give {SHORTEST_S:g}")
    with closing(Voice(path).ticks()) as ticks:
        pieces = [tick.pcm for tick in islice(ticks, round(seconds * FPS))]
    if len(pieces) < SHORTEST_S * FPS:
        raise MediaError(
            f"{path}: {len(pieces) / FPS:.1f} s are too little to judge by; give {SHORTEST_S:g} s"
            " of speech or more"
        )
    pcm = np.concatenate(pieces)
    if np.abs(pcm.astype(np.int32)).max() < QUIET:
        raise MediaError(f"{path}: is silent in its first {len(pieces) / FPS:g} s")
    return Drive(f"{path}, {seconds:g} s", pcm, np.full(len(pieces), np.nan))


def _gap() -> NDArray[np.float32]:
    """(P,): pose @ gap is the opening over that of the closed mouth."""
    with np.load(MAP) as stored:
        return stored["gap"]


def heard(engine: LipSyncEngine, drive: Drive) -> Drive:
    """The drive with the opening that is heard when all of the future is; NaN where the voice
    pauses, as in drives whose truth is known.
    """
    count, mel = len(drive.opening), mel_of(drive.pcm)
    windows = np.stack([mel_window(mel, t) for t in range(count)])
    pose = engine.lip_pose(windows, np.ones((count, MEL_COLUMNS), np.float32))
    opening = (pose @ _gap()).astype(np.float64)
    opening[quiet_frames(drive.loudness)] = np.nan
    return replace(drive, opening=opening, heard=True)


class ShippedReader(OpeningReader):
    """Reads the opening off a lip pose by the map that ships for `omnisync personalize`: where
    there are no labelled sentences to fit one to.
    """

    def __init__(self, engine: LipSyncEngine) -> None:
        self._engine, self._weights = engine, np.append(_gap(), 0.0).astype(np.float64)
