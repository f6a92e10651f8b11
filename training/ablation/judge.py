"""One row's figures: the queue in torch over held-out streams, mouths decoded, openings read by the
probe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.model.audio_encoder import AudioEncoder
from engine.model.autoencoder import Decoder
from engine.model.dit import DenoiserConfig
from training.ablation.held_out import Driven, Pairs
from training.ablation.probe import Probe, decoded, seen_mouths
from training.ablation.torch_queue import Candidate, finished
from training.lip_pose import PoseBasis
from training.sound import heard_mask
from training.sync_figures import Judged, SyncFigures, pooled

WARM = 3  # first frames of a stream: the queue is still filling
Track = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """r, leak, amplitude and offset as `sync_figures` has them, over cut and re-spaced drives;
    errors and sharpness against exact targets.
    """

    r: float
    leak: float
    amplitude: float
    offset: float
    latent_error: float  # root mean square, over what may be edited
    pixel_error: float  # mean absolute, grey levels, in the mouth
    sharpness: float  # fine detail in the mouth over the target's, both decoded


@dataclass(frozen=True)
class Bench:
    """Streams and instruments that every row is judged by. gain: the deviation that the probe shows
    for one of the truth's.
    """

    driven: Driven
    pairs: Pairs
    decoder: Decoder
    audio: AudioEncoder
    probe: Probe
    gain: float

    def openings(self, z: Tensor) -> tuple[Track, Tensor]:
        """Latents (N, T, 16, h, w) -> openings (N, T) and fine detail (N T)."""
        mouths = seen_mouths(self.decoder, z.flatten(0, 1))
        return self.probe.read(mouths.small).reshape(z.shape[:2]), mouths.detail

    def sync(self, output: Track, source: Track) -> SyncFigures:
        """Output and source openings (N, T') from frame WARM on."""
        truth = self.driven.opening[:, WARM : WARM + output.shape[1]]
        tracks = zip(output, truth, source, strict=True)
        return pooled([Judged(o, t, s) for o, t, s in tracks])

    def figures(self, candidate: Candidate, seed: int) -> Figures:
        d, p = self.driven, self.pairs
        shown = finished(candidate, self.audio, d.source, d.mel, seed)[:, WARM:]
        output, _ = self.openings(shown)
        source, _ = self.openings(d.source[:, WARM : WARM + shown.shape[1]])
        sync = self.sync(output, source)
        estimate = finished(candidate, self.audio, p.source, p.mel, seed)[:, WARM:]
        errors = self.errors(estimate, candidate.model.config)
        # The probe's unit is the openings' own deviation.
        amplitude = sync.amplitude / self.gain
        return Figures(sync.r, sync.leak, amplitude, sync.offset, *errors)

    def errors(self, estimate: Tensor, config: DenoiserConfig) -> tuple[float, float, float]:
        """Of finished latents (N, T', 16, h, w) from frame WARM on: latent error, pixel error,
        sharpness.
        """
        target = self.pairs.target[:, WARM : WARM + estimate.shape[1]]
        top, bottom, left, right = config.edited
        off = (estimate - target)[..., top:bottom, left:right]
        flat = (estimate.flatten(0, 1), target.flatten(0, 1))
        pictures = zip(*(decoded(self.decoder, z) for z in flat), strict=True)
        pixel = float(torch.cat([(a - b).abs().mean((1, 2, 3)) for a, b in pictures]).mean())
        detail, wanted = (seen_mouths(self.decoder, z).detail.mean() for z in flat)
        return float(off.pow(2).mean().sqrt()), pixel, float(detail / wanted)

    def baselines(self, basis: PoseBasis, config: DenoiserConfig) -> dict[str, Figures]:
        """What stands beside every row: the source as it is, its loudness, what the audio encoder
        hears with 80 ms of look-ahead.
        """
        d = self.driven
        source, _ = self.openings(d.source[:, WARM:])
        nan = float("nan")

        def sync(track: Track) -> tuple[float, float, float, float]:
            told = self.sync(track[:, WARM:], source)
            return told.r, told.leak, nan, told.offset

        still = self.sync(source, source)
        errors = self.errors(self.pairs.source[:, WARM:], config)
        return {
            "source": Figures(still.r, still.leak, still.amplitude / self.gain, 0, *errors),
            "loudness": Figures(*sync(d.loudness), nan, nan, nan),
            "heard": Figures(*sync(self._heard(basis)), nan, nan, nan),
        }

    @torch.no_grad()
    def _heard(self, basis: PoseBasis) -> Track:
        heard = heard_mask(torch.full((self.driven.mel.shape[1],), 2))
        poses = [self.audio(mel.float(), heard)[1].numpy() for mel in self.driven.mel]
        return np.stack([basis.opening_of(pose).astype(np.float64) for pose in poses])
