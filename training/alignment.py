"""Phoneme times of real English speech whose words are known, by pocketsphinx's forced alignment.

pocketsphinx is needed only where alignments are made (`pip install pocketsphinx`). GRID's sentences
are aligned once into `phonemes.json` of the run folder. On them p, b and m of speaker 1 are closed
at the very middle of their span, so its times need no shift.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.grid import read_pcm
from training.phonemes import Phoneme, merged, timed
from training.splits import data_dir
from training.transcripts import SPOKEN_AS

FRAME_S = 0.01


class Aligner:
    """One decoder, reused; after a failure a fresh one."""

    def __init__(self) -> None:
        self._decoder = self._fresh()

    @staticmethod
    def _fresh() -> Any:
        from pocketsphinx import Decoder  # type: ignore[import-untyped,import-not-found,unused-ignore]

        decoder = Decoder(samprate=16_000, lm=None, loglevel="FATAL")
        for word, phones in SPOKEN_AS.items():
            decoder.add_word(word, phones)
        return decoder

    def align(self, pcm: NDArray[np.int16], text: str) -> list[Phoneme] | None:
        """Phonemes of pcm (S,) at 16 kHz that says `text` (words of the dictionary); None where
        sound and text do not fit or a word is unknown.
        """
        words = [w for w in text.lower().split() if w]
        if any(self._decoder.lookup_word(w) is None for w in words):
            return None
        sound = pcm.tobytes()
        try:
            self._decoder.set_align_text(" ".join(words))
            self._run(sound)
            self._decoder.set_alignment()
            self._run(sound)
            found = [
                (p.name, p.start, p.duration) for w in self._decoder.get_alignment() for p in w
            ]
        except RuntimeError:
            self._decoder = self._fresh()
            return None
        phonemes: list[Phoneme] = []
        for name, start, frames in found:
            begin = start * FRAME_S
            phonemes += timed(name, begin, begin + frames * FRAME_S, arpabet=True)
        return merged(phonemes)

    def _run(self, sound: bytes) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(sound, full_utt=True)
        self._decoder.end_utt()


def grid_words(name: str) -> str:
    """The words of a GRID sentence, from its .align file."""
    lines = (data_dir() / "grid_s1" / f"{name}.align").read_text().splitlines()
    return " ".join(w for _, _, w in (line.split() for line in lines) if w not in {"sil", "sp"})


def write_phonemes(path: Path, table: dict[str, list[Phoneme]]) -> None:
    told = {
        name: [(p.symbol, round(p.start_s, 3), round(p.end_s, 3)) for p in phonemes]
        for name, phonemes in table.items()
    }
    path.write_text(json.dumps(told, ensure_ascii=False) + "\n")


def read_phonemes(path: Path) -> dict[str, list[Phoneme]]:
    return {
        name: [Phoneme(*p) for p in phonemes]
        for name, phonemes in json.loads(path.read_text()).items()
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="run folder")
    args = parser.parse_args(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    aligner, table, lost = Aligner(), {}, 0
    for path in sorted((data_dir() / "grid_s1").glob("*.flac")):
        phonemes = aligner.align(read_pcm(path), grid_words(path.stem))
        if phonemes is None:
            lost += 1
            continue
        table[path.stem] = phonemes
    write_phonemes(args.output / "phonemes.json", table)
    print(f"{len(table)} sentences aligned, {lost} not")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
