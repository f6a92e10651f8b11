"""Training windows exactly as the live queue runs them: one noise level a slot, sound heard up to
now, the entry noised from the source.

A window holds L consecutive frames, oldest first. Three kinds of imperfection that the queue has
are drawn in: the source's mouth still
in the entry slot, remains of it in the slots after, and warm-up or flush windows in which slots
repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.audio import SILENCE_LEVEL
from engine.flow import TAU, level_grid
from training.latents import Tracks
from training.sound import SoundTable, heard_mask
from training.voices import vary


@dataclass(frozen=True)
class WindowConfig:
    """How windows are drawn. Thresholds are noise levels, rescaled from the paper's 850/1000 to 16
    x 16 latents.
    """

    share: tuple[tuple[str, float], ...] = (("grid", 0.3), ("portraits", 0.45), ("rendered", 0.25))
    # Mostly single frames: neighbours teach little more than one of them, and cost as much.
    slots: tuple[tuple[int, float], ...] = ((1, 0.75), (2, 0.03), (3, 0.19), (4, 0.03))
    level_jitter: float = 0.06
    # Of single frames: at the entry the whole edit is to be made; below, x shows most of it.
    single_levels: tuple[float, float, float] = (0.2, 0.2, 0.6)
    free_levels: float = 0.08  # share of windows whose levels are drawn freely
    entry_share: float = 0.9  # entry slots noised from the source, not the target
    imperfect: float = 0.7  # share of later slots that still show some of the source's mouth
    pair_threshold: float = 0.55  # below it, arbitrary pairs may be used
    arbitrary_share: float = 0.1
    same_mouth: float = 0.08  # source already right: nothing to edit
    edge_share: float = 0.06  # warm-up and flush windows
    true_pose: float = 0.7
    drop_sound: float = 0.25
    drop_pose: float = 0.06
    drop_both: float = 0.06


@dataclass(frozen=True)
class Window:
    """A batch: target, source, x (B, L, 16, h, w); level (B, L); mel (B L, 80, M); heard (B L, M);
    pose (B L, P).
    """

    target: Tensor
    source: Tensor
    x: Tensor
    level: Tensor
    mel: Tensor
    heard: Tensor
    pose: Tensor
    keep_pose: Tensor
    keep_sound: Tensor


class WindowSampler:
    """Draws batches from latents in memory."""

    def __init__(
        self, tracks: dict[str, Tracks], sound: SoundTable, config: WindowConfig, seed: int
    ) -> None:
        self.tracks, self.sound, self.config = tracks, sound, config
        self._rng = np.random.default_rng(seed)
        self._torch = torch.Generator().manual_seed(seed)
        kinds = [(k, w) for k, w in config.share if k in tracks]
        self._kinds = [k for k, _ in kinds]
        # A clip without labels in every frame has no row in the sound table.
        self._usable = {
            k: [
                i for i, names in enumerate(tracks[k].clips) if all(n in sound.first for n in names)
            ]
            for k in self._kinds
        }
        self._weights = np.array([w for _, w in kinds]) / sum(w for _, w in kinds)

    def _one(self, slots: int) -> tuple[Tensor, Tensor, Tensor, bool]:
        """Target and source latents (L, 16, h, w) and row numbers (L,) of the sound table; may it
        be an arbitrary pair.
        """
        rng, kind = self._rng, self._kinds[int(self._rng.choice(len(self._kinds), p=self._weights))]
        tracks = self.tracks[kind]
        clip = self._usable[kind][int(rng.integers(len(self._usable[kind])))]
        count, length = tracks.latents.shape[1:3]
        a = 0 if kind == "grid" else int(rng.integers(count))
        others = [k for k in range(count) if k != a]
        b = a if rng.random() < self.config.same_mouth else others[int(rng.integers(len(others)))]
        frames = torch.arange(slots) + int(rng.integers(0, length - slots + 1))
        if rng.random() < self.config.edge_share:
            repeat = int(rng.integers(1, slots)) if slots > 1 else 0
            middle = frames[repeat] if rng.random() < 0.5 else frames[slots - 1 - repeat]
            frames = (
                frames.clamp(min=int(middle))
                if rng.random() < 0.5
                else frames.clamp(max=int(middle))
            )
        target = tracks.latents[clip, a, frames]
        source = tracks.latents[clip, b, frames]
        row = self.sound.first[tracks.clips[clip][a]] + int(tracks.starts[clip, a])
        return target, source, row + frames, kind == "grid"

    def _arbitrary_source(self, source: Tensor, level: Tensor, allowed: Tensor) -> Tensor:
        """Timestep-dependent pairs (eq. 3): below the threshold a slot's source may be another
        moment of the clip.
        """
        c = self.config
        chosen = allowed[:, None] & (level < c.pair_threshold)
        chosen &= torch.rand(level.shape, generator=self._torch) < c.arbitrary_share
        return torch.where(chosen[:, :, None, None, None], source.flip(1), source)

    def _levels(self, batch: int, slots: int) -> Tensor:
        c = self.config
        grid = torch.from_numpy(level_grid(slots)).expand(batch, slots)
        level = grid + c.level_jitter * torch.randn(batch, slots, generator=self._torch)
        free = torch.rand(batch, 1, generator=self._torch) < c.free_levels
        drawn = torch.rand(batch, slots, generator=self._torch).sort(1).values
        if slots == 1:
            # One frame stands for any slot: its age is told by its level.
            one = torch.from_numpy(level_grid(QueueSampler.SLOTS))
            weights = torch.tensor(c.single_levels)
            picked = torch.multinomial(weights, batch, True, generator=self._torch)[:, None]
            level = one[picked] + c.level_jitter * torch.randn(batch, 1, generator=self._torch)
        return torch.where(free, drawn, level).clamp(0.05, 0.99)

    def draw(self, batch: int) -> Window:
        c, g = self.config, self._torch
        slots = int(self._rng.choice([s for s, _ in c.slots], p=[p for _, p in c.slots]))
        batch = max(1, batch * QueueSampler.SLOTS // slots)  # the same number of frames
        parts = [self._one(slots) for _ in range(batch)]
        target = torch.stack([p[0] for p in parts]).float()
        source = torch.stack([p[1] for p in parts]).float()
        rows = torch.stack([p[2] for p in parts]).flatten()
        level = self._levels(batch, slots)
        source = self._arbitrary_source(source, level, torch.tensor([p[3] for p in parts]))
        eps = torch.randn(batch, 1, *target.shape[2:], generator=g).expand_as(target)
        newest = level > TAU - 0.05 if slots == 1 else torch.arange(slots) == slots - 1
        entry = newest & (torch.rand(level.shape, generator=g) < c.entry_share)
        # Later slots keep what an imperfect earlier estimate leaves of the source's mouth.
        spoilt = torch.rand(level.shape, generator=g) < c.imperfect
        rest = spoilt * torch.rand(level.shape, generator=g)
        mix = torch.where(entry, torch.ones_like(level), rest)[:, :, None, None, None]
        t = level[:, :, None, None, None]
        x = (1 - t) * ((1 - mix) * target + mix * source) + t * eps
        return self._dressed(target, source, x, level, rows)

    def _dressed(
        self, target: Tensor, source: Tensor, x: Tensor, level: Tensor, rows: Tensor
    ) -> Window:
        """Adds the sound of each slot: another voice, the gate, what its age has heard, and what is
        dropped.
        """
        c, g = self.config, self._torch
        batch, slots = level.shape
        mel = self.sound.mel[rows].float()
        varied = torch.rand(batch, generator=g) < 0.7
        mel = torch.where(
            varied.repeat_interleave(slots)[:, None, None], self._one_voice(mel, slots), mel
        )
        mel = self._gate(mel, slots)
        age = torch.arange(slots - 1, -1, -1).repeat(batch)
        if slots == 1:
            age = torch.randint(0, QueueSampler.SLOTS, (batch,), generator=g)
        late = torch.randint(-2, 2, (batch, 1), generator=g).expand(-1, slots).reshape(-1)
        drop = torch.rand(batch, generator=g)
        no_both = drop < c.drop_both
        no_pose = no_both | ((drop >= c.drop_both) & (drop < c.drop_both + c.drop_pose))
        no_sound = no_both | (drop > 1 - c.drop_sound)
        return Window(
            target, source, x, level, mel, heard_mask(age, late), self.sound.pose[rows],
            ~no_pose.repeat_interleave(slots), ~no_sound.repeat_interleave(slots),
        )  # fmt: skip

    def _one_voice(self, mel: Tensor, slots: int) -> Tensor:
        """Vary each window as one voice: its frames' mels side by side go through one draw."""
        n, bands, columns = mel.shape
        side = mel.reshape(n // slots, slots, bands, columns).permute(0, 2, 1, 3)
        side = vary(side.reshape(n // slots, bands, slots * columns), self._torch)
        side = side.reshape(n // slots, bands, slots, columns).permute(0, 2, 1, 3)
        return side.reshape(n, bands, columns)

    def _gate(self, mel: Tensor, slots: int) -> Tensor:
        """A voice gate as live has it: in a third of the windows, quiet columns become digital
        silence.
        """
        gated = (torch.rand(len(mel) // slots, generator=self._torch) < 0.33).repeat_interleave(
            slots
        )
        loud = mel.mean(1, keepdim=True)
        threshold = loud.amin(2, keepdim=True) + 0.25 * (
            loud.amax(2, keepdim=True) - loud.amin(2, keepdim=True)
        )
        quiet = (loud < threshold) & (loud.amax(2, keepdim=True) - loud.amin(2, keepdim=True) > 0.4)
        silent = torch.full_like(mel, SILENCE_LEVEL)
        return torch.where(gated[:, None, None] & quiet, silent, mel)


@dataclass
class _Run:
    """One stream of the training queue: where it stands in its clip, and what its slots hold."""

    target: Tensor  # (T, 16, h, w)
    source: Tensor
    rows: Tensor  # (T,)
    at: int  # frame of the newest slot
    eps: Tensor
    shift: float  # of the noise levels
    estimates: Tensor  # (L, 16, h, w): what each slot holds before noise


class QueueSampler(WindowSampler):
    """Streams run through whole clips as the live queue does, so that older slots hold the model's
    own estimates.

    Training on true content alone teaches the model to trust what x shows; live, x shows its own
    mistakes (exposure bias).
    Call `draw_queue`, train on the window, then `advance` with the model's x0.
    """

    SLOTS = 3

    def __init__(self, *args: Any, streams: int = 16, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._runs = [self._begin(staggered=True) for _ in range(streams)]

    def _begin(self, staggered: bool = False) -> _Run:
        rng = self._rng
        kind = self._kinds[int(rng.choice(len(self._kinds), p=self._weights))]
        tracks = self.tracks[kind]
        clip = self._usable[kind][int(rng.integers(len(self._usable[kind])))]
        count, length = tracks.latents.shape[1:3]
        a = 0 if kind == "grid" else int(rng.integers(count))
        others = [k for k in range(count) if k != a]
        b = a if rng.random() < self.config.same_mouth else others[int(rng.integers(len(others)))]
        first = int(rng.integers(0, max(1, length - 25)))
        target, source = (
            tracks.latents[clip, a, first:].float(),
            tracks.latents[clip, b, first:].float(),
        )
        row = self.sound.first[tracks.clips[clip][a]] + int(tracks.starts[clip, a]) + first
        at = int(rng.integers(0, 20)) if staggered else 0
        eps = torch.randn(target.shape[1:], generator=self._torch)
        still = source[at][None].expand(self.SLOTS, -1, -1, -1).clone()
        shift = float(rng.normal(0, 0.03))
        return _Run(target, source, row + torch.arange(len(target)), at, eps, shift, still)

    def draw_queue(self) -> Window:
        grid = torch.from_numpy(level_grid(self.SLOTS))
        back = torch.arange(self.SLOTS - 1, -1, -1)
        targets, sources, xs, levels, rows = [], [], [], [], []
        for run in self._runs:
            frames = (run.at - back).clamp(min=0)
            run.estimates[-1] = run.source[run.at]
            level = (grid + run.shift).clamp(0.05, 0.95)
            t = level[:, None, None, None]
            targets.append(run.target[frames])
            sources.append(run.source[frames])
            xs.append((1 - t) * run.estimates + t * run.eps)
            levels.append(level)
            rows.append(run.rows[frames])
        return self._dressed(
            torch.stack(targets),
            torch.stack(sources),
            torch.stack(xs),
            torch.stack(levels),
            torch.stack(rows).flatten(),
        )

    def advance(self, x0: Tensor) -> None:
        """Take the estimates (streams, L, 16, h, w): each stream moves on one frame, a finished
        clip gives way to another.
        """
        for i, run in enumerate(self._runs):
            run.estimates = torch.cat([x0[i, 1:], x0[i, -1:]]).clone()
            run.at += 1
            if run.at >= len(run.target):
                self._runs[i] = self._begin()
