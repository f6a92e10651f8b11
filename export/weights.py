"""Checkpoints -> the weights folder that ships: graphs, hashes and facts in manifest.json. What was
there before stays until all of the new is made and judged.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import torch
from torch import nn

from engine import EngineError
from engine.engine import WEIGHTS
from engine.flow import DRAWN_LAST_LEVEL, LAST_LEVEL, TAU, level_grid
from engine.media import MediaError
from engine.model.audio_encoder import AudioEncoder
from engine.model.autoencoder import Autoencoder, AutoencoderConfig
from engine.model.dit import Denoiser
from engine.runtime.protocol import DRAWN, FORMAT, REFERENCE
from export.calibration import FACE, FACE_TICKS, Calls, calibration_files, record
from export.graphs import Graph, denoiser_graph, graphs
from export.half_stored import round_weights, store_half
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
from export.quantised_denoiser import write_denoiser
from training.networks import MisfitError, load_audio, load_autoencoder, load_denoiser
from training.splits import HeldOutError

MANIFEST = "manifest.json"
JUDGED = 4  # of so many calls one is compared with torch: those of one picture are alike


@dataclass(frozen=True)
class Networks:
    autoencoder: Autoencoder
    audio: AudioEncoder
    denoiser: Denoiser
    drawn: Denoiser | None = None

    @classmethod
    def load(cls, autoencoder: Path, audio: Path, denoiser: Path, drawn: Path) -> Networks:
        """Each of the sizes that its checkpoint names, its weights rounded to float16. `drawn` may
        be missing.

        Raises:
            MisfitError: one is no such network, or `drawn` takes other tokens than the denoiser.
        """
        pixels, hearing = load_autoencoder(autoencoder).eval(), load_audio(audio).eval()
        editor = load_denoiser(denoiser).eval()
        drawings = load_denoiser(drawn).eval() if drawn.exists() else None
        for network in (pixels, hearing, editor, drawings):
            if network is not None:
                round_weights(network)
        if drawings is not None and not _same(drawings.conditioner, editor.conditioner):
            raise MisfitError(
                f"{drawn} takes other tokens than {denoiser}, though one audio graph gives them: "
                "distil it with --beside"
            )
        return cls(pixels, hearing, editor, drawings)

    def graphs(self) -> dict[str, Graph]:
        """By name."""
        found = graphs(self.autoencoder, self.audio, self.denoiser)
        return found if self.drawn is None else found | {DRAWN: denoiser_graph(self.drawn)}


def _same(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


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
        "levels": _levels(LAST_LEVEL),
        **({"drawn_levels": _levels(DRAWN_LAST_LEVEL)} if DRAWN in files[REFERENCE] else {}),
        "default": args.default if args.default in files else REFERENCE,
        "files": files,
        "parity": {
            variant: {graph: told(outputs) for graph, outputs in graphs_of.items()}
            for variant, graphs_of in parity.items()
        },
        "hashes": {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names},
        "credit": "see model_card.md",
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def _levels(last: float) -> dict[str, list[float]]:
    return {str(n): [round(float(v), 4) for v in level_grid(n, TAU, last)] for n in (1, 2, 3, 4)}


def _file(graph: str, ending: str) -> str:
    return ("denoiser.drawn" if graph == DRAWN else graph) + ending


def write_fp32(networks: Networks, folder: Path) -> dict[str, str]:
    """Write GRAPH.onnx of every graph and return the file of each.

    Raises:
        ParityError: a file does not compute what torch does.
    """
    files = {"landmarks": "landmarks.onnx"}
    shutil.copy(WEIGHTS / "landmarks.onnx", folder)
    for name, graph in networks.graphs().items():
        files[name] = _file(name, ".onnx")
        export_graph(name, graph, folder / files[name])
        store_half(folder / files[name])
    return files


def measured(
    networks: Networks, folder: Path, files: dict[str, dict[str, str]], calls: dict[str, Calls]
) -> dict[str, dict[str, GraphParity]]:
    """Parity of every file with torch on calls that it was not calibrated with; variant -> graph.

    Raises:
        ParityError: a file differs by more than its rounding explains.
    """
    found: dict[str, dict[str, GraphParity]] = {variant: {} for variant in files}
    for name, graph in networks.graphs().items():
        called = "denoiser" if name == DRAWN else name
        judged = calls[called][::JUDGED]
        expected = run_torch(graph, judged)
        for variant, graph_files in files.items():
            path = folder / graph_files[name]
            parity = compare(called, expected, run_onnx(path, judged), judged)
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
    parser.add_argument("--drawn", default="drawn.pt", help="for drawings; may be missing")
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    parser.add_argument("--model", default="omnisync-tiny")
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
        names = ("ae.pt", "sound.pt", args.denoiser, args.drawn)
        networks = Networks.load(*(args.runs / name for name in names))
    except (HeldOutError, MediaError, MisfitError, OSError) as error:
        parser.error(str(error))
    try:
        _export(networks, pictures, args)
    except (ParityError, EngineError, MediaError, OSError) as error:
        print(f"omnisync: {error}", file=sys.stderr)
        return 1
    return 0


def _export(networks: Networks, pictures: list[Path], args: argparse.Namespace) -> None:
    args.output.mkdir(parents=True, exist_ok=True)
    draft = Path(mkdtemp(prefix=".export-", dir=args.output))
    try:
        _make(networks, pictures, draft, args)
        _replace(args.output, draft)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _replace(folder: Path, draft: Path) -> None:
    """The draft's files in place of the folder's; manifest.json, which knows them all, last."""
    made = [path for path in draft.iterdir() if path.name != MANIFEST]
    for stale in (*folder.glob("*.int8.onnx"), folder / _file(DRAWN, ".onnx")):
        stale.unlink(missing_ok=True)
    for path in (*made, draft / MANIFEST):
        path.replace(folder / path.name)


def _make(networks: Networks, pictures: list[Path], folder: Path, args: argparse.Namespace) -> None:
    """Graphs calibrate on every second picture and are judged on the others."""
    config = networks.autoencoder.config
    files = {REFERENCE: write_fp32(networks, folder)}
    write_manifest(folder, files, {}, config, args)
    every = dict(files)
    if pictures:
        n, recorded = networks, record(folder, pictures[::2])
        every["int8"] = write_int8((n.autoencoder, n.audio, n.denoiser), recorded, folder)
        if n.drawn is not None:
            every["int8"][DRAWN] = _file(DRAWN, ".int8.onnx")
            write_denoiser(n.drawn, folder / every["int8"][DRAWN])
        calls = record(folder, pictures[1::2] or pictures)
    else:
        calls = record(folder, [FACE], FACE_TICKS)
    write_manifest(folder, every, measured(networks, folder, every, calls), config, args)


if __name__ == "__main__":
    raise SystemExit(main())
