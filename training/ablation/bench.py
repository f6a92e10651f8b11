"""Makes ready what all rows are judged by: held-out streams, decoder, audio encoder, and the probe,
fitted once and refused where it reads true mouths too badly.
"""

from __future__ import annotations

import argparse
from collections.abc import Container
from pathlib import Path

import numpy as np
import torch

from engine.model.autoencoder import Decoder
from training import checkpoint
from training.ablation import held_out, probe
from training.ablation.judge import Bench
from training.latents import Tracks
from training.networks import load_audio, load_autoencoder
from training.teacher import load_tracks
from training.window_config import FRAMES_USED

PROBE = "probe.pt"
PAIR_FRAMES = 30
UNSEEN = 12  # faces of each kind that tell how well the probe reads


class ProbeError(ValueError):
    """The probe cannot be trusted."""


def prepared(args: argparse.Namespace, kinds: Container[str]) -> Bench:
    """kinds: that rows train on; of those, tracks of `PAIR_FRAMES` or more are judged.

    Raises ProbeError where the probe's r on held-out true crops is below `args.least_r`."""
    sound = args.data / "sound.npz"
    torch.set_num_threads(args.workers)
    pixels = load_autoencoder(args.autoencoder, partial=True).eval().requires_grad_(False)
    decoder = pixels.decoder.to(memory_format=torch.channels_last)
    tracks = {
        kind: of
        for kind, of in load_tracks(args.data).items()
        if kind in kinds and FRAMES_USED[kind] >= PAIR_FRAMES
    }
    judged = {k: held_out.judged_part(t) for k, t in tracks.items()}
    if not (args.output / PROBE).exists():
        seen = {k: held_out.training_part(t) for k, t in tracks.items()}
        _fit_probe(args, decoder, seen, judged)
    stored = checkpoint.load(args.output / PROBE)
    r, gain = stored.facts["r"], stored.facts["gain"]
    if r < args.least_r:
        raise ProbeError(f"the probe reads openings at r {r:.3f} only, below {args.least_r}")
    print(f"the probe reads held-out true openings at r {r:.3f}", flush=True)
    reader = probe.Probe().eval()
    reader.load_state_dict(stored.weights)
    return Bench(
        held_out.driven(judged, sound, args.faces, round(25 * args.seconds), args.seed),
        held_out.pairs(judged, sound, 2 * args.faces, PAIR_FRAMES),
        *(decoder, load_audio(args.audio).eval().requires_grad_(False), reader, gain),
    )


def _fit_probe(
    args: argparse.Namespace, decoder: Decoder, seen: dict[str, Tracks], judged: dict[str, Tracks]
) -> None:
    """Writes the probe with its r and gain, pooled and by kind."""
    sound: Path = args.data / "sound.npz"
    print("fitting the probe", flush=True)
    latents, truths = held_out.true_tracks(seen, sound, args.probe_faces, every=3)
    openings = torch.from_numpy(np.concatenate(truths)).float()
    mouths = probe.seen_mouths(decoder, torch.cat(latents)).small
    reader = probe.fit(mouths, openings, args.seed, args.probe_steps)
    unseen, known = [], []
    for kind, tracks in judged.items():
        latents, truths = held_out.true_tracks({kind: tracks}, sound, UNSEEN, every=2)
        mouths = [probe.seen_mouths(decoder, part).small for part in latents]
        print(f"probe on {kind}: r {probe.trust(reader, mouths, truths)[0]:.3f}", flush=True)
        unseen += mouths
        known += truths
    r, gain = probe.trust(reader, unseen, known)
    checkpoint.save(args.output / PROBE, reader, args.probe_steps, r=r, gain=gain)
