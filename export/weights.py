"""Checkpoints -> the weights folder that ships: graphs, hashes and facts in manifest.json, written
last.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path

from engine.engine import WEIGHTS
from engine.flow import TAU, level_grid
from engine.model.audio_encoder import AudioEncoder
from engine.model.autoencoder import Autoencoder
from engine.model.dit import Denoiser
from engine.runtime.protocol import FORMAT
from export.graphs import CROP_PX, graphs
from export.onnx_files import export_graph
from training import checkpoint


def load_networks(
    autoencoder: Path, audio: Path, denoiser: Path
) -> tuple[Autoencoder, AudioEncoder, Denoiser]:
    networks = Autoencoder(), AudioEncoder(), Denoiser()
    networks[0].load_state_dict(checkpoint.load(autoencoder).weights)
    networks[1].load_state_dict(checkpoint.load(audio).weights)
    networks[2].load_state_dict(checkpoint.load(denoiser).weights)
    return networks[0].eval(), networks[1].eval(), networks[2].eval()


def write_manifest(
    folder: Path, files: dict[str, dict[str, str]], model: str, default_strength: float
) -> None:
    names = sorted({n for graphs_of in files.values() for n in graphs_of.values()})
    manifest = {
        "format": FORMAT,
        "model": model,
        "crop_px": CROP_PX,
        "latent_channels": 16,
        "tau": TAU,
        "levels": {str(n): [round(float(v), 4) for v in level_grid(n)] for n in (1, 2, 3, 4)},
        "default_strength": default_strength,
        "files": files,
        "hashes": {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names},
        "credit": "see model_card.md",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=Path, required=True, help="folder with ae.pt, sound.pt and the denoiser"
    )
    parser.add_argument("--denoiser", default="denoiser.pt")
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    parser.add_argument("--model", default="omnisync-tiny")
    parser.add_argument("--strength", type=float, default=1.0)
    args = parser.parse_args(argv)
    networks = load_networks(args.runs / "ae.pt", args.runs / "sound.pt", args.runs / args.denoiser)
    args.output.mkdir(parents=True, exist_ok=True)
    files = {"landmarks": "landmarks.onnx"}
    if args.output.resolve() != WEIGHTS.resolve():
        shutil.copy(WEIGHTS / "landmarks.onnx", args.output)
    for name, graph in graphs(*networks).items():
        path = args.output / f"{name}.onnx"
        error = export_graph(name, graph, path)
        files[name] = path.name
        print(f"{name}: {path.stat().st_size / 1e6:.1f} MB, error {error:.1e}")
    write_manifest(args.output, {"fp32": files}, args.model, args.strength)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
