"""TensorRT plans: built from the ONNX files that `omnisync export tensorrt` writes, and kept for
the next start.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError, WeightsError
from engine.runtime.cache import cache_folder
from engine.runtime.protocol import Manifest

if TYPE_CHECKING:
    import tensorrt as trt

FOLDER = "tensorrt"  # beside the weights
INDEX = "tensorrt.json"
FORMAT = 2
PRECISIONS = ("fp16", "bf16", "fp32", "int8")
Shape = tuple[int, ...]
Profile = Mapping[str, tuple[Shape, Shape, Shape]]  # input -> least, usual and largest shape


class PlanError(EngineError):
    """TensorRT takes a graph not as it is."""


@dataclass(frozen=True)
class Prepared:
    """The ONNX files made for TensorRT (tensorrt.json)."""

    folder: Path
    files: Mapping[str, Mapping[str, str]]  # precision -> graph -> file
    hashes: Mapping[str, str]  # file -> sha256
    profiles: Mapping[str, Profile]  # graph -> its sizes

    @classmethod
    def read(cls, manifest: Manifest, folder: Path | None = None) -> Prepared:
        """Those in `folder`, which is beside the weights by default.

        Raises:
            WeightsError: none, of another format, or made from other weights.
        """
        folder = folder or manifest.folder / FOLDER
        again = "run `omnisync export tensorrt`"
        try:
            stored: dict[str, Any] = json.loads((folder / INDEX).read_text())
            if stored["format"] != FORMAT or stored["sources"] != sources(manifest):
                raise WeightsError(f"{folder}: of other weights, or another version: {again}")
            profiles = {
                graph: {
                    name: (tuple(least), tuple(usual), tuple(largest))
                    for name, (least, usual, largest) in shapes.items()
                }
                for graph, shapes in stored["profiles"].items()
            }
            return cls(folder, stored["files"], stored["hashes"], profiles)
        except FileNotFoundError:
            raise WeightsError(f"no files for TensorRT in {folder}: {again}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"{folder / INDEX} is damaged: {again}") from error

    def onnx(self, graph: str, precision: str) -> bytes:
        """Raises WeightsError where it is missing or damaged."""
        path = self.folder / self.files[precision][graph]
        try:
            data = path.read_bytes()
        except OSError as error:
            raise WeightsError(
                f"{path}: {error.strerror}: run `omnisync export tensorrt`"
            ) from None
        if hashlib.sha256(data).hexdigest() != self.hashes[path.name]:
            raise WeightsError(f"{path} is damaged: run `omnisync export tensorrt`")
        return data


def sources(manifest: Manifest) -> dict[str, str]:
    """Hash of the full-precision file of each graph."""
    return {graph: manifest.hashes[manifest.path(graph, "fp32").name] for graph in manifest.graphs}


class BuildLog:
    """Keeps what TensorRT complains of."""

    def __init__(self, library: Any) -> None:
        errors: list[str] = []
        self.errors = errors

        class Log(library.ILogger):
            def __init__(self) -> None:
                library.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                if severity in (library.ILogger.INTERNAL_ERROR, library.ILogger.ERROR):
                    errors.append(message)

        self.logger = Log()

    def last(self) -> str:
        """In one line."""
        return " ".join(self.errors[-1].split()) if self.errors else "no reason given"


def build_plan(
    library: Any,
    name: str,
    onnx: bytes,
    profile: Profile,
    configure: Callable[[trt.IBuilderConfig], None] = lambda _: None,
) -> bytes:
    """A serialized engine of one graph.

    Args:
        library: `tensorrt`, or `tensorrt_rtx`.
        configure: sets more on the builder's configuration.
    Raises:
        PlanError: the parser or the builder refuses; names the node.
    """
    log = BuildLog(library)
    builder: trt.Builder = library.Builder(log.logger)
    if builder is None:
        raise PlanError(f"{name}: TensorRT does not start here: {log.last()}")
    network: trt.INetworkDefinition = builder.create_network(0)
    parser: trt.OnnxParser = library.OnnxParser(network, log.logger)
    if not parser.parse(onnx):
        error: trt.ParserError = parser.get_error(0)
        where = f"{error.node_operator()} '{error.node_name()}'"
        raise PlanError(f"{name}: TensorRT does not take {where}: {_one_line(error.desc())}")
    config: trt.IBuilderConfig = builder.create_builder_config()
    sizes: trt.IOptimizationProfile = builder.create_optimization_profile()
    for tensor, shapes in profile.items():
        sizes.set_shape(tensor, *shapes)
    config.add_optimization_profile(sizes)
    configure(config)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise PlanError(f"{name}: TensorRT cannot build it: {log.last()}")
    return bytes(plan)


def _one_line(text: str) -> str:
    return " ".join(text.split())


class PlanCache:
    """Plans of one GPU and TensorRT version, by the hash of what they were built from. A file
    appears whole or not at all; a folder that cannot be written costs only time.
    """

    def __init__(self, gpu: str, version: str, folder: Path | None = None) -> None:
        place = re.sub(r"[^A-Za-z0-9.]+", "-", f"{gpu}-{version}")
        self._folder = (folder or cache_folder() / FOLDER) / place

    def path(self, graph: str, onnx: bytes, profile: Profile) -> Path:
        key = hashlib.sha256(onnx + json.dumps(dict(profile), sort_keys=True).encode())
        return self._folder / f"{graph}-{key.hexdigest()[:32]}.plan"

    def read(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except OSError:
            return None

    def keep(self, path: Path, data: bytes) -> None:
        draft = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}.part")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                draft.write_bytes(data)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)

    @property
    def timings(self) -> Path:
        """The file of measured kernel times, shared by all graphs."""
        return self._folder / "timings.cache"


def build_here(library: Any, name: str, onnx: bytes, profile: Profile, cache: PlanCache) -> bytes:
    """A plan for the GPU at hand, by `tensorrt`, with the times that earlier builds measured.

    Raises:
        PlanError: as `build_plan`.
    """
    kept: list[Any] = []

    def with_timings(config: trt.IBuilderConfig) -> None:
        timings: trt.ITimingCache = config.create_timing_cache(cache.read(cache.timings) or b"")
        if timings is None:  # of another version, or damaged
            timings = config.create_timing_cache(b"")
        config.set_timing_cache(timings, False)
        kept.append(timings)

    plan = build_plan(library, name, onnx, profile, with_timings)
    measured: trt.ITimingCache = kept[0]
    cache.keep(cache.timings, bytes(measured.serialize()))
    return plan
