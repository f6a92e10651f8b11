"""Everything that is measured of one clip, in a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import LipSyncEngine
from training.evaluation.clip import Clip, Judge
from training.evaluation.measure.ceiling import OpeningReader
from training.evaluation.measure.drawn import drawn_opening
from training.evaluation.measure.faces import (
    HIDDEN,
    hidden_share,
    lip_distance,
    lip_features,
)
from training.evaluation.measure.identity import likeness
from training.evaluation.measure.inside import Inside, inside
from training.evaluation.measure.render import Rendered, render
from training.evaluation.measure.shots import Shots, take_shots
from training.lip_pose import opening
from training.sharpness import mouth_detail

Track = NDArray[np.float64]
Face = tuple[NDArray[np.uint8], NDArray[np.float32]]  # a picture and its landmarks


@dataclass(frozen=True)
class Measured:
    """Tracks (T,) at 25 fps, NaN where unknown; scalars NaN where they have no meaning."""

    output: Track  # opening of the output's mouth
    truth: Track  # opening of the mouth that belongs to the sound, where it can be judged
    source: Track  # opening of the source's own mouth
    flap: Track  # opening of a mouth that follows loudness
    heard: Track  # opening that the audio encoder alone hears
    lips: Track  # (T, 8): the output's `lip_features`
    lost: float  # share of frames in which the judge found no face
    engine_lost: float  # the same of the engine
    lip_distance: float
    sharpness: float  # fine detail in the mouth, output over source
    skin: float
    skin_round_trip: float
    texture: float
    texture_round_trip: float
    inside: float  # colour distance between the lips to the source's mouth at the same opening
    inside_itself: float  # the same of the source's mouth at two times
    seam: float
    outside: float
    flicker_mouth: float
    flicker_skin: float
    cover_psnr: float
    halves: Track  # (2, 3): skin distance, texture distance, sharpness of the first half and last
    stir: Track  # (segments,): deviation over time of output minus source in the mouth, grey levels
    shots: Shots

    def save(self, path: Path) -> None:
        arrays = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)[:-1]}
        partial = path.with_suffix(".part.npz")
        np.savez(partial, **arrays, **self.shots.arrays())  # type: ignore[arg-type]
        partial.rename(path)

    @classmethod
    def load(cls, path: Path) -> Measured:
        with np.load(path) as file:
            arrays = {f.name: file[f.name] for f in fields(cls)[:-1]}
            shots = Shots.of({name: file[name] for name in file.files})
        plain = {n: float(a) if a.ndim == 0 else a for n, a in arrays.items()}
        return cls(**plain, shots=shots)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Measurer:
    """Renders clips and measures them. Two steps, so that the judge labels one clip while the
    engine renders the next.
    """

    engine: LipSyncEngine
    strength: float
    reader: OpeningReader

    def render(self, clip: Clip, file: Path) -> Rendered:
        return render(self.engine, clip, self.strength, file)

    def measure(self, clip: Clip, rendered: Rendered, labels: Path) -> Measured:
        """labels: FaceLandmarker's of `rendered.judged`."""
        every = np.load(rendered.frames, mmap_mode="r")
        count = len(rendered.order)
        frames, trips = every[:count], every[count:]
        found = np.load(labels)["points"]
        points, trip_points = found[:count], found[count:]
        sources = clip.source.picture.frames
        turns = count // len(clip.drive.opening)
        looks = _distances(clip, rendered, ((frames[t], points[t]) for t in rendered.looks))
        trip = _distances(clip, rendered, zip(trips, trip_points, strict=True))
        halves = np.array(
            [
                [*_mean(part), _sharpness(clip, frames, points, rendered, half)]
                for part, half in zip(np.array_split(looks, 2), _halves(count), strict=True)
            ]
        )
        skin, texture = _mean(looks)
        skin_trip, texture_trip = _mean(trip)
        drawn = clip.judge is Judge.DRAWN
        nothing = Inside(float("nan"), float("nan"))
        covered = clip.source.picture.cover is not None
        colour = (
            nothing if drawn or covered else inside(frames, points, sources, clip.source.points)
        )
        return Measured(
            output=_opening(clip, frames, points),
            truth=np.tile(_truth(clip, rendered), turns),
            source=_opening(clip, sources, clip.source.points)[rendered.order],
            flap=np.tile(clip.drive.flap, turns),
            heard=np.tile(self.reader(clip.drive.pcm, len(clip.drive.opening)), turns),
            lips=lip_features(points),
            lost=0.0 if drawn else float(np.isnan(points[:, 0, 0]).mean()),
            engine_lost=1.0 - rendered.face_found,
            lip_distance=_lip_distance(clip, points),
            sharpness=_sharpness(clip, frames, points, rendered, slice(0, count)),
            skin=skin,
            skin_round_trip=skin_trip,
            texture=texture,
            texture_round_trip=texture_trip,
            inside=colour.own,
            inside_itself=colour.itself,
            seam=rendered.surface.seam,
            outside=rendered.surface.outside,
            flicker_mouth=rendered.surface.flicker_mouth,
            flicker_skin=rendered.surface.flicker_skin,
            cover_psnr=rendered.cover_psnr,
            halves=halves,
            stir=_stir(clip, frames, rendered),
            shots=take_shots(clip, frames, rendered.order),
        )


def _opening(clip: Clip, frames: NDArray[np.uint8], points: NDArray[np.float32]) -> Track:
    if clip.judge is Judge.DRAWN:
        assert clip.source.picture.mouth is not None
        return drawn_opening(frames, clip.source.picture.mouth)
    return opening(points).astype(np.float64)


def _truth(clip: Clip, rendered: Rendered) -> Track:
    """The true opening, NaN where something hides the mouth."""
    truth = clip.drive.opening.copy()
    cover = clip.source.picture.cover
    if cover is not None:
        points = clip.source.points
        hidden = [hidden_share(p, c) > HIDDEN for p, c in zip(points, cover, strict=True)]
        truth[np.array(hidden)[rendered.order[: len(truth)]]] = np.nan
    return truth


def _lip_distance(clip: Clip, points: NDArray[np.float32]) -> float:
    truth = clip.drive.points
    if truth is None or clip.judge is Judge.DRAWN:
        return float("nan")
    return lip_distance(points[: len(truth)], truth)


def _distances(clip: Clip, rendered: Rendered, faces: Iterable[Face]) -> Track:
    """Skin and texture distance to the source at each look that shows a face, (N, 2)."""
    found = []
    for t, (picture, points) in zip(rendered.looks, faces, strict=True):
        if not np.isnan(points).any():
            at = rendered.order[t]
            seen = likeness(clip.source.picture.frames[at], clip.source.points[at], picture, points)
            found.append((seen.skin, seen.texture))
    return np.array(found).reshape(-1, 2)


def _mean(pairs: Track) -> tuple[float, float]:
    if not len(pairs):
        return float("nan"), float("nan")
    a, b = pairs.mean(0)
    return float(a), float(b)


def _halves(count: int) -> tuple[slice, slice]:
    return slice(0, count // 2), slice(count // 2, count)


SHARPNESS_EVERY = 3


def _sharpness(
    clip: Clip,
    frames: NDArray[np.uint8],
    points: NDArray[np.float32],
    rendered: Rendered,
    part: slice,
) -> float:
    """Fine detail in the output's mouth over that in its source's, where nothing hides it."""
    at_source = clip.source.points[rendered.order]
    chosen = np.arange(len(frames))[part][::SHARPNESS_EVERY]
    known = ~np.isnan(points[chosen, 0, 0]) & ~np.isnan(at_source[chosen, 0, 0])
    chosen = chosen[known]
    picture, shown = clip.source.picture, rendered.order[chosen]
    covers = None if picture.cover is None else picture.cover[shown]
    before = mouth_detail(picture.frames[shown], at_source[chosen], covers)
    return mouth_detail(frames[chosen], points[chosen], covers) / before


def _stir(clip: Clip, frames: NDArray[np.uint8], rendered: Rendered) -> Track:
    """How much the mouth's pixels move against the source's in each segment."""
    points = clip.source.points
    stirs = []
    for segment in clip.segments:
        span = np.arange(segment.first, segment.last)
        at = points[rendered.order[span]]
        if np.isnan(at).any():
            stirs.append(np.nan)
            continue
        x, y = at[:, 13].mean(0).round().astype(int)
        half = round(float(np.linalg.norm(at[0, 61] - at[0, 291])) * 0.6)
        window = (slice(max(0, y - half), y + half), slice(max(0, x - half), x + half))
        before = clip.source.picture.frames[rendered.order[span]][:, *window]
        moved = frames[span][:, *window].astype(np.float32) - before
        stirs.append(float(moved.std(0).mean()))
    return np.array(stirs)
