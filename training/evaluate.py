"""Judges the model on every kind of face: `omnisync evaluate --output DIR` writes DIR/report.json,
DIR/report.md and contact sheets.

The engine runs as it does live; FaceLandmarker, in a Python of its own (`make labels`), reads the
mouths. What does not depend on the weights is kept in --cache. `--record` puts the figures of this
executor and variant beside the weights: only what was measured is picked at a start.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from engine import EngineError, LipSyncEngine
from engine.engine import WEIGHTS
from engine.runtime.measured import Figures, record
from engine.runtime.protocol import Manifest
from training.evaluation.expert import Expert
from training.evaluation.judging import Conditions, Court
from training.evaluation.labeller import Labeller, LabellingError, labelling_python
from training.evaluation.measure.ceiling import OpeningReader
from training.evaluation.measure.measured import Measurer
from training.evaluation.report import Verdict, write_json, write_markdown
from training.evaluation.sets import SETS
from training.evaluation.sets.folder import FolderError
from training.evaluation.sheets import TrueMouths, write_sheets
from training.evaluation.stock import Plan, Stock
from training.splits import data_dir
from training.spoken import NoSynthesiser

MODEL = "helpers/face_landmarker_v2_with_blendshapes.task"
QUICK_S = 8.0
RECORDED = "strangers"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; --help has the rest."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(argv: list[str] | None = None) -> int:
    """0 judged, 1 the engine does not start, 2 bad input, 130 interrupted."""
    args = _parse(sys.argv[1:] if argv is None else argv)
    try:
        return evaluate(args)
    except EngineError as error:
        return _refuse(str(error), 1)
    except (LabellingError, FolderError, OSError) as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return _refuse("interrupted", 130)


def evaluate(args: argparse.Namespace) -> int:
    """Writes the report anew after each set, so that a run cut short leaves what it has."""
    engine = LipSyncEngine.load(args.weights, args.runtime, slots=args.slots)
    conditions = Conditions(args.weights, args.slots, args.strength, engine.facts.runtime)
    python = labelling_python(args.labels_python)
    seconds = args.seconds or (QUICK_S if args.quick else 20.0)
    plan = Plan(seconds, args.quick, args.clips, args.drift_minutes)
    told = _conditions(engine, args, conditions, seconds)
    started, verdicts = time.monotonic(), []
    args.output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as closing:
        labeller = closing.enter_context(Labeller(python, data_dir() / MODEL, args.jobs))
        stock = Stock(args.cache, labeller, args.labels)
        measurer = Measurer(engine, args.strength, OpeningReader(engine, stock.trained))
        court = Court(args.cache, conditions.key, measurer, labeller)
        closing.callback(court.close)
        expert, mouths = Expert(stock.validated), TrueMouths(stock.judged)
        for name in chosen_sets(args):
            try:
                clips = SETS[name].make(stock, plan)
            except NoSynthesiser as error:
                told[f"left out: {name}"] = str(error)
                print(f"left out: {name}: {error}", file=sys.stderr)
                continue
            verdict = Verdict.of(name, list(court.judge(clips)), expert)
            verdicts.append(verdict)
            write_sheets(args.output, name, verdict.judgements, mouths)
            write_json(args.output / "report.json", told, verdicts)
            write_markdown(args.output / "report.md", told, verdicts)
            _tell(verdict, time.monotonic() - started)
            if args.record and name == RECORDED:
                _record(args.weights, engine.facts.runtime, verdict)
    print(args.output / "report.md")
    return 0


def _conditions(
    engine: LipSyncEngine, args: argparse.Namespace, conditions: Conditions, seconds: float
) -> dict[str, str | int | float]:
    return {
        "weights": str(args.weights or "as shipped"),
        "model": engine.facts.model,
        "runtime": engine.facts.runtime,
        "crop": f"{engine.facts.crop_px} px",
        "slots": args.slots,
        "strength": args.strength,
        "seconds a drive": seconds,
        "key": conditions.key,
    }


def _record(weights: Path | None, runtime: str, verdict: Verdict) -> None:
    manifest = Manifest.read(weights or WEIGHTS)
    figures = Figures(*(round(verdict.figures[name], 4) for name in ("r", "sharpness")))
    print(f"{runtime} recorded in {record(manifest, runtime, figures)}")


def chosen_sets(args: argparse.Namespace) -> list[str]:
    if args.sets:
        return list(args.sets)
    names = [n for n, s in SETS.items() if not s.asked_for and (s.quick or not args.quick)]
    return ["clips"] if args.clips else names


def _tell(verdict: Verdict, seconds: float) -> None:
    names = ("r", "leak", "amplitude", "offset", "still", "closure", "sharpness", "seam", "lost")
    told = " ".join(f"{n} {verdict.figures[n]:.3f}" for n in names if n in verdict.figures)
    mark = "pass" if verdict.passed else "fail"
    print(f"[{seconds:4.0f} s] {verdict.name:10s} {mark}  {told}", flush=True)


def _refuse(words: str, code: int = 2) -> int:
    print(f"omnisync evaluate: {words}", file=sys.stderr)
    return code


def _sets(text: str) -> list[str]:
    names = [n for n in text.split(",") if n]
    unknown = [n for n in names if n not in SETS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"no set '{', '.join(unknown)}': there are {', '.join(SETS)}"
        )
    return names


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="omnisync evaluate",
        description=__doc__,
        epilog="sets: " + "; ".join(f"{n}: {s.about}" for n, s in SETS.items()),
    )
    parser.add_argument("--weights", type=Path, help="folder with manifest.json (what ships)")
    parser.add_argument("--sets", type=_sets, metavar="A,B,C", help="all but drift and clips")
    parser.add_argument("--clips", type=Path, metavar="FOLDER", help="judge the clips of a folder")
    parser.add_argument("--output", type=Path, default=Path("runs/evaluation-report"))
    parser.add_argument("--cache", type=Path, default=Path("runs/evaluation"))
    parser.add_argument("--seconds", type=float, default=0.0, help="of each drive (20)")
    parser.add_argument("--slots", type=int, default=3)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument(
        "--runtime",
        default="onnxruntime",
        help="as onnxruntime:fp32; the weights' default on ONNX Runtime if not given",
    )
    parser.add_argument(
        "--record", action="store_true", help=f"keep the figures of --runtime on {RECORDED}"
    )
    parser.add_argument("--quick", action="store_true", help="fewer sets, fewer and shorter clips")
    parser.add_argument("--drift-minutes", type=float, default=30.0)
    parser.add_argument("--labels-python", type=Path, help="interpreter that has mediapipe")
    parser.add_argument(
        "--labels", type=Path, help="folder of grid_s1's labels, if `make labels` has made them"
    )
    parser.add_argument("--jobs", type=int, default=2, help="labelling processes")
    args = parser.parse_args(argv)
    unusual = args.quick or args.clips or args.seconds or (args.slots, args.strength) != (3, 1.0)
    if args.seconds < 0 or args.drift_minutes <= 0 or args.jobs < 1:
        parser.error("--seconds, --drift-minutes and --jobs are to be above zero")
    if args.record and (unusual or RECORDED not in chosen_sets(args)):
        parser.error(f"--record is for the whole set {RECORDED} and no other settings")
    return args


if __name__ == "__main__":
    raise SystemExit(main())
