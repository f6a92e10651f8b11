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
from engine.audio import SAMPLES_PER_FRAME
from training.drives import Drive, load_sound, make_drive
from training.grid import read_frames
from training.lip_pose import opening
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


def render(args: argparse.Namespace) -> int:
    engine = LipSyncEngine.load(args.weights, slots=args.slots)
    sound = load_sound(args.data / "sound.npz")
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
            )
            print(f"{name} {path.name}: {len(result)} frames", flush=True)
    return 0


def _opening_of(path: Path) -> NDArray[np.float64]:
    return opening(np.load(path)["points"]).astype(np.float64)


def score(args: argparse.Namespace) -> int:
    labels = args.output / "labels"
    report: dict[str, dict[str, object]] = {}
    for name in ("speaker", "strangers"):
        judged, flaps, shuffled = [], [], []
        drives = sorted(args.output.glob(f"{name}_*.drive.npz"))
        for path in drives:
            stem = path.name.removesuffix(".drive.npz")
            drive = np.load(path)
            output = _opening_of(labels / f"{stem}.npz")
            truth, loudness = drive["opening"][: len(output)], drive["loudness"][: len(output)]
            source = _opening_of(labels / f"{stem}_source.npz")
            judged.append(Judged(output, truth, source[there_and_back(len(source), len(output))]))
            flaps.append(Judged(loudness, truth, judged[-1].source))
        for a, b in zip(judged, judged[1:] + judged[:1], strict=True):
            n = min(len(a.output), len(b.truth))
            shuffled.append(Judged(a.output[:n], b.truth[:n], a.source[:n]))
        figures: SyncFigures = pooled(judged)
        report[name] = asdict(figures) | {
            "loudness_flap_r": pooled(flaps).r,
            "shuffled_r": pooled(shuffled).r,
            "each_r": [round(correlation(j.output, j.truth), 3) for j in judged],
        }
        print(
            f"{name:10s} r {figures.r:.3f} leak {figures.leak:+.3f} "
            f"amplitude {figures.amplitude:.2f} offset {figures.offset} lost {figures.lost:.3f} | "
            f"flap {report[name]['loudness_flap_r']:.3f} "
            f"shuffled {report[name]['shuffled_r']:.3f}"
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
