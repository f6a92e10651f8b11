"""Training windows of one person: their true frame as target, the same frame with another moment's
lower face as source, half of them in the live queue with the model's own estimates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine import LipSyncEngine
from engine.flow import level_grid
from engine.model.dit import Conditioner
from training.augment import Look, smooth_drift
from training.grid import alter_mouth
from training.personal.clip import MARGIN, PersonClip
from training.sound import heard_mask
from training.voices import vary

SLOTS = 3
ALTERED = 3  # sources of each look
LEVEL_JITTER = 0.05
ENTRY = 0.9  # share of newest slots noised from the source
OTHER_MOMENT = 0.1  # share of sources that are another moment as it was, at low noise
LOW_NOISE = 0.55
SAME = 0.06  # share of sources that are right already
SEEN_POSE = 0.4  # share of windows led by the pose that is seen, not heard
POSE_NOISE = 0.05
LONGEST_RUN = 50  # frames a stream follows


@dataclass(frozen=True)
class Batch:
    """target, source, x (B, L, 16, h, w); level (B, L); tokens (B, L, 1 + K, D); pose (B L, P)."""

    target: Tensor
    source: Tensor
    x: Tensor
    level: Tensor
    tokens: Tensor
    pose: Tensor


class Material:
    """Latents (looks, 1 + ALTERED, F, 16, h, w) float16, track 0 the true one; poses that are seen
    (F, P), and heard (voices, ages, F, P), or None for a clip without sound.
    """

    def __init__(
        self, clip: PersonClip, engine: LipSyncEngine, looks: int, rng: np.random.Generator
    ) -> None:
        self.pose = torch.from_numpy(clip.pose[clip.trained])
        self.frame = clip.frame[clip.trained]
        pictures = clip.canvases[clip.trained]
        self.latents = torch.stack(
            [_encoded(engine, pictures, rng, plain=k == 0) for k in range(looks)]
        )
        self.heard: Tensor | None = None
        if clip.sound is not None:
            mel = torch.from_numpy(clip.sound.mel_windows(self.frame))
            voices = [mel, *(_other_voice(mel) for _ in range(looks - 1))]
            self.heard = torch.stack([_heard(engine, voice) for voice in voices])

    def runs(self) -> Iterator[range]:
        """Stretches of consecutive frames."""
        breaks = np.flatnonzero(np.diff(self.frame) != 1) + 1
        for start, end in zip([0, *breaks], [*breaks, len(self.frame)], strict=True):
            if end - start >= SLOTS:
                yield range(int(start), int(end))


def _encoded(
    engine: LipSyncEngine, pictures: NDArray[np.uint8], rng: np.random.Generator, plain: bool
) -> Tensor:
    """(1 + ALTERED, F, 16, h, w): as filmed, or as another camera and light would have it."""
    crop_px = engine.facts.crop_px
    inner = slice(MARGIN, MARGIN + crop_px)
    # Nobody's mouth is symmetric: no mirrored pictures of one person.
    look = replace(Look.sample(rng, mild=True), flip=False)
    drift = smooth_drift(len(pictures), rng, 0.006)
    latents = []
    for k in range(1 + ALTERED):
        track = alter_mouth(pictures, rng) if k else pictures
        crops = track[:, inner, inner] if plain else look.apply(track, drift, crop_px, rng)
        latents.append(torch.from_numpy(np.stack([engine.encode(c) for c in crops])).half())
    return torch.stack(latents)


def _other_voice(mel: Tensor) -> Tensor:
    """Windows (F, 80, 64) of another throat, room and microphone, the same in all of them."""
    count, bands, columns = mel.shape
    side_by_side = vary(mel.permute(1, 0, 2).reshape(1, bands, count * columns))
    return side_by_side.reshape(bands, count, columns).permute(1, 0, 2).contiguous()


def _heard(engine: LipSyncEngine, mel: Tensor) -> Tensor:
    """Poses (ages, F, P) that are heard in mel windows (F, 80, 64)."""
    known = [heard_mask(torch.full((len(mel),), age)).numpy() for age in range(SLOTS)]
    return torch.stack([torch.from_numpy(engine.lip_pose(mel.numpy(), k)) for k in known])


@dataclass
class _Stream:
    """One queue: which look, source track and voice, where it stands, what its slots hold."""

    look: int
    track: int
    voice: int
    seen: bool  # led by the seen pose
    run: range
    at: int
    eps: Tensor
    held: Tensor  # (L, 16, h, w)


class PersonWindows:
    """Draws batches; for those of `queue`, call `advance` with the model's x0."""

    def __init__(
        self, material: Material, conditioner: Conditioner, streams: int, seed: int
    ) -> None:
        self._m, self._conditioner = material, conditioner
        self._rng = np.random.default_rng(seed)
        self._runs = list(material.runs())
        self._weights = np.array([len(r) for r in self._runs], float)
        self._weights /= self._weights.sum()
        self._grid = torch.from_numpy(level_grid(SLOTS))
        self._streams = [self._begin() for _ in range(streams)]

    def single(self, count: int) -> Batch:
        """`count` frames on their own, each at the level of one of the slots."""
        rng, m = self._rng, self._m
        slot = torch.from_numpy(rng.choice(SLOTS, count, p=(0.2, 0.2, 0.6)))
        frame = torch.from_numpy(rng.integers(0, len(m.frame), count))
        look, track, voice = (torch.from_numpy(v) for v in self._drawn(count))
        level = self._grid[slot] + LEVEL_JITTER * torch.randn(count)
        level = torch.where(torch.rand(count) < 0.1, torch.rand(count), level).clamp(0.05, 0.99)
        other = torch.from_numpy(rng.integers(0, len(m.frame), count))
        elsewhere = (torch.rand(count) < OTHER_MOMENT) & (level < LOW_NOISE)
        target = m.latents[look, 0, frame].float()
        source = m.latents[look, track, torch.where(elsewhere, other, frame)].float()
        # The newest slot shows the source; older ones what estimates have left of it.
        entry = (slot == SLOTS - 1) & (torch.rand(count) < ENTRY)
        rest = torch.rand(count) * (torch.rand(count) < 0.7)
        mix, t = (
            v[:, None, None, None] for v in (torch.where(entry, torch.ones(count), rest), level)
        )
        x = (1 - t) * ((1 - mix) * target + mix * source) + t * torch.randn(target.shape)
        seen = torch.rand(count) < SEEN_POSE
        tokens = self._tokens(voice, SLOTS - 1 - slot, frame, seen)
        return Batch(
            *(target[:, None], source[:, None], x[:, None], level[:, None], tokens[:, None]),
            m.pose[frame],
        )

    def queue(self) -> Batch:
        """Every stream's window as the live queue has it."""
        m, streams = self._m, self._streams
        back = torch.arange(SLOTS - 1, -1, -1)
        frame = torch.stack([(s.at - back).clamp(min=s.run.start) for s in streams])  # (B, L)

        def of_each(values: list[int]) -> Tensor:
            return torch.tensor(values)[:, None].expand(-1, SLOTS)

        look, track = of_each([s.look for s in streams]), of_each([s.track for s in streams])
        target, source = m.latents[look, 0, frame].float(), m.latents[look, track, frame].float()
        for s, newest in zip(streams, source[:, -1], strict=True):
            s.held[-1] = newest
        level = self._grid.expand(len(streams), SLOTS)
        t = level[:, :, None, None, None]
        held, eps = (torch.stack(v) for v in zip(*((s.held, s.eps) for s in streams), strict=True))
        x = (1 - t) * held + t * eps[:, None]
        voice, seen = of_each([s.voice for s in streams]), of_each([s.seen for s in streams])
        age = back.repeat(len(streams))
        tokens = self._tokens(voice.flatten(), age, frame.flatten(), seen.flatten())
        tokens = tokens.unflatten(0, (len(streams), SLOTS))
        return Batch(target, source, x, level, tokens, m.pose[frame.flatten()])

    def advance(self, x0: Tensor) -> None:
        """Take the estimates (streams, L, 16, h, w) of the last `queue`."""
        for i, s in enumerate(self._streams):
            s.held = torch.cat([x0[i, 1:], x0[i, -1:]]).clone()
            s.at += 1
            if s.at >= s.run.stop:
                self._streams[i] = self._begin()

    def _drawn(self, count: int) -> tuple[NDArray[np.int64], ...]:
        """Look, source track and voice; the clip's own look and voice are the likeliest."""
        rng, looks = self._rng, len(self._m.latents)
        track = rng.integers(1, 1 + ALTERED, count) * (rng.random(count) >= SAME)
        look = rng.integers(0, looks, count) * (rng.random(count) >= 0.4)
        return look, track, rng.integers(0, looks, count) * (rng.random(count) >= 0.3)

    def _begin(self) -> _Stream:
        rng, m = self._rng, self._m
        run = self._runs[int(rng.choice(len(self._runs), p=self._weights))]
        start = int(rng.integers(run.start, max(run.start + 1, run.stop - LONGEST_RUN)))
        run = range(start, min(run.stop, start + LONGEST_RUN))
        look, track, voice = (int(v[0]) for v in self._drawn(1))
        still = m.latents[look, track, start].float().expand(SLOTS, -1, -1, -1).clone()
        seen = bool(rng.random() < SEEN_POSE)
        return _Stream(look, track, voice, seen, run, start, torch.randn(still.shape[1:]), still)

    def _tokens(self, voice: Tensor, age: Tensor, frame: Tensor, seen: Tensor) -> Tensor:
        """(N, 1 + K, D) of the pose that is heard at this age, or seen. All (N,)."""
        m, count = self._m, len(frame)
        pose = m.pose[frame] + POSE_NOISE * torch.randn(count, m.pose.shape[1])
        if m.heard is not None:
            pose = torch.where(seen[:, None], pose, m.heard[voice, age, frame])
        return pose_tokens(self._conditioner, pose)


def pose_tokens(conditioner: Conditioner, pose: Tensor) -> Tensor:
    """(N, P) -> (N, 1 + K, D)."""
    nulls = conditioner.null_sound.expand(len(pose), -1, -1)
    return torch.cat([conditioner.pose(pose)[:, None], nulls], 1)
