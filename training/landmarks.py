"""Trains the landmark net and writes engine/weights/landmarks.onnx: `python -m training.landmarks`.

Needs the labels of `make labels` and pictures of `training.heads.stills`. Takes about 15 minutes of
one core. A run that was stopped goes on from its last checkpoint, its optimiser restarted with a
warm-up.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.face.patch import PATCH_PX
from engine.face.points import BRIDGE, COUNT, EYES, MOUTH
from engine.model.landmark_net import LandmarkNet
from export.graphs import FromPixels
from training import checkpoint
from training.curve import Curve
from training.landmark_data import PatchSampler, load_grid, load_heads, load_portraits
from training.loop import refuse
from training.networks import MisfitError, restore

WEIGHTS = Path(__file__).resolve().parent.parent / "engine" / "weights" / "landmarks.onnx"
BATCH = 64
PEAK_RATE = 2e-3
WARM_SHARE = 0.05
AVERAGE_DECAY = 0.998
CHECKPOINT_STEPS = 250
COARSE_SHARE = 0.75


def point_weights() -> Tensor:
    """(39,): the crop hangs on eyes and bridge; the outline of the jaw is vague."""
    weights = torch.full((COUNT,), 0.6)
    weights[EYES], weights[BRIDGE], weights[MOUTH] = 1.4, 1.4, 1.2
    return weights


def batch_of(sampler: PatchSampler) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Patches (B, 3, 96, 96) in -1..1, points (B, 39, 2), weights (B, 39), face (B,) 0/1."""
    drawn = [sampler.draw() for _ in range(BATCH)]
    patches = torch.from_numpy(np.stack([one.patch for one in drawn])).permute(0, 3, 1, 2)
    return (
        patches.float() / 127.5 - 1.0,
        torch.from_numpy(np.stack([one.points for one in drawn])),
        torch.from_numpy(np.stack([one.weight for one in drawn])),
        torch.tensor([float(one.is_face) for one in drawn]),
    )


def loss_of(
    net: LandmarkNet, batch: tuple[Tensor, Tensor, Tensor, Tensor], coarse: bool
) -> tuple[Tensor, float, float]:
    """The loss, the mean point error in patch sides, and the share of faces told apart.

    `coarse` runs the convolutions in bfloat16: twice as fast, good enough for the early steps.
    """
    patches, points, weights, face = batch
    patches = patches.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=coarse):
        features = net.features(patches)
    guess, logit = net.read(features.float())
    error = (guess - points).abs().sum(-1)  # (B, 39)
    weights = weights * point_weights()
    place = (error * weights).sum() / weights.sum().clamp(min=1)
    told = functional.binary_cross_entropy_with_logits(logit, face)
    right = ((logit > 0) == (face > 0.5)).float().mean()
    return 10 * place + 0.3 * told, float(place.detach()), float(right)


def rate_at(step: int, steps: int, first: int = 0) -> float:
    """Learning rate: a short warm-up from `first`, where the optimiser starts; all in all half a
    cosine down to nothing.
    """
    warm = min(1.0, (step - first + 1) / (WARM_SHARE * steps))
    return PEAK_RATE * warm * 0.5 * (1 + math.cos(math.pi * step / steps))


def train(
    net: LandmarkNet, sampler: PatchSampler, steps: int, run: Path, first: int = 0
) -> LandmarkNet:
    """The averaged net after `steps` batches, `first` of which it has seen; written to `run`."""
    net = net.to(memory_format=torch.channels_last)
    average = copy.deepcopy(net).eval().requires_grad_(False)
    optimiser = torch.optim.AdamW(net.parameters(), PEAK_RATE, weight_decay=1e-4)
    curve = Curve(run, first)
    began, errors, rights = time.monotonic(), [], []
    for step in range(first, steps):
        loss, error, right = loss_of(net, batch_of(sampler), step < COARSE_SHARE * steps)
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, steps, first)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        decay = min(AVERAGE_DECAY, (step + 1) / (step + 10))
        for slow, fast in zip(
            average.state_dict().values(), net.state_dict().values(), strict=True
        ):
            if slow.dtype.is_floating_point:
                slow.lerp_(fast, 1 - decay)
        errors.append(error)
        rights.append(right)
        if (step + 1) % CHECKPOINT_STEPS == 0 or step + 1 == steps:
            print(
                f"step {step + 1}: point error {np.mean(errors):.4f} of the patch, "
                f"faces told {np.mean(rights):.3f}, {time.monotonic() - began:.0f} s",
                flush=True,
            )
            curve.add(
                step + 1,
                {"point error": float(np.mean(errors)), "faces told": float(np.mean(rights))},
            )
            errors, rights = [], []
            checkpoint.save(run, average, step + 1)
            curve.save()
    return average


def export(net: LandmarkNet, path: Path) -> None:
    """Writes the graph: patch uint8 (B, 96, 96, 3) -> points (B, 39, 2), confidence (B,)."""
    batch = {0: "batch"}
    torch.onnx.export(
        FromPixels(net).eval(),
        (torch.zeros(1, PATCH_PX, PATCH_PX, 3, dtype=torch.uint8),),
        str(path),
        input_names=["patch"],
        output_names=["points", "confidence"],
        dynamic_axes={"patch": batch, "points": batch, "confidence": batch},
        opset_version=18,
        dynamo=False,
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument(
        "--heads", type=Path, nargs="+", required=True, help=".npz files of training.heads.stills"
    )
    parser.add_argument("--run", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    parser.add_argument("--export-only", action="store_true", help="of the checkpoint as it is")
    args = parser.parse_args(argv)
    run = args.run / "landmarks.pt"
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = LandmarkNet()
    try:
        first = restore(net, run).step if run.exists() or args.export_only else 0
    except (MisfitError, OSError) as error:
        refuse(parser, error)
    if args.export_only:
        export(net, args.output)
        return 0
    heads = [picture for path in args.heads for picture in load_heads(path)[0]]
    sources = [
        (0.42, load_portraits(args.labels)),
        (0.16, load_grid(args.labels)),
        (0.42, heads),
    ]
    print("pictures:", *(len(examples) for _, examples in sources), flush=True)
    export(train(net, PatchSampler(sources, first), args.steps, run, first), args.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
