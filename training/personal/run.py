"""The command from clip to folder: read, judge, train, judge again, write."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from engine import LipSyncEngine, Person
from engine.engine import WEIGHTS
from engine.personal import PersonalDenoisers
from engine.runtime.onnxruntime import OnnxRuntime
from engine.runtime.protocol import Manifest
from export.personal import add_facts, new_folder, publish, write_person
from export.read_back import read_denoiser
from training.personal.clip import PersonClip, is_theirs, read_clip, without_sound
from training.personal.fine_tune import Tuning, fine_tune
from training.personal.judge import Figures, Judge, is_better, seconds, table
from training.personal.windows import Material

SHOWN = 10  # moments on a contact sheet


def personalize(args: argparse.Namespace) -> int:
    """Run the parsed command line of `training.personalize`; 0 done, 1 not better.

    Raises:
        MediaError: the clip cannot be used.
        EngineError: the weights cannot be used.
    """
    began = time.process_time()
    torch.set_num_threads(args.threads)
    manifest = Manifest.read(args.weights or WEIGHTS)
    runtime = OnnxRuntime(manifest, threads=args.threads)
    engine = LipSyncEngine(manifest, runtime)
    model = read_denoiser(manifest)
    clip = read_clip(args.clip, engine, args.face_box)
    _tell(_what_was_heard(clip))
    if not is_theirs(clip.sound):
        clip = without_sound(clip)
    target = args.output / args.name
    with new_folder(target) as draft:  # before the work: it may not be there to write in
        judge = Judge(clip, engine, model.conditioner)
        before, shown_before = judge.judge(None)
        tuning = Tuning(
            minutes=args.minutes, steps=args.steps, rank=args.rank, looks=args.looks, seed=args.seed
        )
        material = Material(clip, engine, tuning.looks, np.random.default_rng(args.seed))
        _tell(f"{len(material.frame)} frames to learn from, {len(clip.views)} to judge by")
        adapter = fine_tune(model, material, tuning, _tell).merged()
        write_person(draft, args.name, manifest, model, adapter, args.fp32)
        own = PersonalDenoisers(manifest, runtime).get(Person.read(draft))
        after, shown_after = judge.judge(own)
        minutes = (time.process_time() - began) / 60
        print(table(before, after, judge.still, clip.sound is None, seconds(clip)))
        print(f"{minutes:.1f} CPU minutes in all")
        shown = [judge.sources, shown_before, shown_after, judge.views]
        if args.sheet and not write_sheet(args.sheet, shown):
            print(f"omnisync personalize: {args.sheet} cannot be written", file=sys.stderr)
        if not is_better(before, after) and not args.keep:
            print(
                "omnisync personalize: not better than the shipped weights on the part that was"
                " held out; nothing is written (--keep writes it)",
                file=sys.stderr,
            )
            return 1
        add_facts(draft, _facts(clip, before, after, judge.still, minutes))
        publish(draft, target)
    print(f"{target}: omnisync dub --person {target}, or omnisync serve --persons {args.output}")
    return 0


def _what_was_heard(clip: PersonClip) -> str:
    if clip.sound is None:
        return "no sound: learning from the poses that are seen"
    told = f"heard and seen mouth openings agree with r {clip.sound.r:.2f}"
    if not is_theirs(clip.sound):
        return f"{told}: not this person's own voice, learning from the poses that are seen"
    return f"{told}, sound {40 * clip.sound.lag} ms behind the picture"


def _facts(
    clip: PersonClip, before: Figures, after: Figures, still: float, minutes: float
) -> dict[str, object]:
    return {
        "led_by": "seen poses" if clip.sound is None else "sound",
        "frames": {"trained": clip.trained.stop, "held_out": len(clip.views)},
        "cpu_minutes": round(minutes, 1),
        "untouched_error": round(still, 3),
        "before": asdict(before),
        "after": asdict(after),
    }


def write_sheet(path: Path, rows: list[NDArray[np.uint8]]) -> bool:
    """A picture of the same moments of several tracks, one below the other; views are cut to the
    face's lower half. False if it cannot be written.
    """
    at = np.linspace(0, len(rows[0]) - 1, SHOWN + 2)[1:-1].astype(int)
    cells = [np.concatenate(list(row[at, 130:320, 85:267]), 1) for row in rows]
    return bool(cv2.imwrite(str(path), np.ascontiguousarray(np.concatenate(cells)[..., ::-1])))


def _tell(line: str) -> None:
    print(line, flush=True)
