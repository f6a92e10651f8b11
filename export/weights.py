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
from engine.media import MediaError
from engine.model.audio_encoder import AudioEncoder
from engine.model.autoencoder import Autoencoder, AutoencoderConfig
from engine.model.dit import Denoiser
from engine.runtime.protocol import FORMAT, REFERENCE
from export.calibration import calibration_files, record
from export.graphs import graphs
from export.int8 import GraphParity, compare, write_int8
from export.onnx_files import export_graph
from training.networks import MisfitError, load_audio, load_autoencoder, load_denoiser
from training.splits import HeldOutError

Networks = tuple[Autoencoder, AudioEncoder, Denoiser]


def load_networks(autoencoder: Path, audio: Path, denoiser: Path) -> Networks:
    """Each of the sizes that its checkpoint names."""
    pixels, hearing, editor = (
        load_autoencoder(autoencoder), load_audio(audio), load_denoiser(denoiser)
    )  # fmt: skip
    return pixels.eval(), hearing.eval(), editor.eval()


def write_manifest(
    folder: Path,
    files: dict[str, dict[str, str]],
    parity: dict[str, dict[str, GraphParity]],
    pixels: AutoencoderConfig,
    args: argparse.Namespace,
) -> None:
    """files: variant -> graph -> file; parity: variant -> graph -> output -> difference from
    fp32.
    """
    names = sorted({n for graphs_of in files.values() for n in graphs_of.values()})
    manifest = {
        "format": FORMAT,
        "model": args.model,
        "crop_px": pixels.crop_px,
        "latent_channels": pixels.latent_channels,
        "latent_side": pixels.latent_side,
        "tau": TAU,
        "levels": {str(n): [round(float(v), 4) for v in level_grid(n)] for n in (1, 2, 3, 4)},
        "default_strength": args.strength,
        "default": args.default if args.default in files else REFERENCE,
        "files": files,
        "parity": parity,
        "hashes": {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names},
        "credit": "see model_card.md",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def write_fp32(networks: Networks, folder: Path) -> dict[str, str]:
    files = {"landmarks": "landmarks.onnx"}
    if folder.resolve() != WEIGHTS.resolve():
        shutil.copy(WEIGHTS / "landmarks.onnx", folder)
    for name, graph in graphs(*networks).items():
        path = folder / f"{name}.onnx"
        error = export_graph(name, graph, path)
        files[name] = path.name
        print(f"{name}: {path.stat().st_size / 1e6:.1f} MB, error {error:.1e}")
    return files


def write_quantised(
    networks: Networks, folder: Path, pictures: list[Path]
) -> tuple[dict[str, str], dict[str, GraphParity]]:
    """The int8 files beside the fp32 ones, calibrated on every second picture, and how far they are
    from fp32 on the others.
    """
    files = write_int8(networks, record(folder, pictures[::2]), folder)
    unseen = record(folder, pictures[1::2] or pictures)
    parity = {}
    for name, file in files.items():
        parity[name] = compare(name, folder / f"{name}.onnx", folder / file, unseen[name])
        size = (folder / file).stat().st_size / 1e6
        print(f"{name} int8: {size:.1f} MB")
        for output, difference in parity[name].items():
            print(f"  {output}: {' '.join(f'{key} {value}' for key, value in difference.items())}")
    return files, parity


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=Path, required=True, help="folder with ae.pt, sound.pt and the denoiser"
    )
    parser.add_argument("--denoiser", default="denoiser.pt")
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    parser.add_argument("--model", default="omnisync-tiny")
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument(
        "--calibrate", type=Path, help="folder of pictures or clips of faces; adds an int8 variant"
    )
    parser.add_argument(
        "--default", choices=(REFERENCE, "int8"), default=REFERENCE, help="variant that runs"
    )
    args = parser.parse_args(argv)
    if args.default != REFERENCE and not args.calibrate:
        parser.error(f"--default {args.default} needs --calibrate")
    try:
        pictures = calibration_files(args.calibrate) if args.calibrate else []
        networks = load_networks(
            args.runs / "ae.pt", args.runs / "sound.pt", args.runs / args.denoiser
        )
    except (HeldOutError, MediaError, MisfitError, OSError) as error:
        parser.error(str(error))
    args.output.mkdir(parents=True, exist_ok=True)
    for stale in args.output.glob("*.int8.onnx"):
        stale.unlink()
    files = {REFERENCE: write_fp32(networks, args.output)}
    parity: dict[str, dict[str, GraphParity]] = {}
    write_manifest(args.output, files, parity, networks[0].config, args)
    if pictures:
        files["int8"], parity["int8"] = write_quantised(networks, args.output, pictures)
        write_manifest(args.output, files, parity, networks[0].config, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
