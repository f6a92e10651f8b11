"""The ablation table: every row trains at the same budget from the same start and is judged in
torch on faces and sentences held out. Rows done are kept: a broken run goes on at the next.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict, astuple, replace
from pathlib import Path
from typing import Any

import torch

from engine.model.audio_encoder import AudioEncoder
from engine.model.autoencoder import Autoencoder
from engine.model.dit import Denoiser
from training import checkpoint
from training.ablation import bench, held_out, table
from training.ablation.judge import Bench, Figures
from training.ablation.predicted import Velocity, WholeLatent
from training.ablation.rows import ROWS, Network, Recipe, weights_of
from training.ablation.source_tokens import SourceTokens
from training.ablation.torch_queue import Candidate
from training.distill import fold
from training.lip_pose import PoseBasis
from training.loop import refuse
from training.networks import MisfitError, check, restore
from training.parallel import run_workers
from training.preset import Preset, PresetError, load_preset
from training.teacher import learn, load_tracks

DISTILLED = 3  # part of the budget that distillation gets on top


NETWORKS: dict[Network, type[Denoiser]] = {
    "edit": Denoiser,
    "whole latent": WholeLatent,
    "velocity": Velocity,
    "source tokens": SourceTokens,
}


def network(recipe: Recipe) -> Denoiser:
    return NETWORKS[recipe.network](recipe.denoiser)


def started(recipe: Recipe, start: Path | None) -> Denoiser:
    """A fresh network, or as much of `start` as has the same shapes."""
    torch.manual_seed(0)
    model = network(recipe)
    if start:
        own = model.state_dict()
        given = checkpoint.load(start).weights
        same = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
        model.load_state_dict(same, strict=False)
    return model


def train_row(rank: int, args: argparse.Namespace) -> None:
    tracks = {k: held_out.training_part(t) for k, t in load_tracks(args.data).items()}
    learn(rank, args, tracks, started(args.recipe, args.start))


def distill_row(rank: int, args: argparse.Namespace) -> None:
    tracks = {k: held_out.training_part(t) for k, t in load_tracks(args.data).items()}
    teacher = network(args.recipe)
    restore(teacher, args.teacher)
    fold(rank, args, tracks, teacher, network(args.recipe))


class Ablation:
    """One folder of rows: `weights/` (NAME.pt once whole, NAME.begun before), `rows/NAME.json`."""

    def __init__(self, args: argparse.Namespace, preset: Preset) -> None:
        self.args, self.preset = args, preset
        self.weights, self.rows = args.output / "weights", args.output / "rows"
        for folder in (self.weights, self.rows):
            folder.mkdir(parents=True, exist_ok=True)
        self._bench: Bench | None = None

    def done(self) -> dict[str, tuple[Figures, int]]:
        found = {}
        for name in ROWS:
            path = self.rows / f"{name}.json"
            if path.exists():
                stored = json.loads(path.read_text())
                found[name] = (Figures(**stored["figures"]), int(stored["steps"]))
        return found

    def row(self, name: str) -> None:
        row, recipe = ROWS[name], ROWS[name].recipe(self.preset)
        path = self._trained(weights_of(name, self.preset), recipe)
        if row.guidance.kind == "folded":
            path = self._distilled(name, path, recipe)
        model = network(recipe)
        steps = restore(model, path).step
        told = self.preset.train.distill
        candidate = Candidate(
            model.eval().requires_grad_(False),
            *(row.guidance, row.slots, recipe.windows.tau, recipe.windows.last),
            recipe.tells_pose,
            *(told.peak, told.floor),
        )
        torch.set_num_threads(self.args.workers)
        figures = self.judge.figures(candidate, self.args.seed)
        content = {"figures": asdict(figures), "steps": steps}
        part = self.rows / f"{name}.part"
        part.write_text(json.dumps(content) + "\n")
        part.rename(self.rows / f"{name}.json")
        told_row = "  ".join(f"{k} {v:.3f}" for k, v in asdict(figures).items())
        print(f"{name}: {told_row}", flush=True)

    def _options(self, stage: Any, recipe: Recipe, **more: Any) -> argparse.Namespace:
        a = self.args
        own = {"workers": a.workers, "seed": a.seed, "batch": a.batch, "device": "cpu"}
        preset = replace(self.preset, windows=recipe.windows, denoiser=recipe.denoiser)
        paths = {"data": a.data, "audio": a.audio, "start": a.start}
        return argparse.Namespace(
            **(asdict(stage) | own | paths | more), recipe=recipe, preset=preset
        )

    def _trained(self, name: str, recipe: Recipe) -> Path:
        path, begun = self.weights / f"{name}.pt", self.weights / f"{name}.begun"
        if not path.exists():
            begun.unlink(missing_ok=True)
            budget = {"minutes": self.args.minutes, "steps": self.args.steps}
            print(f"{name}: training", flush=True)
            options = self._options(recipe.teacher, recipe, run=begun, **budget)
            run_workers(train_row, self.args.workers, options)
            begun.rename(path)
        return path

    def _distilled(self, name: str, teacher: Path, recipe: Recipe) -> Path:
        path, begun = self.weights / f"{name}.pt", self.weights / f"{name}.begun"
        if not path.exists():
            begun.unlink(missing_ok=True)
            minutes, steps = self.args.minutes / DISTILLED, -(-self.args.steps // DISTILLED)
            # The critic is the teacher's: only the folding is to differ.
            sharpness = recipe.teacher.sharpness
            budget = {"minutes": minutes, "steps": steps, "sharpness": sharpness}
            stage = self.preset.train.distill
            print(f"{name}: distilling", flush=True)
            options = self._options(stage, recipe, run=begun, teacher=teacher, **budget)
            run_workers(distill_row, self.args.workers, options)
            begun.rename(path)
        return path

    @property
    def judge(self) -> Bench:
        """Prepared when the first row is to be judged."""
        if self._bench is None:
            self._bench = bench.prepared(self.args, {k for k, _ in self.preset.windows.share})
        return self._bench

    def write(self, settings: dict[str, Any]) -> None:
        """The table of all rows that are done."""
        beside_path = self.args.output / "beside.json"
        if not beside_path.exists():
            basis = PoseBasis.load(self.args.data / "pose_basis.npz")
            beside = self.judge.baselines(basis, self.preset.denoiser)
            beside_path.write_text(json.dumps({k: astuple(f) for k, f in beside.items()}) + "\n")
        stored = json.loads(beside_path.read_text())
        r = checkpoint.load(self.args.output / bench.PROBE).facts["r"]
        beside = {name: Figures(*values) for name, values in stored.items()}
        table.write(self.args.output, settings | {"probe_r": round(r, 3)}, self.done(), beside)


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """What rows of one table must agree in."""
    keys = ["preset", "minutes", "steps", "batch", "workers", "seed", "faces", "seconds"]
    keys += ["probe_faces", "probe_steps"]
    given = {key: _told(getattr(args, key)) for key in ("start", "audio", "autoencoder")}
    clips = ", ".join(f"{k} {len(t.clips)}" for k, t in load_tracks(args.data).items())
    return {key: getattr(args, key) for key in keys} | given | {"clips": clips}


def _told(path: Path | None) -> str:
    """A checkpoint by its name and content."""
    if path is None:
        return "nothing"
    return f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"


def _agreed(args: argparse.Namespace) -> dict[str, Any]:
    """The settings, kept in the folder at its first run.

    Raises:
        PresetError: the folder holds rows made with others.
    """
    settings, path = _settings(args), args.output / "settings.json"
    if path.exists():
        kept = json.loads(path.read_text())
        other = [f"{k} {kept.get(k)}" for k, v in settings.items() if kept.get(k) != v]
        if other:
            raise PresetError(f"{args.output} holds rows of another table: {', '.join(other)}")
    args.output.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings, indent=1) + "\n")
    return settings


def _names(only: str) -> list[str]:
    names = [name for name in only.split(",") if name] or list(ROWS)
    for name in names:
        if name not in ROWS:
            raise PresetError(f"no row '{name}': there are {', '.join(ROWS)}")
    return names


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with latents and sound")
    parser.add_argument("--audio", type=Path, required=True, help="the audio encoder")
    parser.add_argument("--autoencoder", type=Path, required=True, help="decodes the mouths")
    parser.add_argument("--output", type=Path, required=True, help="rows, weights and the table")
    parser.add_argument("--only", default="", help="rows, comma-separated; default: all")
    parser.add_argument("--minutes", type=float, default=5, help="of training, a row")
    parser.add_argument("--steps", type=int, default=0, help="so many steps a row instead")
    parser.add_argument("--start", type=Path, help="a teacher that all rows start from")
    parser.add_argument("--preset", default="tiny", help="tiny, small, base, or a .toml file")
    parser.add_argument("--batch", type=int, default=16, help="windows a worker and step")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faces", type=int, default=6, help="driven faces of each kind")
    parser.add_argument("--seconds", type=float, default=8, help="of each drive")
    parser.add_argument("--probe-faces", type=int, default=200, help="of each kind to fit it to")
    parser.add_argument("--probe-steps", type=int, default=1500)
    parser.add_argument("--least-r", type=float, default=0.95, help="of the probe, else no table")
    args = parser.parse_args(argv)
    try:
        names, preset = _names(args.only), load_preset(args.preset)
        check(AudioEncoder(preset.audio), args.audio)
        restore(Autoencoder(preset.autoencoder), args.autoencoder, partial=True)
        if args.start:
            checkpoint.load(args.start)
        settings = _agreed(args)
        ablation = Ablation(args, preset)
        for name in names:
            if name not in ablation.done():
                ablation.row(name)
            ablation.write(settings)
    except (PresetError, MisfitError, bench.ProbeError, OSError) as error:
        refuse(parser, error)
    print((args.output / "ablation.md").read_text())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
