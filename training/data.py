"""All training data with one command: each maker as what ships was made with (of drawn faces in
rounder numbers), one after another.
Those that are done are kept in OUTPUT/data.json: a run cut short goes on at the first that is not.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DONE = "data.json"


class Step(NamedTuple):
    name: str
    module: str
    options: list[str]


def steps(labels: Path, output: Path, share: float) -> Iterator[Step]:
    """In the order in which they need each other. share: of the faces and heads that are made."""

    def count(whole: int) -> str:
        return str(max(1, round(whole * share)))

    def talk(name: str, heads: int, *more: str) -> Step:
        target = str(output / name / "heads.npz")
        options = ["--labels", str(labels / "grid_s1"), "--output", target]
        return Step(name, "training.heads.talk", [*options, "--heads", count(heads), *more])

    folder, labelled = ["--output", str(output)], ["--labels", str(labels)]
    yield Step("grid", "training.grid", [*labelled, *folder])
    portraits = [*labelled, *folder, "--variants"]
    yield Step("portraits", "training.portraits", [*portraits, "0", count(2)])
    yield talk("heads", 400)
    heads = ["--heads", str(output / "heads"), *folder]
    yield Step("rendered", "training.rendered", heads)
    few = ("--first-seed", "1000", "--frames", "6", "--shard", "50")
    yield talk("moments-heads", 1150, *few)
    heads = ["--heads", str(output / "moments-heads"), *folder, "--moments"]
    yield Step("moments of heads", "training.rendered", heads)
    moments = [*portraits, "0", count(8), "--moments"]
    yield Step("moments of portraits", "training.portraits", moments)
    yield Step("drawn", "training.drawn", [*folder, "--faces", count(1500)])
    yield Step("sketches", "training.drawn", [*folder, "--sketches", "--faces", count(10000)])


def make(output: Path, todo: list[Step]) -> int:
    """Run what is not done yet; the exit code of the first that fails, else 0."""
    output.mkdir(parents=True, exist_ok=True)
    stamp = output / DONE
    done: dict[str, list[str]] = json.loads(stamp.read_text()) if stamp.exists() else {}
    for step in todo:
        if done.get(step.name) == step.options:
            print(f"{step.name}: done before", flush=True)
            continue
        print(f"{step.name}: {step.module} {' '.join(step.options)}", flush=True)
        begin = time.monotonic()
        code: int = importlib.import_module(step.module).main(step.options)
        if code:
            return code
        print(f"{step.name}: {time.monotonic() - begin:.0f} s", flush=True)
        done[step.name] = step.options
        part = stamp.with_suffix(".part")
        part.write_text(json.dumps(done, indent=1) + "\n")
        part.rename(stamp)
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True, help="what `make labels` has made")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--share", type=float, default=1.0, help="of heads and faces, for a trial")
    args = parser.parse_args(argv)
    if not 0 < args.share <= 1:
        parser.exit(2, f"{parser.prog}: --share {args.share:g} is not above 0 and at most 1\n")
    for part in ("grid_s1", "portraits"):
        if not (args.labels / part).is_dir():
            parser.exit(2, f"{parser.prog}: no {part} in {args.labels}: `make labels` makes it\n")
    return make(args.output, list(steps(args.labels, args.output, args.share)))


if __name__ == "__main__":
    raise SystemExit(main())
