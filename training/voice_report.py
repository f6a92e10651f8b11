"""The audio encoder judged on voices it never heard: what lips it hears in synthetic sentences of
five languages, in real recordings with phone times, and in other people's filmed sentences.

python -m training.voice_report --data RUNS --audio RUNS/sound.pt --labels LABELS/clips
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.audio import SAMPLES_PER_FRAME, mel_of, mel_window
from engine.model.audio_encoder import AudioEncoder
from training import laughs
from training.degrade import NOISES, level
from training.evaluation.sets.silence import SETTLE_FRAMES, quiet_sounds
from training.grid import read_pcm
from training.lip_pose import PoseBasis, opening
from training.loop import refuse
from training.networks import MisfitError, load_audio
from training.phoneme_report import (
    PhonemeFigures,
    Track,
    chance_rate,
    figures,
    pooled,
    stillness,
    test_sentences,
)
from training.phonemes import Phoneme, merged, timed
from training.sound import SoundTable, grid_names, heard_mask, opening_correlation
from training.splits import data_dir
from training.spoken import Spoken

LIVE_AGE = 2  # ticks of future sound that the live queue has by the time a frame leaves
Hearing = Callable[[NDArray[np.int16]], Track]


@torch.no_grad()
def hearing(model: AudioEncoder, basis: PoseBasis, age: int = LIVE_AGE) -> Hearing:
    """pcm int16 (S,) at 16 kHz -> openings (S // 640,) that the encoder hears."""

    def heard_opening(pcm: NDArray[np.int16]) -> Track:
        mel, count = mel_of(pcm), len(pcm) // SAMPLES_PER_FRAME
        windows = torch.from_numpy(np.stack([mel_window(mel, i) for i in range(count)]))
        with torch.no_grad():
            poses = [
                model(w, heard_mask(torch.tensor([age])).expand(len(w), -1))[1]
                for w in windows.split(512)
            ]
        return basis.opening_of(torch.cat(poses).numpy()).astype(np.float64)

    return heard_opening


def read_textgrid(path: Path, tier: str) -> list[tuple[float, float, str]]:
    """Intervals (start_s, end_s, text) of the named tier of a Praat TextGrid, long or short form.

    Raises:
        ValueError: no such tier.
    """
    tokens = re.findall(r'"(?:[^"]|"")*"|(?<![\w\[])-?\d+(?:\.\d+)?(?![\w\]])', path.read_text())
    try:
        at = tokens.index(f'"{tier}"') + 1
    except ValueError:
        raise ValueError(f"{path.name} has no tier {tier}") from None
    count, at = int(tokens[at + 2]), at + 3
    parts = (tokens[at + 3 * k : at + 3 * k + 3] for k in range(count))
    return [(float(a), float(b), text.strip('"')) for a, b, text in parts]


def real_recordings() -> list[Spoken]:
    """English with phone times set by hand or by another aligner (audio/mfa; tests only)."""
    found = []
    for name in ("acoustic_corpus", "cold_corpus", "cold_corpus3"):
        path = data_dir() / "audio" / "mfa" / f"{name}.TextGrid"
        phonemes: list[Phoneme] = []
        for start, end, text in read_textgrid(path, "phones"):
            phonemes += timed(text, start, end, arpabet=True)
        pcm = read_pcm(path.with_suffix(".wav"))
        found.append(Spoken(pcm, merged(phonemes), "en-us", name, False))
    return found


@dataclass(frozen=True)
class OtherSpeaker:
    """A filmed sentence of someone else: sound and the opening that his own lips show (T,)."""

    name: str
    pcm: NDArray[np.int16]
    opening: Track


def other_speakers(labels: Path) -> list[OtherSpeaker]:
    """The four other GRID speakers (tests only); `labels` as `training/label.py` writes them."""
    found = []
    for path in sorted((data_dir() / "clips").glob("grid_other_*.mpg")):
        track = opening(np.load(labels / f"{path.stem}.npz")["points"]).astype(np.float64)
        found.append(OtherSpeaker(path.stem, read_pcm(path), track))
    return found


def others_r(hear: Hearing, speakers: list[OtherSpeaker]) -> tuple[float, list[float]]:
    """Pooled r over speakers (each z-scored), and each one's."""
    made, true, each = [], [], []
    for s in speakers:
        heard = hear(np.pad(s.pcm, (0, 8 * SAMPLES_PER_FRAME)))[: len(s.opening)]
        a, b = heard - heard.mean(), s.opening - np.nanmean(s.opening)
        seen = ~np.isnan(b)
        each.append(float(np.corrcoef(a[seen], b[seen])[0, 1]))
        made.append(a[seen] / a[seen].std())
        true.append(b[seen] / b[seen].std())
    return float(np.corrcoef(np.concatenate(made), np.concatenate(true))[0, 1]), each


def no_speech(seconds: float = 6.0) -> dict[str, NDArray[np.int16]]:
    """What `evaluate` judges stillness on, and rooms, music, breath and knocks at 20 dB under a
    usual voice; seeded.
    """
    count, rng = int(seconds * 16_000), np.random.default_rng(7)
    found = quiet_sounds(count)
    for make in NOISES:
        found[f"faint {make.__name__}"] = level(make(count, rng), -40)
    return {n: (32767 * np.clip(s, -1, 1)).astype(np.int16) for n, s in found.items()}


def held_laughs(path: Path, seconds: float = 6.0) -> dict[str, NDArray[np.int16]]:
    """Bouts of laughs.npz that nothing is trained on, int16 (16,000 * seconds,) by name: each again
    and again with rests of 0.3 s.
    """
    rest, count = np.zeros(4800, np.int16), int(seconds * 16_000)
    bouts = laughs.read(path, "held")
    return {f"laugh {n}": np.resize(np.r_[pcm, rest], count) for n, pcm in bouts.items()}


def deviation(hear: Hearing, pcm: NDArray[np.int16]) -> float:
    """Of the opening, once the sound has settled."""
    return float(hear(pcm)[SETTLE_FRAMES:].std())


def by_group(
    hear: Hearing, said: list[Spoken], group: Callable[[Spoken], str]
) -> dict[str, dict[str, float]]:
    """Figures of each group of sentences, and the closure rate that chance gives."""
    parts: dict[str, list[tuple[PhonemeFigures, float]]] = {}
    for s in said:
        track = hear(s.pcm)
        judged = figures(track, s.phonemes), chance_rate(track, s.phonemes)
        parts.setdefault(group(s), []).append(judged)
        parts.setdefault("all", []).append(judged)
    told = {}
    for name, each in parts.items():
        together = pooled([f for f, _ in each])
        told[name] = asdict(together) | {
            "closure_rate": together.closure_rate,
            "chance": float(np.nanmean([c for _, c in each])),
        }
    return told


def report(
    model: AudioEncoder,
    data: Path,
    labels: Path,
    sentences: list[Spoken] | None = None,
    laughed: Path | None = None,
) -> dict[str, object]:
    """All figures of one encoder; `laughed` is laughs.npz.

    Raises:
        OSError: sound, basis or labels are not there, or no synthesiser is installed.
    """
    speakers = other_speakers(labels)
    model.eval()
    basis = PoseBasis.load(data / "pose_basis.npz")
    held = SoundTable.read(data / "sound.npz", grid_names("held_out"))
    hear = hearing(model, basis)
    said = sentences or test_sentences()
    real = real_recordings()
    mute = no_speech() | (held_laughs(laughed) if laughed else {})
    moving = float(np.mean([hear(s.pcm).std() for s in real]))
    pooled_r, each_r = others_r(hear, speakers)
    return {
        "grid_held_out_r": [opening_correlation(model, held, basis, age)[0] for age in (0, 2)],
        "other_speakers_r": pooled_r,
        "other_speakers_each_r": each_r,
        "languages": by_group(hear, said, lambda s: s.language),
        "voices": by_group(hear, said, lambda s: s.voice.partition("+")[2] or s.voice),
        "real_english": by_group(hear, real, lambda s: s.voice),
        "real_stillness": float(np.nanmean([stillness(hear(s.pcm), s.phonemes) for s in real])),
        "no_speech_deviation": {n: deviation(hear, p) / moving for n, p in mute.items()},
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="training.voice_report", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="sound.npz and pose_basis.npz")
    parser.add_argument("--audio", type=Path, required=True, help="checkpoint of the encoder")
    parser.add_argument("--labels", type=Path, required=True, help="of clips/, from `make labels`")
    parser.add_argument("--laughs", type=Path, help="laughs.npz: judge its held bouts too")
    parser.add_argument("--output", type=Path, help="JSON")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        told = report(load_audio(args.audio), args.data, args.labels, laughed=args.laughs)
    except (MisfitError, OSError) as error:
        refuse(parser, error)
    if args.output:
        args.output.write_text(json.dumps(told, indent=1) + "\n")
    for name in ("languages", "voices", "real_english"):
        for group, f in told[name].items():  # type: ignore[attr-defined]
            print(
                f"{group:16s} p b m closed {f['closure_rate']:.3f} of {f['closures']} "
                f"(chance {f['chance']:.2f}) open-close {f['open_gap']:+.3f} still {f['still']:.3f}"
            )
    for name in ("grid_held_out_r", "other_speakers_r", "other_speakers_each_r"):
        print(name, np.round(np.asarray(told[name]), 3))
    print("real_stillness", told["real_stillness"])
    for name, share in told["no_speech_deviation"].items():  # type: ignore[attr-defined]
        print(f"{name:40s} opening's deviation over speech's {share:.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
