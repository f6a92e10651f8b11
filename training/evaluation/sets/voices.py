"""Voices never heard: synthetic sentences of five languages whose phoneme times are known, on
portraits and rendered heads.
"""

from __future__ import annotations

import numpy as np

from engine.audio import SAMPLES_PER_FRAME
from training.drives import Drive
from training.evaluation.clip import Clip, Group
from training.evaluation.sets.portraits import SHOWN, portrait
from training.evaluation.sets.rendered import FIRST_SEED, head_source
from training.evaluation.stock import Plan, Stock
from training.phoneme_report import test_sentences


def voices(stock: Stock, plan: Plan) -> list[Clip]:
    """Every sentence on a portrait or a rendered head in turn, still or nearly so.

    Raises:
        NoSynthesiser: espeak-ng or flite is not installed.
    """
    sentences = test_sentences()
    if plan.quick:
        sentences = sentences[::4]
    made = []
    for k, said in enumerate(sentences):
        source = (
            portrait(stock, SHOWN[k % len(SHOWN)], False)
            if k % 3
            else head_source(stock, FIRST_SEED + k // 3 % 6, None)
        )
        frames = len(said.pcm) // SAMPLES_PER_FRAME
        pcm = said.pcm[: frames * SAMPLES_PER_FRAME]
        drive = Drive(f"said {k}", pcm, np.full(frames, np.nan))
        made.append(
            Clip(
                f"{said.language} {said.voice} {k}",
                Group.REALISTIC,
                source,
                drive,
                phonemes=tuple(said.phonemes),
                voice=f"{said.language} {'f' if said.female else 'm'}",
            )
        )
    return made
