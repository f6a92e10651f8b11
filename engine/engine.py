"""The engine: weights and a runtime, shared by all streams. Pixels and sound in, pixels out; no
network, no asyncio, no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, cast
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from engine.audio import FPS
from engine.batch import MOST, InputRows, SharedCalls
from engine.costs import CallCosts, measure_costs
from engine.errors import EngineError
from engine.face.follow import Box, FaceFollower
from engine.face.paste import Moves
from engine.personal import OwnDenoiser, Person, PersonalDenoisers
from engine.runtime.calibrate import fastest
from engine.runtime.choice import AUTO, start
from engine.runtime.latents import Latent, Latents
from engine.runtime.protocol import REFERENCE, Manifest, Runtime
from engine.runtime.tensorrt import LatentsOnDevice
from engine.stream import LipSyncStream, WindowInput
from engine.tick import silence, time_tick
from engine.window import RollingWindow

Array = NDArray[np.float32]
WEIGHTS = Path(__file__).parent / "weights"
CALIBRATION_TICKS = 5
REST = 0.05  # rounding changes what int8 gives for a still picture by less (latents: deviation 1)


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What runs, for /api/config, stats and `doctor`."""

    model: str
    runtime: str
    crop_px: int
    slots: int
    look_ahead_ms: int
    fps: int = FPS


class LipSyncEngine:
    """Loads once, serves many streams. Its calls are safe from several threads."""

    def __init__(self, manifest: Manifest, runtime: Runtime, slots: int = 3) -> None:
        if slots not in manifest.levels:
            offered = ", ".join(str(k) for k in sorted(manifest.levels))
            raise EngineError(
                f"these weights offer no window of {slots} slots: choose one of {offered}"
            )
        self.levels, self.grids = manifest.levels[slots], manifest.levels
        self._drawn_grids = manifest.drawn_levels
        self.latent_channels, self.latent_side = manifest.latent_channels, manifest.latent_side
        self._runtime = runtime
        # A runtime with a device of its own keeps latents there; they pass through here unread.
        self._device: LatentsOnDevice | None = getattr(runtime, "latents", None)
        self._personal = PersonalDenoisers(manifest, runtime)
        drawn = runtime.drawn
        self.drawn = OwnDenoiser(drawn) if drawn is not None else None
        self._rows = InputRows()
        self._shared: SharedCalls | None = None
        self._streams: WeakSet[LipSyncStream] = WeakSet()
        self._lock = Lock()
        self.facts = EngineFacts(
            model=manifest.model,
            runtime=f"{runtime.name}:{runtime.variant}",
            crop_px=manifest.crop_px,
            slots=slots,
            look_ahead_ms=(slots - 1) * 1000 // FPS,
        )

    @classmethod
    def load(
        cls,
        weights: Path | str | None = None,
        runtime: str | None = None,
        threads: int = 1,
        slots: int = 3,
    ) -> LipSyncEngine:
        """Shipped weights, the fastest runtime of this machine.

        Args:
            weights: folder with manifest.json; the shipped one by default.
            runtime: "RUNTIME" or "RUNTIME:VARIANT", see `engine.runtime.choice`. "auto", the
                default, tries those that sync as well as the exact one and remembers the fastest.
            threads: per call.
            slots: window size; look-ahead is (slots - 1) * 40 ms.
        Raises:
            EngineError: what is wrong and what to do, in one line.
        """
        manifest = Manifest.read(Path(weights) if weights else WEIGHTS)
        if runtime is None or runtime == AUTO:
            running = fastest(manifest, threads, lambda tried: cls(manifest, tried, slots)._race())
        else:
            running = start(runtime, manifest, threads)
        engine = cls(manifest, running, slots)
        engine._warm()
        return engine

    def _warm(self) -> None:
        """Pay now for what is paid for once a process or a shape: not in somebody's first second.
        The detector, for one, loads its cascades. Under load a window may lose a slot.
        """
        slots = len(self.levels)
        with self._runtime.warming():
            for size in {slots, max(1, slots - 1)}:
                for _ in range(2):  # a CUDA graph is captured the second time
                    time_tick(self, size)
            FaceFollower(self.landmarks).follow(np.zeros((480, 640, 3), np.uint8))

    def _race(self) -> float:
        """Shortest of a few warm ticks, in ms: what else the machine does only adds to it."""
        with self._runtime.warming():
            time_tick(self)
        return min(sum(time_tick(self).values()) for _ in range(CALIBRATION_TICKS))

    def open_stream(
        self,
        strength: float = 1.0,
        face_box: Box | None = None,
        seed: int = 0,
        person: Person | None = None,
        patient: bool = False,
    ) -> LipSyncStream:
        """A new speaker. face_box: (x, y, w, h) in pixels where no detector would find the face.
        What has no landmarks in it and looks like no photograph is edited as a drawing, by `drawn`.
        seed: draws eps. person: whose own denoiser it runs on, loaded once for all their streams.
        patient: offline, where a frame may take as long as a search all over it does.

        Raises:
            PersonError: the person was made for other weights, or not for this runtime.
        """
        denoiser = self._personal.get(person) if person is not None else None
        stream = LipSyncStream(self, strength, face_box, seed, denoiser, patient)
        with self._lock:
            self._streams.add(stream)
        return stream

    def open_window(self, seed: int) -> RollingWindow[Any]:
        """The window of a new stream, where the runtime keeps latents. seed: draws eps."""
        if self._device is not None:
            return self._device.window(self.levels, seed, self.grids)
        shape = (self.latent_channels, self.latent_side, self.latent_side)
        rest = 0.0 if self._runtime.variant == REFERENCE else REST
        return RollingWindow(self.levels, shape, seed, self.grids, rest)

    def grids_of(self, denoiser: OwnDenoiser | None) -> Mapping[int, tuple[float, ...]]:
        """Noise levels, 0..1, oldest slot first, by size of the window, that a stream's denoiser is
        made for (None: the engine's own).
        """
        drawn = denoiser is not None and denoiser is self.drawn
        return self._drawn_grids if drawn else self.grids

    def closed(self, stream: LipSyncStream) -> None:
        """No window of this stream will come any more; `LipSyncStream.close` says so."""
        with self._lock:
            self._streams.discard(stream)

    def fits(self, person: Person) -> bool:
        """Whether the person was made for these weights and this runtime."""
        return self._personal.fits(person)

    def encode(self, crop: NDArray[np.uint8]) -> Array:
        """Crop uint8 (S, S, 3) -> latent (16, h, w)."""
        if self._device is not None:
            return cast(Array, self._device.encode(crop[None]))
        return self._runtime.run("encoder", {"crop": crop[None]})[0][0]

    def decode(self, latent: Array) -> Array:
        """Latent (16, h, w), or a part of one -> crop float32 (12h, 12w, 3), 0..255, not
        clipped.
        """
        return self._run("decoder", {"z": latent})[0][0]

    def move(self, latent: Array, source: Array) -> Moves:
        """Edited and source latent (16, h, w), or the same part of both -> fields (4h, 4w)."""
        motion, kept, covered = self._run("motion", {"z": latent, "source": source})
        return Moves(motion[0], kept[0, 0], covered[0, 0])

    def _run(self, graph: str, latents: Mapping[str, Array]) -> list[Array]:
        """A graph of one latent, or of two, wherever they lie."""
        if self._device is not None and all(isinstance(v, Latent) for v in latents.values()):
            return self._device.run(graph, cast(Mapping[str, Latent], latents))
        return self._runtime.run(graph, {k: np.asarray(v)[None] for k, v in latents.items()})

    def hear(self, mel: Array, heard: Array) -> Array:
        """Mel windows (N, 80, 64) and heard (N, 32) -> tokens (N, K, D)."""
        return self._runtime.run("audio", {"mel": mel, "heard": heard})[0]

    def lip_pose(self, mel: Array, heard: Array) -> Array:
        """Mel windows (N, 80, 64) and heard (N, 32) -> lip pose (N, P)."""
        return self._runtime.run("audio", {"mel": mel, "heard": heard})[1]

    def landmarks(self, patch: NDArray[np.uint8]) -> tuple[Array, Array]:
        """Patch uint8 (N, 96, 96, 3) -> points (N, P, 2) in patch units, confidences (N,)."""
        points, confidence = self._runtime.run("landmarks", {"patch": patch})
        return points, confidence

    def denoise(self, windows: Sequence[WindowInput]) -> list[Array]:
        """x0 (L, 16, h, w) of the windows of several streams: one denoiser call for all that share
        a denoiser and have as many slots.
        """
        groups: dict[tuple[OwnDenoiser | None, int], list[int]] = {}
        for k, window in enumerate(windows):
            groups.setdefault((window.denoiser, len(window.level)), []).append(k)
        x0: dict[int, Array] = {}
        for (denoiser, _), members in groups.items():
            for first in range(0, len(members), MOST):
                some = members[first : first + MOST]
                if self._device is not None and isinstance(windows[some[0]].z, Latents):
                    found = self._denoise_there([windows[k] for k in some], denoiser)
                    x0.update(zip(some, found, strict=True))
                    continue
                with self._rows.stacked([windows[k] for k in some]) as inputs:
                    if denoiser is None:
                        (rows,) = self._runtime.run("denoiser", inputs)
                    else:
                        (rows,) = denoiser.session.run(inputs)
                x0.update(zip(some, rows, strict=True))
        return [x0[k] for k in range(len(windows))]

    def _denoise_there(
        self, windows: Sequence[WindowInput], denoiser: OwnDenoiser | None
    ) -> list[Array]:
        """x0 of windows whose latents are on the device."""
        assert self._device is not None
        others = {
            "level": np.stack([w.level for w in windows]),
            "tokens": np.stack([w.tokens for w in windows]),
            "strength": np.array([w.strength for w in windows], np.float32),
            "mouth": np.array([w.mouth for w in windows], np.float32),
        }
        x, z = [cast(Any, w.x) for w in windows], [cast(Any, w.z) for w in windows]
        own = denoiser.session if denoiser is not None else None
        return cast(list[Array], self._device.denoise(x, z, others, own))

    def refine(self, window: WindowInput) -> Array:
        """x0 (L, 16, h, w) of one stream's window: in a call shared with other threads' windows
        after `share_calls`.
        """
        if self._shared is None:
            return self.denoise([window])[0]
        with self._lock:
            company = sum(stream.denoiser is window.denoiser for stream in self._streams)
        return self._shared(window, company)

    def share_calls(self, most: int, observe: Callable[[int], None] = lambda size: None) -> None:
        """From now on streams share denoiser calls of up to `most` windows; before they are opened.
        observe: told the size of each call.
        """
        self._shared = SharedCalls(self.denoise, min(most, MOST), observe=observe)

    def measure_calls(self) -> CallCosts:
        """What sharing calls saves here. Blocks for some hundred ms."""
        crop = np.random.default_rng(0).integers(0, 255, (self.facts.crop_px,) * 2 + (3,), np.uint8)
        window = self.open_window(0)
        window.push(self.encode(crop), None)
        tokens = self.hear(*silence(len(self.levels)))
        given = WindowInput(window.x(), window.z(), window.levels, tokens, 1.0, (0.5, 0.5))
        return measure_costs(self._denoised, given)

    def _denoised(self, windows: Sequence[WindowInput]) -> list[Array]:
        """As `denoise`, which returns before x0 is there where it stays on a device."""
        found = self.denoise(windows)
        if self._device is not None:
            self._device.wait([cast(Latents, x0) for x0 in found])
        return found

    def measure_tick_ms(self, n: int = 20) -> float:
        """Median of `n` warm ticks on random input, in ms: encode, audio, denoise, decode and
        motion.
        """
        spent = [sum(time_tick(self).values()) for _ in range(n + 2)]
        return float(np.median(spent[2:]))
