"""Voices for the audio encoder: GRID's sentences in other voices with their true lips, and
synthetic or transcribed speech of many languages with the lips that `articulation` gives them. Of
sounds that are no speech it makes a file of their own.

Writes speech.npz: `mel/NAME` float16 (80, C), `pose/NAME` float32 (T, P) and `weight/NAME` float16
(T,), how much each frame counts: closures of p b m and what is no speech count more. Seeded.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio import SAMPLES_PER_FRAME, mel_of
from training import checkpoint, laughs
from training.alignment import Aligner, read_phonemes
from training.articulation import Articulation, closed_weight
from training.degrade import degrade
from training.grid import read_pcm
from training.nonspeech import NonSpeech
from training.phoneme_report import HELD_OUT_FLITE, HELD_OUT_VARIANTS
from training.phonemes import Phoneme
from training.revoice import revoice
from training.sentences import LANGUAGES, sentence
from training.sound import grid_names
from training.splits import data_dir, refuse_held_out
from training.spoken import Spoken, say_espeak, say_flite
from training.transcripts import LJSPEECH, OTHERS

RATE = 16_000
SPREAD = 0.5  # see Articulation.forward
CLOSURE_WEIGHT, STILL_WEIGHT, NO_SPEECH_WEIGHT = 4.0, 1.5, 2.5
# espeak-ng's voice variants; "" is the language's own voice. Robots and the held-out are left out.
VARIANTS = (
    "", "Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Hugo",
    "Jacky", "Lee", "Marco", "Mario", "Michael", "Mike", "Nguyen", "Storm", "adam", "anika",
    "antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed", "f1", "f3", "f4",
    "f5", "gustave", "john", "klatt", "klatt2", "klatt3", "klatt4", "m1", "m2", "m4", "m5", "m6",
    "m7", "m8", "max", "michel", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob",
    "robert", "sandro", "shelby", "steph", "steph2", "steph3", "travis", "victor", "whisper",
    "whisperf", "zac",
)  # fmt: skip
FLITE = ("kal16", "rms")
SPOKEN = (*LANGUAGES, "fr", "fr")  # the short unaspirated p of French is heard worst
assert not set(VARIANTS) & set(HELD_OUT_VARIANTS)
assert not set(FLITE) & set(HELD_OUT_FLITE)


@dataclass(frozen=True)
class Utterance:
    """pcm int16 (S,) at 16 kHz with a pose (T, P) and a weight (T,) a frame."""

    pcm: NDArray[np.int16]
    pose: NDArray[np.float32]
    weight: NDArray[np.float32]


class Voices:
    """Draws utterances; one seed, one order, one result."""

    def __init__(self, articulation: Articulation, seed: int) -> None:
        self.articulation = articulation.eval()
        self.rng = np.random.default_rng(seed)
        self._before: list[NDArray[np.int16]] = []

    def _changed(self, pcm: NDArray[np.int16], share: float) -> NDArray[np.int16]:
        """Another voice for `share` of the calls, whispered now and then."""
        rng = self.rng
        if rng.random() > share or not pcm.any():
            return pcm
        tract = float(np.exp(0.11 * rng.standard_normal()))
        pitch = float(np.clip(tract * np.exp(0.3 * rng.standard_normal()), 0.55, 2.2))
        kind = rng.random()
        whisper = 1.0 if kind < 0.1 else rng.uniform(0.1, 0.5) if kind < 0.3 else 0.0
        return revoice(pcm, rng, pitch, tract, whisper)

    def _called(self, pcm: NDArray[np.int16], phonemes: list[Phoneme] | None) -> NDArray[np.int16]:
        """As a call brings it; in a third of them a gate cuts the silences."""
        babble = np.zeros(len(pcm))
        for other in self._before[-4:]:
            babble += np.resize(other, len(pcm))
        self._before = [*self._before[-8:], pcm]
        out = degrade(pcm / 32768.0, self.rng, babble if babble.any() else None)
        if phonemes and self.rng.random() < 0.33:
            for p in phonemes:
                if not p.symbol and p.end_s - p.start_s > 0.2:
                    out[int((p.start_s + 0.08) * RATE) : int((p.end_s - 0.04) * RATE)] = 0
        return out

    def spoken(self, said: Spoken) -> Utterance:
        """Synthetic or transcribed speech, its lips by articulation."""
        said = said.padded(*self.rng.uniform(0.15, 0.7, 2))
        pcm = self._called(self._changed(said.pcm, 0.5), said.phonemes)
        frames = len(pcm) // SAMPLES_PER_FRAME
        pose = self.articulation.poses(said.phonemes, frames, SPREAD, pressed=True)
        return Utterance(pcm, pose, weights(said.phonemes, frames))

    def filmed(
        self, pcm: NDArray[np.int16], pose: NDArray[np.float32], phonemes: list[Phoneme]
    ) -> Utterance:
        """A GRID sentence in another voice."""
        frames = min(len(pcm) // SAMPLES_PER_FRAME, len(pose))
        pcm = self._called(self._changed(pcm, 0.9), None)
        return Utterance(pcm, pose[:frames], weights(phonemes, frames))

    def no_speech(self, sounds: NonSpeech, seconds: float) -> Utterance:
        """Silence, laughter, breaths, music, rooms: the mouth rests."""
        count = int(seconds * RATE)
        quiet = self.rng.random() < 0.05
        pcm = np.zeros(count, np.int16) if quiet else sounds.heard(count)
        frames = count // SAMPLES_PER_FRAME
        pose = self.articulation.poses([Phoneme("", 0, seconds)], frames)
        return Utterance(pcm, pose, np.full(frames, NO_SPEECH_WEIGHT, np.float32))

    def between(self, said: Spoken, sounds: NonSpeech) -> Utterance:
        """Speech, right before and after it sounds that are none."""
        before, after = self.rng.uniform(0.3, 2.0, 2)
        said = said.padded(before, after)
        pcm = self._changed(said.pcm, 0.7) / 32768.0
        loud = pcm.std()
        for first, last in ((0, before), (said.seconds - after, said.seconds)):
            a, b = int(first * RATE), int(last * RATE)
            sound = sounds.draw(b - a)
            pcm[a:b] += loud * self.rng.uniform(0.1, 1.2) * sound / (sound.std() + 1e-9)
        heard = degrade(pcm, self.rng)
        frames = len(heard) // SAMPLES_PER_FRAME
        pose = self.articulation.poses(said.phonemes, frames, SPREAD, pressed=True)
        return Utterance(heard, pose, weights(said.phonemes, frames))


def weights(phonemes: list[Phoneme], frames: int) -> NDArray[np.float32]:
    """How much each frame counts, (frames,)."""
    middle, still = (np.arange(frames) + 0.5) / 25, np.zeros(frames, np.float32)
    for p in phonemes:
        if not p.symbol and p.end_s - p.start_s > 0.2:
            still[(middle > p.start_s + 0.1) & (middle < p.end_s - 0.1)] = 1
    closed = closed_weight(phonemes, frames)
    return 1 + (CLOSURE_WEIGHT - 1) * closed + (STILL_WEIGHT - 1) * still


def transcribed() -> Iterator[tuple[Path, str]]:
    """Real speech that training may use, with its words."""
    audio = data_dir() / "audio"
    for line in (audio / "ljspeech" / "metadata.csv").read_text().splitlines():
        name, _, words = line.split("|")
        yield audio / "ljspeech" / f"{name}.wav", words
    for name, words in LJSPEECH.items():
        yield audio / "ljspeech" / f"{name}.wav", words
    for path_in_audio, words in OTHERS.items():
        yield audio / path_in_audio, words
    for path in sorted((audio / "pocketsphinx_librivox").glob("*.txt")):
        yield path.with_suffix(".wav"), path.read_text()


def real_speech() -> list[Spoken]:
    aligner, found = Aligner(), []
    for path, written in transcribed():
        refuse_held_out([path])
        words = "".join(c if c.isalpha() or c in "' " else " " for c in written.lower())
        if not path.exists():
            continue
        pcm = read_pcm(path)
        phonemes = aligner.align(pcm, words)
        if phonemes is not None:
            found.append(Spoken(pcm, phonemes, "en-us", path.stem, True))
    return found


Drawn = Iterator[tuple[str, Utterance]]


def filmed_speech(args: argparse.Namespace) -> Iterator[Spoken]:
    """GRID's training sentences with their phonemes."""
    table, folder = read_phonemes(args.phonemes), data_dir() / "grid_s1"
    names = [n for n in grid_names("train") if n in table]
    refuse_held_out([folder / f"{n}.mp4" for n in names])
    for name in names:
        yield Spoken(read_pcm(folder / f"{name}.flac"), table[name], "en-gb", name, False)


def filmed(voices: Voices, args: argparse.Namespace) -> Drawn:
    """GRID's training sentences, each in `turns` other voices."""
    stored = np.load(args.data / "sound.npz")
    for turn in range(args.turns):
        for said in filmed_speech(args):
            if (key := f"pose/{said.voice}") in stored.files:
                uttered = voices.filmed(said.pcm, stored[key], said.phonemes)
                yield f"grid{turn}_{said.voice}", uttered


def many_languages(voices: Voices, args: argparse.Namespace) -> Drawn:
    """espeak-ng: every language and accent in turn, voices at random."""
    rng = voices.rng
    for k in range(args.sentences):
        language = SPOKEN[k % len(SPOKEN)]
        variant = str(rng.choice(VARIANTS))
        manner = [int(rng.normal(165, 25)), int(rng.integers(15, 90)), int(rng.integers(20, 80))]
        said = say_espeak(sentence(language, rng), language, variant, False, *manner)
        yield f"{language}_{variant}_{k}", voices.spoken(said)


def natural(voices: Voices, args: argparse.Namespace) -> Drawn:
    """flite's voices, which recordings were cut for, and recordings themselves."""
    rng = voices.rng
    for k in range(args.sentences // 2):
        voice = FLITE[k % len(FLITE)]
        said = say_flite(sentence("en-us", rng), voice, False, float(rng.uniform(0.85, 1.25)))
        yield f"flite_{voice}_{k}", voices.spoken(said)
    for said in real_speech():
        for turn in range(4 * args.turns):
            yield f"real{turn}_{said.voice}", voices.spoken(said)


def no_speech(voices: Voices, args: argparse.Namespace) -> Drawn:
    """Sounds that are no speech, alone and next to synthetic speech."""
    sounds, rng = NonSpeech(np.random.default_rng(args.seed + 1)), voices.rng
    if args.laughs:
        sounds.laughs = list(laughs.read(args.laughs, "train").values())
    sounds.cut(real_speech())
    sounds.cut(filmed_speech(args))
    for k in range(args.sentences // 5):
        language = LANGUAGES[k % len(LANGUAGES)]
        sounds.cut([say_espeak(sentence(language, rng), language, str(rng.choice(VARIANTS)))])
    for k in range(2 * args.sentences // 3):
        yield f"no_speech_{k}", voices.no_speech(sounds, float(rng.uniform(3, 6)))
    for k in range(args.sentences // 3):
        language = LANGUAGES[k % len(LANGUAGES)]
        said = say_espeak(sentence(language, rng), language, str(rng.choice(VARIANTS)))
        yield f"between_{k}", voices.between(said, sounds)


KINDS = {
    "filmed": filmed,
    "languages": many_languages,
    "natural": natural,
    "no_speech": no_speech,
}
VOICED = ["filmed", "languages", "natural"]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with sound.npz")
    parser.add_argument("--phonemes", type=Path, required=True, help="of GRID, from `alignment`")
    parser.add_argument("--articulation", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="speech.npz")
    parser.add_argument("--laughs", type=Path, help="laughs.npz, for no_speech")
    parser.add_argument("--sentences", type=int, default=1500, help="of espeak-ng")
    parser.add_argument("--turns", type=int, default=2, help="other voices for each GRID sentence")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=VOICED)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    articulation = Articulation()
    articulation.load_state_dict(checkpoint.load(args.articulation).weights)
    tables: dict[str, NDArray] = {}
    begin, seconds = time.monotonic(), 0.0
    voices = Voices(articulation, args.seed)
    drawn = chain.from_iterable(KINDS[kind](voices, args) for kind in args.kinds)
    for k, (name, said) in enumerate(drawn, 1):
        tables[f"mel/{name}"] = mel_of(said.pcm).astype(np.float16)
        tables[f"pose/{name}"] = said.pose.astype(np.float32)
        tables[f"weight/{name}"] = said.weight.astype(np.float16)
        seconds += len(said.pcm) / RATE
        if k % 500 == 0:
            print(f"{k}: {seconds / 60:.0f} min in {time.monotonic() - begin:.0f} s", flush=True)
    partial = args.output.with_suffix(".part.npz")
    np.savez(partial, **tables)  # type: ignore[arg-type]
    partial.rename(args.output)
    print(f"{seconds / 60:.0f} min of speech in {args.output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
