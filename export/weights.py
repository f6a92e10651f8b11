"""Checkpoints -> the weights folder that ships: graphs, hashes and facts in manifest.json, written
last.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path

from engine.engine import WEIGHTS
from engine.flow import TAU, level_grid
from engine.media import MediaError
from engine.model.audio_encoder import AudioEncoder
from engine.model.autoencoder import Autoencoder, AutoencoderConfig
from engine.model.dit import Denoiser
from engine.runtime.protocol import FORMAT, REFERENCE
from export.calibration import FACE, FACE_TICKS, Calls, calibration_files, record
from export.graphs import graphs
from export.int8 import write_int8
from export.onnx_files import export_graph
from export.parity import (
    LARGEST_RMS,
    GraphParity,
    ParityError,
    compare,
    lost,
    run_onnx,
    run_torch,
    told,
)
from training.networks import MisfitError, load_audio, load_autoencoder, load_denoiser
from training.splits import HeldOutError

Networks = tuple[Autoencoder, AudioEncoder, Denoiser]
JUDGED = 4  # of so many calls one is compared with torch: those of one picture are alike


def load_networks(autoencoder: Path, audio: Path, denoiser: Path) -> Networks:
    """Each of the sizes that its checkpoint names."""
    return (
        load_autoencoder(autoencoder).eval(),
        load_audio(audio).eval(),
        load_denoiser(denoiser).eval(),
    )


def write_manifest(
    folder: Path,
    files: dict[str, dict[str, str]],
    parity: dict[str, dict[str, GraphParity]],
    pixels: AutoencoderConfig,
    args: argparse.Namespace,
) -> None:
    """files: variant -> graph -> file. parity: variant -> graph -> output, with torch."""
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
        "parity": {
            variant: {graph: told(outputs) for graph, outputs in graphs_of.items()}
            for variant, graphs_of in parity.items()
        },
        "hashes": {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names},
        "credit": "see model_card.md",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def write_fp32(networks: Networks, folder: Path) -> dict[str, str]:
    """Write GRAPH.onnx of every graph and return the file of each.

    Raises:
        ParityError: a file does not compute what torch does.
    """
    files = {"landmarks": "landmarks.onnx"}
    if folder.resolve() != WEIGHTS.resolve():
        shutil.copy(WEIGHTS / "landmarks.onnx", folder)
    for name, graph in graphs(*networks).items():
        files[name] = f"{name}.onnx"
        export_graph(name, graph, folder / files[name])
    return files


def measured(
    networks: Networks, folder: Path, files: dict[str, dict[str, str]], calls: dict[str, Calls]
) -> dict[str, dict[str, GraphParity]]:
    """Parity of every file with torch on calls that it was not calibrated with; variant -> graph.

    Raises:
        ParityError: a file differs by more than its rounding explains.
    """
    found: dict[str, dict[str, GraphParity]] = {variant: {} for variant in files}
    for name, graph in graphs(*networks).items():
        judged = calls[name][::JUDGED]
        expected = run_torch(graph, judged)
        for variant, graph_files in files.items():
            path = folder / graph_files[name]
            parity = compare(name, expected, run_onnx(path, judged), judged)
            found[variant][name] = parity
            print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)
            for output, error in parity.items():
                print(f"  {output}: {error}")
            if not lost(parity) < LARGEST_RMS:
                raise ParityError(f"{path.name} differs from torch by more than rounding explains")
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="omnisync export", description=__doc__)
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
    try:
        _export(networks, pictures, args)
    except ParityError as error:
        print(f"omnisync: {error}", file=sys.stderr)
        return 1
    return 0


def _export(networks: Networks, pictures: list[Path], args: argparse.Namespace) -> None:
    """Graphs calibrate on every second picture and are judged on the others."""
    folder, config = args.output, networks[0].config
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.int8.onnx"):
        stale.unlink()
    files = {REFERENCE: write_fp32(networks, folder)}
    write_manifest(folder, files, {}, config, args)
    every = dict(files)
    if pictures:
        every["int8"] = write_int8(networks, record(folder, pictures[::2]), folder)
        calls = record(folder, pictures[1::2] or pictures)
    else:
        calls = record(folder, [FACE], FACE_TICKS)
    write_manifest(folder, every, measured(networks, folder, every, calls), config, args)


if __name__ == "__main__":
    raise SystemExit(main())
