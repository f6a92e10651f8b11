"""`omnisync export tensorrt`: the shipped full-precision graphs -> files and engines for TensorRT.

Each graph is written in full precision, in both half precisions and with symmetric int8, calibrated
on the demo face and voice and compared with the full-precision one on ONNX Runtime. Engines are
then built by `tensorrt` for the GPU at hand, or ahead of time, on any machine, by `tensorrt_rtx`.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from engine.audio import MEL_COLUMNS, N_MELS, WINDOW_COLUMNS
from engine.engine import WEIGHTS
from engine.errors import EngineError, WeightsError
from engine.face.patch import PATCH_PX
from engine.runtime.device import Device
from engine.runtime.plans import (
    FOLDER,
    FORMAT,
    INDEX,
    PRECISIONS,
    Prepared,
    Profile,
    Shape,
    build_plan,
    sources,
)
from engine.runtime.protocol import DRAWN, REFERENCE, Input, Manifest
from engine.runtime.tensorrt import load_networks
from engine.stream import DECODED
from export.calibration import FACE, FACE_TICKS, Calls, record
from export.folding import fold_shapes
from export.half_stored import read_graph
from export.parity import LARGEST_RMS, GraphParity, compare, lost, run_onnx, told
from export.precision import rounded, to_half, to_int8, with_cached_noise

if TYPE_CHECKING:
    import tensorrt_rtx as trt

CALLS = 12  # of a graph to calibrate with at most, and as many to compare on
FALLBACK = "fp16"  # for graphs that another precision loses too much of
LARGEST_BATCH = 16
WINDOWED = ("x", "z", "level", "tokens")  # inputs of the denoiser with an axis for its slots
TARGETS = ("SM80", "SM86", "SM89", "SM120")


@dataclass(frozen=True)
class Written:
    """The ONNX files of all precisions. parity: of each file with the shipped full-precision graph.
    fallen_back: files that lose too much, in whose place the fp16 one is taken.
    """

    prepared: Prepared
    parity: dict[str, GraphParity]
    fallen_back: list[str]


def profiles(manifest: Manifest, tokens: Shape) -> dict[str, Profile]:
    """Sizes of every graph: 1 to 16 streams, 4 as a rule; windows of 1 to 4 slots, 3 as a rule.

    Args:
        tokens: a slot's sound tokens (1 + K, D).
    """
    side, channels, crop = manifest.latent_side, manifest.latent_channels, manifest.crop_px
    slots = max(manifest.levels)
    top, left, right = (round(share * side) for share in DECODED)

    def batch(*tail: int) -> tuple[Shape, Shape, Shape]:
        return (1, *tail), (4, *tail), (LARGEST_BATCH, *tail)

    def heard(*tail: int) -> tuple[Shape, Shape, Shape]:
        return (1, *tail), (3, *tail), (LARGEST_BATCH * slots, *tail)

    def window(*tail: int) -> tuple[Shape, Shape, Shape]:
        return (1, 1, *tail), (4, 3, *tail), (LARGEST_BATCH, slots, *tail)

    part = (channels, side - top, right - left)
    decoded = (1, *part), (4, *part), (LARGEST_BATCH, channels, side, side)
    latents = window(channels, side, side)
    sizes: dict[str, Profile] = {
        "encoder": {"crop": batch(crop, crop, 3)},
        "audio": {"mel": heard(N_MELS, WINDOW_COLUMNS), "heard": heard(MEL_COLUMNS)},
        "denoiser": {
            "base": latents,
            "eps": batch(channels, side, side),
            "mix": window(),
            "z": latents,
            "level": window(),
            "tokens": window(*tokens),
            "strength": batch(),
            "mouth": batch(2),
        },
        "decoder": {"z": decoded},
        "motion": {"z": decoded, "source": decoded},
        "landmarks": {"patch": batch(PATCH_PX, PATCH_PX, 3)},
    }
    sizes[DRAWN] = sizes["denoiser"]
    return {graph: sizes[graph] for graph in manifest.graphs}


def write(manifest: Manifest, folder: Path, precisions: Sequence[str] = PRECISIONS) -> Written:
    """Write the ONNX files and tensorrt.json; needs no TensorRT.

    Raises:
        EngineError: the weights are not whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).unlink(missing_ok=True)  # it names whole files only
    recorded = record(manifest.folder, [FACE], FACE_TICKS)
    tokens = recorded["denoiser"][0]["tokens"].shape[-2:]
    files: dict[str, dict[str, str]] = {p: {} for p in PRECISIONS}
    hashes: dict[str, str] = {}
    parity: dict[str, GraphParity] = {}
    fallen_back: list[str] = []
    for graph in manifest.graphs:
        plain, calls = _plain(manifest, graph, recorded[_as(graph)])
        judged = calls[1::2]
        expected = run_onnx(manifest.path(graph, REFERENCE), judged)
        for precision in (p for p in PRECISIONS if p in precisions or p == FALLBACK):
            made = _in_precision(plain, precision, calls[::2])
            found = compare(_as(graph), expected, run_onnx(rounded(made), judged), judged)
            name = f"{graph}.{precision}.onnx"
            windowed = _as(graph) == "denoiser"
            data = (with_cached_noise(made) if windowed else made).SerializeToString()
            (folder / name).write_bytes(data)
            hashes[name] = hashlib.sha256(data).hexdigest()
            parity[name] = found
            if not lost(found) < LARGEST_RMS:
                if precision in (REFERENCE, FALLBACK):
                    raise WeightsError(f"{name} differs by {lost(found):.2f} deviations")
                fallen_back.append(f"{name} (rms {lost(found):.2f})")
                name = files[FALLBACK][graph]
            files[precision][graph] = name
    index = {
        "format": FORMAT,
        "sources": sources(manifest),
        "files": {p: files[p] for p in precisions},
        "hashes": hashes,
        "profiles": profiles(manifest, tokens),
        "parity": {name: told(found) for name, found in parity.items()},
    }
    draft = folder / f".{INDEX}.{os.getpid()}.part"
    draft.write_text(json.dumps(index, indent=1) + "\n")
    draft.replace(folder / INDEX)
    return Written(Prepared.read(manifest, folder), parity, fallen_back)


def _as(graph: str) -> str:
    """Both denoisers take and give the same."""
    return "denoiser" if graph == DRAWN else graph


def _plain(manifest: Manifest, graph: str, calls: Calls) -> tuple[onnx.ModelProto, Calls]:
    """The full-precision graph without shape arithmetic, and some of its calls."""
    model = read_graph(manifest.path(graph, REFERENCE))
    calls = calls[:: max(1, len(calls) // (2 * CALLS))][: 2 * CALLS]
    if any(n.op_type == "Shape" for n in model.graph.node):
        windows = zip((2, 5, 3, 4), sorted(manifest.levels), strict=False)
        feeds = [sized(_as(graph), calls[0], batch, slots) for batch, slots in windows]
        model = fold_shapes(model, feeds)
    return model, calls


def sized(graph: str, call: Mapping[str, Input], batch: int, slots: int) -> dict[str, Input]:
    """The first row of a call as a batch; of the denoiser's, the first slot as a window."""
    rows = {name: value[:1] for name, value in call.items()}
    if graph == "denoiser":
        rows |= {name: np.repeat(rows[name][:, :1], slots, 1) for name in WINDOWED}
    return {name: np.repeat(value, batch, 0) for name, value in rows.items()}


def _in_precision(plain: onnx.ModelProto, precision: str, calls: Calls) -> onnx.ModelProto:
    match precision:
        case "int8":
            return to_int8(plain, calls)
        case "fp16":
            return to_half(plain)
        case "bf16":
            return to_half(plain, onnx.TensorProto.BFLOAT16)
    return plain


def build_ahead(prepared: Prepared, graph: str, precision: str, targets: Sequence[str]) -> bytes:
    """An engine of TensorRT-RTX for named GPUs, without one.

    Raises:
        EngineError: no tensorrt_rtx, no such target, or a refused graph.
    """
    library = imported("tensorrt_rtx", "aot")
    known = [t for t in dir(library.ComputeCapability) if t.startswith("SM")]
    for target in targets:
        if target not in known:
            raise EngineError(f"target '{target}' is not known: choose of {', '.join(known)}")

    def for_targets(config: trt.IBuilderConfig) -> None:
        config.num_compute_capabilities = len(targets)
        for k, target in enumerate(targets):
            config.set_compute_capability(getattr(library.ComputeCapability, target), k)

    onnx_file = prepared.onnx(graph, precision)
    return build_plan(library, graph, onnx_file, prepared.profiles[graph], for_targets)


def imported(name: str, extra: str) -> Any:
    """A library of an extra. Raises EngineError where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EngineError(
            f"{name} does not import ({error}): pip install -e '.[{extra}]'"
        ) from error


@contextmanager
def _timed(words: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    print(f"{words}: {time.perf_counter() - begin:.1f} s", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="omnisync export tensorrt", description=__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--output", type=Path, help=f"folder; WEIGHTS/{FOLDER} by default")
    parser.add_argument("--precision", choices=PRECISIONS, help="one only; all by default")
    parser.add_argument(
        "--ahead-of-time", action="store_true", help="for --targets by TensorRT-RTX, without a GPU"
    )
    parser.add_argument("--targets", default=",".join(TARGETS), help="as SM80,SM89")
    args = parser.parse_args(argv)
    try:
        _export(args)
    except (EngineError, OSError) as error:
        print(f"omnisync: {error}", file=sys.stderr)
        return 1
    return 0


def _export(args: argparse.Namespace) -> None:
    precisions = (args.precision,) if args.precision else PRECISIONS
    manifest = Manifest.read(args.weights)
    output = args.output or args.weights / FOLDER
    if args.ahead_of_time:
        imported("tensorrt_rtx", "aot")
    else:
        imported("tensorrt", "gpu")
    with _timed(f"ONNX files in {output}"):
        written = write(manifest, output, precisions)
    for file, outputs in written.parity.items():
        for tensor, error in outputs.items():
            print(f"  {file} {tensor}: {error}")
    if written.fallen_back:
        print(f"loses too much, {FALLBACK} is taken: {', '.join(written.fallen_back)}")
    if args.ahead_of_time:
        targets = [t for t in args.targets.upper().split(",") if t]
        folder = output / "ahead"
        folder.mkdir(exist_ok=True)
        done: set[str] = set()
        for precision in precisions:
            for graph in manifest.graphs:
                name = written.prepared.files[precision][graph]
                if name in done:
                    continue
                done.add(name)
                path = folder / name.replace(".onnx", ".rtx")
                with _timed(f"{path.name} for {', '.join(targets)}"):
                    path.write_bytes(build_ahead(written.prepared, graph, precision, targets))
    else:
        device = Device()
        for precision in precisions:
            with _timed(f"engines in {precision} for {device.name}"), device.current():
                load_networks(device, written.prepared, precision)


if __name__ == "__main__":
    raise SystemExit(main())
