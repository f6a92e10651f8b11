"""Lip sync judged from outside: the real engine edits held-out pictures to cut and re-spaced
voices; FaceLandmarker reads the mouths.

python -m training.evaluate render --output runs/eval
.venv-labels/bin/python training/label.py ... runs/eval/*.npz       (`make labels`)
python -m training.evaluate score --output runs/eval
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import LipSyncEngine
from engine.audio import SAMPLES_PER_FRAME, SoundRing
from training.drives import Drive, load_sound, make_drive
from training.grid import read_frames
from training.lip_pose import PoseBasis, opening
from training.sharpness import mouth_detail
from training.splits import data_dir
from training.sync_figures import Judged, SyncFigures, correlation, pooled


def there_and_back(count: int, length: int) -> NDArray[np.int64]:
    """Frame numbers 0 1 .. n-1 n-2 .. 1 0 1 .., `length` of them: a short clip looped without a
    jump.
    """
    cycle = (
        np.concatenate([np.arange(count), np.arange(count - 2, 0, -1)])
        if count > 1
        else np.zeros(1)
    )
    return np.resize(cycle, length).astype(np.int64)


def picture_sets() -> dict[str, list[Path]]:
    clips = data_dir() / "clips"
    return {
        "speaker": sorted(clips.glob("grid_s1_*.mpg"))[:6],
        "strangers": sorted(clips.glob("grid_other_*.mpg")),
    }


def resync(
    engine: LipSyncEngine, frames: NDArray[np.uint8], drive: Drive, strength: float
) -> NDArray[np.uint8]:
    """Output frames uint8 (T, H, W, 3) for a drive of T frames, sound arriving as it does live."""
    stream = engine.open_stream(strength=strength)
    out = []
    for t, i in enumerate(there_and_back(len(frames), len(drive.opening))):
        stream.push_audio(drive.pcm[t * SAMPLES_PER_FRAME : (t + 1) * SAMPLES_PER_FRAME])
        out += stream.push_frame(frames[i])
    out += stream.flush()
    return np.stack([f.rgb for f in out])


def heard_opening(engine: LipSyncEngine, drive: Drive, basis: PoseBasis) -> NDArray[np.float32]:
    """The opening that the audio encoder alone predicts, (T,): the ceiling for any picture."""
    ring = SoundRing(seconds=len(drive.pcm) / 16_000 + 1)
    ahead = engine.facts.slots  # a frame leaves when this many frames of sound are in
    windows = []
    for t in range(len(drive.opening) + ahead - 1):
        ring.push(drive.pcm[t * SAMPLES_PER_FRAME : (t + 1) * SAMPLES_PER_FRAME])
        if t >= ahead - 1:
            windows.append(ring.window(t - ahead + 1))
    mel, heard = np.stack([m for m, _ in windows]), np.stack([h for _, h in windows])
    return basis.opening_of(engine.lip_pose(mel, heard))


def render(args: argparse.Namespace) -> int:
    engine = LipSyncEngine.load(args.weights, slots=args.slots)
    sound = load_sound(args.data / "sound.npz")
    basis = PoseBasis.load(args.data / "pose_basis.npz")
    args.output.mkdir(parents=True, exist_ok=True)
    for name, paths in picture_sets().items():
        for k, path in enumerate(paths):
            drive = make_drive(sound, 1000 + k, args.seconds)
            frames = read_frames(path)
            result = resync(engine, frames, drive, args.strength)
            np.savez(args.output / f"{name}_{k}.npz", frames=result)
            np.savez(args.output / f"{name}_{k}_source.npz", frames=frames)
            np.savez(
                args.output / f"{name}_{k}.drive.npz",
                opening=drive.opening,
                loudness=drive.loudness,
                heard=heard_opening(engine, drive, basis),
            )
            print(f"{name} {path.name}: {len(result)} frames", flush=True)
    return 0


def _opening_of(path: Path) -> NDArray[np.float64]:
    return opening(np.load(path)["points"]).astype(np.float64)


def _beside(judged: list[Judged], tracks: list[NDArray[np.float64]]) -> float:
    """Pooled r of other tracks against the same truths."""
    return pooled([Judged(t, j.truth, j.source) for t, j in zip(tracks, judged, strict=True)]).r


def _mean(tracks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over tracks (N, T), NaN where none is defined."""
    count = (~np.isnan(tracks)).sum(0)
    return np.where(count > 0, np.nansum(tracks, 0) / np.maximum(count, 1), np.nan)


def _sharpness(folder: Path, stem: str) -> float:
    """Fine detail in the output's mouth over that in its source's."""
    output, source = (
        mouth_detail(np.load(folder / name)["frames"], np.load(folder / "labels" / name)["points"])
        for name in (f"{stem}.npz", f"{stem}_source.npz")
    )
    return output / source


def score(args: argparse.Namespace) -> int:
    labels = args.output / "labels"
    report: dict[str, dict[str, object]] = {}
    for name in picture_sets():
        judged, loudness, heard, sharpness = [], [], [], []
        for path in sorted(args.output.glob(f"{name}_*.drive.npz")):
            stem = path.name.removesuffix(".drive.npz")
            drive = np.load(path)
            output = _opening_of(labels / f"{stem}.npz")
            count = len(output)
            source = _opening_of(labels / f"{stem}_source.npz")
            source = source[there_and_back(len(source), count)]
            judged.append(Judged(output, drive["opening"][:count], source))
            sharpness.append(_sharpness(args.output, stem))
            loudness.append(drive["loudness"][:count])
            heard.append(drive["heard"][:count].astype(np.float64))
        count = min(len(j.output) for j in judged)
        judged = [Judged(j.output[:count], j.truth[:count], j.source[:count]) for j in judged]
        truths = np.stack([j.truth for j in judged])
        # The mean mouth of the other drives: what can be had without listening.
        templates = [_mean(np.delete(truths, k, 0)) for k in range(len(judged))]
        figures: SyncFigures = pooled(judged)
        beside = {
            "template_r": _beside(judged, templates),
            "loudness_flap_r": _beside(judged, [x[:count] for x in loudness]),
            "shuffled_r": _beside(judged, [j.output for j in judged[1:] + judged[:1]]),
            "ceiling_r": _beside(judged, [x[:count] for x in heard]),
        }
        report[name] = (
            asdict(figures)
            | beside
            | {"each_r": [round(correlation(j.output, j.truth), 3) for j in judged]}
            | {"sharpness": float(np.mean(sharpness))}
        )
        told = " ".join(f"{k.removesuffix('_r')} {v:.3f}" for k, v in beside.items())
        print(
            f"{name:10s} r {figures.r:.3f} leak {figures.leak:+.3f} "
            f"amplitude {figures.amplitude:.2f} offset {figures.offset} "
            f"lost {figures.lost:.3f} sharpness {np.mean(sharpness):.2f} | {told}"
        )
    (args.output / "sync.json").write_text(json.dumps(report, indent=1) + "\n")
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("render", "score"))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder with sound.npz")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--slots", type=int, default=3)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args(argv)
    return render(args) if args.stage == "render" else score(args)


if __name__ == "__main__":
    raise SystemExit(main())
