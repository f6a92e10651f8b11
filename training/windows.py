"""Training windows exactly as the live queue runs them: one noise level a slot, sound heard up to
now, the entry noised from the source.

A window holds L consecutive frames, oldest first. Three kinds of imperfection that the queue has
are drawn in: the source's mouth still in the entry slot, remains of it in the slots after, and
warm-up or flush windows in which slots repeat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.audio import SILENCE_LEVEL
from engine.flow import level_grid
from training.latents import Tracks
from training.sound import SoundTable, heard_mask
from training.voices import vary
from training.window_config import WindowConfig

SLOTS = 3  # of the queue


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

    def to(self, device: str) -> Window:
        return Window(**{name: tensor.to(device) for name, tensor in vars(self).items()})


@dataclass(frozen=True)
class Pair:
    """Two mouth tracks (T, 16, h, w) over the same head, and the target's first row of the sound
    table.
    """

    target: Tensor
    source: Tensor
    row: int


def another_moment(length: int, rng: np.random.Generator) -> int:
    """Frames to another moment of a clip of `length`, round its end."""
    least = min(8, length // 3)
    return int(rng.integers(least, length - least + 1))


class WindowSampler:
    """Draws batches from latents in memory."""

    def __init__(
        self, tracks: dict[str, Tracks], sound: SoundTable, config: WindowConfig, seed: int
    ) -> None:
        self.tracks, self.sound, self.config = tracks, sound, config
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)
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

    def pair(self) -> Pair:
        """Two tracks of a clip drawn by `config.share`."""
        rng, kind = self.rng, self._kinds[int(self.rng.choice(len(self._kinds), p=self._weights))]
        tracks = self.tracks[kind]
        clip = self._usable[kind][int(rng.integers(len(self._usable[kind])))]
        count = tracks.latents.shape[1]
        a = 0 if kind == "grid" else int(rng.integers(count))
        others = [k for k in range(count) if k != a]
        b = a if rng.random() < self.config.same_mouth else others[int(rng.integers(len(others)))]
        row = self.sound.first[tracks.clips[clip][a]] + int(tracks.starts[clip, a])
        return Pair(tracks.latents[clip, a], tracks.latents[clip, b], row)

    def _one(self, slots: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Target, source and another moment of the target's track, latents (L, 16, h, w) each, and
        row numbers (L,) of the sound table.
        """
        rng, pair = self.rng, self.pair()
        length = len(pair.target)
        frames = torch.arange(slots) + int(rng.integers(0, length - slots + 1))
        if rng.random() < self.config.edge_share:
            repeat = int(rng.integers(1, slots)) if slots > 1 else 0
            middle = frames[repeat] if rng.random() < 0.5 else frames[slots - 1 - repeat]
            frames = (
                frames.clamp(min=int(middle))
                if rng.random() < 0.5
                else frames.clamp(max=int(middle))
            )
        elsewhere = (frames + another_moment(length, rng)) % length
        return pair.target[frames], pair.source[frames], pair.target[elsewhere], pair.row + frames

    def _paired(self, source: Tensor, elsewhere: Tensor, level: Tensor) -> Tensor:
        """Timestep-dependent pairs (eq. 3): below the threshold a slot's source may be another
        moment of the clip, as it was.
        """
        c = self.config
        chosen = level < c.pair_threshold
        chosen &= torch.rand(level.shape, generator=self.generator) < c.arbitrary_share
        return torch.where(chosen[:, :, None, None, None], elsewhere, source)

    def _levels(self, batch: int, slots: int) -> Tensor:
        c = self.config
        grid = torch.from_numpy(level_grid(slots, c.tau, c.last)).expand(batch, slots)
        level = grid + c.level_jitter * torch.randn(batch, slots, generator=self.generator)
        free = torch.rand(batch, 1, generator=self.generator) < c.free_levels
        drawn = torch.rand(batch, slots, generator=self.generator).sort(1).values
        if slots == 1:
            # One frame stands for any slot: its age is told by its level.
            one = torch.from_numpy(level_grid(SLOTS, c.tau, c.last))
            weights = torch.tensor(c.single_levels)
            picked = torch.multinomial(weights, batch, True, generator=self.generator)[:, None]
            level = one[picked] + c.level_jitter * torch.randn(batch, 1, generator=self.generator)
        return torch.where(free, drawn, level).clamp(0.05, max(0.99, c.tau))

    def draw(self, batch: int) -> Window:
        c, g = self.config, self.generator
        slots = int(self.rng.choice([s for s, _ in c.slots], p=[p for _, p in c.slots]))
        batch = max(1, batch * SLOTS // slots)  # the same number of frames
        parts = [self._one(slots) for _ in range(batch)]
        target = torch.stack([p[0] for p in parts]).float()
        level = self._levels(batch, slots)
        source, elsewhere = (torch.stack([p[k] for p in parts]).float() for k in (1, 2))
        source = self._paired(source, elsewhere, level)
        rows = torch.stack([p[3] for p in parts]).flatten()
        eps = torch.randn(batch, 1, *target.shape[2:], generator=g).expand_as(target)
        newest = level > c.tau - 0.05 if slots == 1 else torch.arange(slots) == slots - 1
        entry = newest & (torch.rand(level.shape, generator=g) < c.entry_share)
        # Later slots keep what an imperfect earlier estimate leaves of the source's mouth.
        spoilt = torch.rand(level.shape, generator=g) < c.imperfect
        rest = spoilt * torch.rand(level.shape, generator=g)
        mix = torch.where(entry, torch.ones_like(level), rest)[:, :, None, None, None]
        t = level[:, :, None, None, None]
        x = (1 - t) * ((1 - mix) * target + mix * source) + t * eps
        return self.dressed(target, source, x, level, rows)

    def dressed(
        self, target: Tensor, source: Tensor, x: Tensor, level: Tensor, rows: Tensor
    ) -> Window:
        """Adds the sound of each slot: another voice, the gate, what its age has heard, and what is
        dropped.
        """
        c, g = self.config, self.generator
        batch, slots = level.shape
        mel = self.sound.mel[rows].float()
        varied = torch.rand(batch, generator=g) < 0.7
        mel = torch.where(
            varied.repeat_interleave(slots)[:, None, None], self._one_voice(mel, slots), mel
        )
        mel = self._gate(mel, slots)
        age = torch.arange(slots - 1, -1, -1).repeat(batch)
        if slots == 1:
            age = torch.randint(0, SLOTS, (batch,), generator=g)
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
        side = vary(side.reshape(n // slots, bands, slots * columns), self.generator)
        side = side.reshape(n // slots, bands, slots, columns).permute(0, 2, 1, 3)
        return side.reshape(n, bands, columns)

    def _gate(self, mel: Tensor, slots: int) -> Tensor:
        """A voice gate as live has it: in a third of the windows, quiet columns become digital
        silence.
        """
        gated = (torch.rand(len(mel) // slots, generator=self.generator) < 0.33).repeat_interleave(
            slots
        )
        loud = mel.mean(1, keepdim=True)
        threshold = loud.amin(2, keepdim=True) + 0.25 * (
            loud.amax(2, keepdim=True) - loud.amin(2, keepdim=True)
        )
        quiet = (loud < threshold) & (loud.amax(2, keepdim=True) - loud.amin(2, keepdim=True) > 0.4)
        silent = torch.full_like(mel, SILENCE_LEVEL)
        return torch.where(gated[:, None, None] & quiet, silent, mel)
