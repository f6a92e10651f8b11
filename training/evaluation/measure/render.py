"""The engine on one clip, sound arriving as it does live; frames go to a file for the judge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import LipSyncEngine, SyncedFrame
from engine.audio import SAMPLES_PER_FRAME
from training.evaluation.clip import Clip, there_and_back
from training.evaluation.measure.faces import lips_box, mouth_region
from training.evaluation.measure.identity import round_trip
from training.evaluation.measure.surface import Box, Surface, SurfaceMeter
from training.evaluation.measure.uncover import uncovered

LOOKS = 12  # frames of a clip whose identity is looked at
QUIET_SHARE, QUIET_FRAMES = 0.02, 5  # of the loudest frame, for so long: nothing is heard
SOLID = 230  # cover from which a pixel belongs to what stands before the face


@dataclass(frozen=True)
class Rendered:
    """frames: .npy of T output frames, then a round trip of the source at each of `looks` where it
    has a face; judged: the same as the judge is to see them, without what covers them; order:
    source frame of each output frame.
    """

    frames: Path
    judged: Path
    order: NDArray[np.int64]
    looks: NDArray[np.int64]
    surface: Surface
    face_found: float  # share of frames in which the engine had a face
    cover_psnr: float  # dB on what covers the mouth, in the mouth's reach; NaN without a cover


def render(engine: LipSyncEngine, clip: Clip, strength: float, file: Path) -> Rendered:
    """Writes `file`, whose frames have the source's size. Raises LabellingError."""
    points, picture = clip.source.points, clip.source.picture
    count = len(clip.drive.opening)
    order = there_and_back(len(picture.frames), count * clip.repeats)
    kept = np.concatenate([order[:count], order[count:][-count:]])
    looks = np.linspace(0, len(kept) - 1, LOOKS).astype(np.int64)
    looks = looks[~np.isnan(points[kept[looks]]).any((1, 2))]
    shape = picture.frames.shape[1:]
    out = np.lib.format.open_memmap(
        file, mode="w+", dtype=np.uint8, shape=(len(kept) + len(looks), *shape)
    )
    meter, error = SurfaceMeter(), _CoverError(clip)
    quiet = quiet_frames(clip.drive.loudness)
    found = 0
    for frame in _speak(engine, clip, order, strength):
        t, source = frame.index, int(order[frame.index])
        found += frame.face_found
        if count <= t < len(order) - count:
            continue
        place = t if t < count else t - len(order) + len(kept)
        out[place] = frame.rgb
        box = _mouth_box(clip, points[source])
        meter.add(picture.frames[source], frame.rgb, frame.mask, box, bool(quiet[t % count]))
        error.add(source, frame.rgb, points[source])
    for k, place in enumerate(looks):
        at = kept[place]
        out[len(kept) + k] = round_trip(engine, picture.frames[at], points[at])
    out.flush()
    return Rendered(
        file,
        _bared(file, picture.cover, kept),
        kept,
        looks,
        meter.figures(),
        found / len(order),
        error.psnr,
    )


def _bared(file: Path, cover: NDArray[np.uint8] | None, order: NDArray[np.int64]) -> Path:
    """The frames of `file` in a file of their own, without `cover` (N, H, W); itself without."""
    if cover is None:
        return file
    frames, bared = np.load(file, mmap_mode="r"), file.with_suffix(".bared.npy")
    out = np.lib.format.open_memmap(bared, mode="w+", dtype=np.uint8, shape=frames.shape)
    out[len(order) :] = frames[len(order) :]
    for t, source in enumerate(order):
        out[t] = uncovered(frames[t], cover[source])
    out.flush()
    return bared


def _speak(engine: LipSyncEngine, clip: Clip, order: NDArray[np.int64], strength: float):  # type: ignore[no-untyped-def]
    """Every finished frame of the stream."""
    stream = engine.open_stream(strength=strength, face_box=clip.source.picture.face_box)
    pcm, count = clip.drive.pcm, len(clip.drive.opening)
    for t, source in enumerate(order):
        start = t % count * SAMPLES_PER_FRAME
        stream.push_audio(pcm[start : start + SAMPLES_PER_FRAME])
        yield from stream.push_frame(clip.source.picture.frames[source])
    finished: list[SyncedFrame] = stream.flush()
    yield from finished


def quiet_frames(loudness: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(T,): frames that end a stretch of QUIET_FRAMES without sound."""
    silent = loudness <= QUIET_SHARE * max(float(loudness.max()), 1e-9)
    run = np.convolve(silent, np.ones(QUIET_FRAMES), "full")[: len(silent)]
    return run >= QUIET_FRAMES


def _mouth_box(clip: Clip, points: NDArray[np.float32]) -> Box | None:
    mouth = clip.source.picture.mouth
    if mouth is not None:
        x, y, width, height = (round(v) for v in mouth)
        return x, y, x + width, y + height
    return lips_box(points, *clip.source.picture.frames.shape[1:3])


class _CoverError:
    """Squared error on the cover's solid pixels round the mouth."""

    def __init__(self, clip: Clip) -> None:
        self._picture = clip.source.picture
        self._sum, self._pixels = 0.0, 0

    def add(self, source: int, output: NDArray[np.uint8], points: NDArray[np.float32]) -> None:
        cover = self._picture.cover
        if cover is None:
            return
        solid = cover[source] >= SOLID
        solid &= mouth_region(points, *solid.shape)
        before = self._picture.frames[source][solid].astype(np.float32)
        self._sum += float(((output[solid] - before) ** 2).sum())
        self._pixels += int(solid.sum()) * 3

    @property
    def psnr(self) -> float:
        if not self._pixels:
            return float("nan")
        return float(10 * np.log10(255**2 / max(self._sum / self._pixels, 1e-3)))
