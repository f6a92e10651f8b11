"""The engine: weights and a runtime, shared by all streams. Pixels and sound in, pixels out; no
network, no asyncio, no torch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio import FPS, MEL_COLUMNS, N_MELS, SILENCE_LEVEL
from engine.errors import EngineError
from engine.face.follow import FaceFollower
from engine.face.paste import Moves
from engine.personal import Person, PersonalDenoiser, PersonalDenoisers
from engine.runtime.choice import start
from engine.runtime.protocol import Manifest, Runtime
from engine.stream import LipSyncStream, WindowInput

Array = NDArray[np.float32]
WEIGHTS = Path(__file__).parent / "weights"


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
        self.levels = manifest.levels[slots]
        self.latent_channels, self.latent_side = manifest.latent_channels, manifest.latent_side
        self._runtime = runtime
        self._personal = PersonalDenoisers(manifest, runtime)
        self.facts = EngineFacts(
            model=manifest.model,
            runtime=f"{runtime.name} {runtime.variant}",
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
        """Shipped weights, default runtime.

        Args:
            weights: folder with manifest.json; the shipped one by default.
            runtime: "onnxruntime", or "onnxruntime:VARIANT" (the manifest's default).
            threads: per call.
            slots: window size; look-ahead is (slots - 1) * 40 ms.
        Raises:
            EngineError: what is wrong and what to do, in one line.
        """
        manifest = Manifest.read(Path(weights) if weights else WEIGHTS)
        engine = cls(manifest, start(runtime or "onnxruntime", manifest, threads), slots)
        # The detector's first call in a process loads its cascades: not in somebody's first second.
        FaceFollower(engine.landmarks).follow(np.zeros((480, 640, 3), np.uint8))
        return engine

    def open_stream(
        self,
        strength: float = 1.0,
        face_box: tuple[float, float, float, float] | None = None,
        seed: int = 0,
        person: Person | None = None,
    ) -> LipSyncStream:
        """A new speaker. face_box: (x, y, w, h) in pixels where no detector would find the face.
        seed: draws eps. person: whose own denoiser it runs on, loaded once for all their streams.

        Raises:
            PersonError: the person was made for other weights.
        """
        denoiser = self._personal.get(person) if person is not None else None
        return LipSyncStream(self, strength, face_box, seed, denoiser)

    def fits(self, person: Person) -> bool:
        """Whether the person was made for these weights."""
        return self._personal.fits(person)

    def encode(self, crop: NDArray[np.uint8]) -> Array:
        """Crop uint8 (S, S, 3) -> latent (16, h, w)."""
        picture = crop.astype(np.float32).transpose(2, 0, 1)[None] / 127.5 - 1
        return self._runtime.run("encoder", {"crop": picture})[0][0]

    def decode(self, latent: Array) -> Array:
        """Latent (16, h, w), or a part of one -> crop float32 (12h, 12w, 3), 0..255, not
        clipped.
        """
        crop = self._runtime.run("decoder", {"z": latent[None]})[0][0]
        return np.ascontiguousarray((crop.transpose(1, 2, 0) + 1) * 127.5)

    def move(self, latent: Array, source: Array) -> Moves:
        """Edited and source latent (16, h, w), or the same part of both -> fields (4h, 4w)."""
        inputs = {"z": latent[None], "source": source[None]}
        motion, kept, covered = self._runtime.run("motion", inputs)
        return Moves(np.ascontiguousarray(motion[0].transpose(1, 2, 0)), kept[0, 0], covered[0, 0])

    def hear(self, mel: Array, heard: Array) -> Array:
        """Mel windows (N, 80, M) and heard (N, M) -> tokens (N, K, D)."""
        return self._runtime.run("audio", {"mel": mel, "heard": heard})[0]

    def lip_pose(self, mel: Array, heard: Array) -> Array:
        """Mel windows (N, 80, M) and heard (N, M) -> lip pose (N, P)."""
        return self._runtime.run("audio", {"mel": mel, "heard": heard})[1]

    def landmarks(self, patch: Array) -> tuple[Array, Array]:
        """Patch (N, 3, 96, 96), -1..1 -> points (N, P, 2) in patch units, confidences (N,)."""
        points, confidence = self._runtime.run("landmarks", {"patch": patch})
        return points, confidence

    def denoise(self, windows: Sequence[WindowInput]) -> list[Array]:
        """x0 (L, 16, h, w) of the windows of several streams: one denoiser call for all that share
        a denoiser.
        """
        groups: dict[PersonalDenoiser | None, list[int]] = {}
        for k, window in enumerate(windows):
            groups.setdefault(window.denoiser, []).append(k)
        x0: dict[int, Array] = {}
        for denoiser, members in groups.items():
            inputs = _stacked([windows[k] for k in members])
            if denoiser is None:
                found = self._runtime.run("denoiser", inputs)[0]
            else:
                found = denoiser.run(inputs)
            x0.update(zip(members, found, strict=True))
        return [x0[k] for k in range(len(windows))]

    def measure_tick_ms(self, n: int = 20) -> float:
        """Median of `n` warm ticks on random input, in ms: encode, audio, denoise, decode and
        motion.
        """
        rng = np.random.default_rng(0)
        slots, side = len(self.levels), self.latent_side
        crop = rng.integers(0, 255, (self.facts.crop_px, self.facts.crop_px, 3), dtype=np.uint8)
        latents = rng.standard_normal((slots, self.latent_channels, side, side)).astype(np.float32)
        mel = np.full((slots, N_MELS, MEL_COLUMNS), SILENCE_LEVEL, np.float32)
        heard = np.ones((slots, MEL_COLUMNS), np.float32)
        level = np.array(self.levels, np.float32)
        spent = []
        for _ in range(n + 2):
            begin = time.perf_counter()
            self.encode(crop)
            tokens = self.hear(mel, heard)
            window = WindowInput(latents, latents, level, tokens, 1.0, (0.5, 0.5))
            x0 = self.denoise([window])[0][0]
            self.decode(x0)
            self.move(x0, latents[0])
            spent.append((time.perf_counter() - begin) * 1e3)
        return float(np.median(spent[2:]))


def _stacked(windows: Sequence[WindowInput]) -> dict[str, Array]:
    """The denoiser's inputs."""
    return {
        "x": np.stack([w.x for w in windows]),
        "z": np.stack([w.z for w in windows]),
        "level": np.stack([w.level for w in windows]),
        "tokens": np.stack([w.tokens for w in windows]),
        "strength": np.array([w.strength for w in windows], np.float32),
        "mouth": np.array([w.mouth for w in windows], np.float32),
    }
