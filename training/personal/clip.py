"""A clip of one person, read once: aligned pictures, lip poses, and the sound if it is theirs.

The engine's own follower finds the face, so that crops jitter here as they do live; a dark face is
shown as light as the networks see it.
"""

from __future__ import annotations

from collections import deque
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import LipSyncEngine
from engine.audio import FPS, MEL_COLUMNS, SAMPLE_RATE, mel_of, mel_window
from engine.audio import SAMPLES_PER_FRAME as _SAMPLES
from engine.face.align import Similarity, fit_similarity, warp_crop
from engine.face.exposure import Exposure, exposed
from engine.face.follow import FaceFollower
from engine.media import MediaError, Picture, Voice
from training.personal.mouth_pose import STABLE, MouthPose, look_again, opening

Rgb = NDArray[np.uint8]
Array = NDArray[np.float32]

SHORTEST_S, LONGEST_S = 20, 180
MARGIN = 16  # px round the crop, for training to shift it in
VIEW = 352  # px; the crop with the whole face round it, for the landmark net to judge
VIEW_LEFT, VIEW_TOP = 80, 120
HELD_OUT = 0.2  # share of the frames, the last ones
GAP = 12  # frames before them that are not used
LAGS = 6  # frames by which sound and picture may be apart
QUIET = 100  # int16; a recording that is nowhere louder is silence
THEIRS = 0.3  # correlation of seen and heard openings from which the sound is the person's


@dataclass(frozen=True)
class Sound:
    """pcm int16 16 kHz; `lag` frames later than the picture; r of heard and seen openings."""

    pcm: NDArray[np.int16]
    lag: int
    r: float

    def mel_windows(self, frames: NDArray[np.int64]) -> Array:
        """(N, 80, 64) of these frames of the picture."""
        mel = mel_of(self.pcm)
        return np.stack([mel_window(mel, int(i) + self.lag) for i in frames])


@dataclass(frozen=True)
class PersonClip:
    """F frames that show the face, in order.

    canvases: uint8 (F, S + 2 MARGIN, S + 2 MARGIN, 3), the crop with a margin. views: the same
    heads (H, VIEW, VIEW, 3), of the last H frames. frame: (F,) which frame of the clip each is.
    points: (F, 39, 2) in pixels of a view. pose: (F, P). opening: (F,).
    """

    canvases: Rgb
    views: Rgb
    frame: NDArray[np.int64]
    points: Array
    pose: Array
    opening: Array
    sound: Sound | None

    @property
    def judged(self) -> slice:
        """The frames that are held out."""
        return slice(len(self.frame) - len(self.views), len(self.frame))

    @property
    def trained(self) -> slice:
        return slice(0, len(self.frame) - len(self.views) - GAP)


def read_clip(
    path: Path, engine: LipSyncEngine, face_box: tuple[int, int, int, int] | None = None
) -> PersonClip:
    """At most LONGEST_S of a clip.

    Raises:
        MediaError: it cannot be read, is too short, or shows no face for long enough.
    """
    crop_px = engine.facts.crop_px
    follower, exposure = FaceFollower(engine.landmarks), Exposure()
    frames, points, canvases = [], [], []
    views: deque[Rgb] = deque(maxlen=round(HELD_OUT * LONGEST_S * FPS))
    count = 0
    for index, rgb in enumerate(Picture(path).once()):
        if index >= LONGEST_S * FPS:
            break
        count += 1
        face = follower.follow(rgb, face_box)
        if face is None:
            continue
        transform = fit_similarity(face.points[STABLE])
        to_view = _framed(transform, crop_px, VIEW, VIEW_LEFT, VIEW_TOP)
        frames.append(index)
        points.append((to_view.apply(look_again(engine, rgb, face)) * VIEW).astype(np.float32))
        side = crop_px + 2 * MARGIN
        canvas = warp_crop(rgb, _framed(transform, crop_px, side, MARGIN, MARGIN), side)
        gain = exposure.follow(canvas[MARGIN:-MARGIN, MARGIN:-MARGIN])
        canvases.append(exposed(canvas, gain))
        views.append(exposed(warp_crop(rgb, to_view, VIEW), gain))
    if len(frames) < SHORTEST_S * FPS:
        raise MediaError(
            f"{path}: a face shows in {len(frames) / FPS:.0f} of its {count / FPS:.0f} s; "
            f"{SHORTEST_S} s are needed, a minute is better"
        )
    held_out = round(HELD_OUT * len(frames))
    last = np.stack(list(views)[-held_out:])
    frame, at = np.array(frames), np.stack(points)
    pose = MouthPose.load().read(at)
    seen = opening(at)
    sound = _sound(path, engine, frame[:-held_out], seen[:-held_out])
    return PersonClip(np.stack(canvases), last, frame, at, pose, seen, sound)


def _framed(t: Similarity, crop_px: int, side: int, left: int, top: int) -> Similarity:
    """From frame pixels to a square of `side` crop pixels that begins `left`, `top` before it."""
    k = crop_px / side
    return Similarity(t.a * k, t.b * k, t.tx * k + left / side, t.ty * k + top / side)


def _sound(
    path: Path, engine: LipSyncEngine, frame: NDArray[np.int64], seen: Array
) -> Sound | None:
    """The clip's sound where these lips spoke it, moved to where it fits them best."""
    try:
        voice = Voice(path)
        with closing(voice.ticks()) as ticks:
            pcm = np.concatenate([tick.pcm for tick in islice(ticks, LONGEST_S * FPS)])
    except MediaError:
        return None
    late = round(voice.late_s * SAMPLE_RATE)
    pcm = np.pad(pcm, (late, 0)) if late > 0 else pcm[-late:]
    if np.abs(pcm.astype(np.int32)).max(initial=0) < QUIET:
        return None
    heard = heard_opening(engine, Sound(pcm, 0, 0).mel_windows(np.arange(len(pcm) // _SAMPLES)))
    lags = {lag: _agreement(heard, frame + lag, seen) for lag in range(-LAGS, LAGS + 1)}
    lag = max(lags, key=lambda k: lags[k])
    return Sound(pcm, lag, lags[lag])


def heard_opening(engine: LipSyncEngine, mel: Array) -> Array:
    """The opening that the audio encoder hears in mel windows (N, 80, 64), (N,)."""
    pose = engine.lip_pose(mel, np.ones((len(mel), MEL_COLUMNS), np.float32))
    return MouthPose.load().opening(pose)


def _agreement(heard: Array, at: NDArray[np.int64], seen: Array) -> float:
    """Correlation of the opening that is heard `at` these frames with the one that is seen."""
    known = (at >= 0) & (at < len(heard))
    return float(np.corrcoef(heard[at[known]], seen[known])[0, 1])


def is_theirs(sound: Sound | None) -> bool:
    """Whether these lips spoke it; a mouth that never moves tells nothing."""
    return sound is not None and sound.r >= THEIRS


def without_sound(clip: PersonClip) -> PersonClip:
    """The same clip as if it were silent."""
    return replace(clip, sound=None)
