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
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from engine import EngineError, LipSyncEngine
from engine.engine import WEIGHTS
from engine.media import MediaError
from engine.runtime.measured import Figures, record
from engine.runtime.protocol import Manifest
from training.evaluation.clip import Clip, Group
from training.evaluation.expert import Expert, NoExpert
from training.evaluation.judging import Conditions, Court
from training.evaluation.labeller import Labeller, LabellingError, labelling_python
from training.evaluation.measure.ceiling import OpeningReader
from training.evaluation.measure.measured import Measurer
from training.evaluation.own_clips import FolderError, OwnClip, read_folder
from training.evaluation.own_voice import ShippedReader, heard
from training.evaluation.regressor import Regressor
from training.evaluation.report import Verdict, write_json, write_markdown
from training.evaluation.sets import SETS, Kind, folder
from training.evaluation.sheets import TrueMouths, write_sheets
from training.evaluation.stock import Plan, Stock
from training.landmarker import landmarker_bundle
from training.splits import data_dir
from training.spoken import NoSynthesiser

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
    except (LabellingError, FolderError, MediaError, OSError) as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return _refuse("interrupted", 130)


def evaluate(args: argparse.Namespace) -> int:
    """Writes the report anew after each set, so that a run cut short leaves what it has; nothing
    before the first is judged.
    """
    seconds = args.seconds or (QUICK_S if args.quick else 20.0)
    own = read_folder(args.clips, args.voice, seconds) if args.clips else ()
    with_data = _has_data(chosen_sets(args), own)
    bundle, python = landmarker_bundle(), labelling_python(args.labels_python)
    engine = LipSyncEngine.load(args.weights, args.runtime, slots=args.slots)
    conditions = Conditions(args.weights, args.slots, args.strength, engine.facts.runtime)
    own = tuple(replace(c, drive=c.drive and heard(engine, c.drive)) for c in own)
    plan = Plan(seconds, args.quick, own, args.drift_minutes)
    told = _conditions(engine, args, conditions, seconds)
    started, verdicts = time.monotonic(), []
    with ExitStack() as closing:
        labeller = closing.enter_context(Labeller(python, bundle, args.jobs))
        stock = Stock(args.cache, labeller, args.labels)
        reader = OpeningReader(engine, stock.trained) if with_data else ShippedReader(engine)
        measurer = Measurer(engine, args.strength, reader)
        court = Court(args.cache, conditions.key, measurer, labeller)
        closing.callback(court.close)
        expert = Expert(stock.validated) if with_data else NoExpert()
        regressor = Regressor.load()
        mouths = TrueMouths(stock.judged | stock.validated if with_data else {})
        for name in chosen_sets(args):
            try:
                clips = SETS[name].make(stock, plan)
            except NoSynthesiser as error:
                told[f"left out: {name}"] = str(error)
                print(f"left out: {name}: {error}", file=sys.stderr)
                continue
            if name == "clips":
                told |= folder.notes(clips)
                _tell_unseen(clips)
            if SETS[name].kind is Kind.SYNC:
                clips = [_heard(engine, clip) for clip in clips]
            verdict = Verdict.of(name, list(court.judge(clips)), expert, regressor)
            verdicts.append(verdict)
            args.output.mkdir(parents=True, exist_ok=True)
            write_sheets(args.output, name, verdict.judgements, mouths)
            write_json(args.output / "report.json", told, verdicts)
            write_markdown(args.output / "report.md", told, verdicts)
            _tell(verdict, time.monotonic() - started)
            if args.record and name == RECORDED:
                _record(args.weights, engine.facts.runtime, verdict)
    if not verdicts:
        return _refuse("nothing was judged", 2)
    print(args.output / "report.md")
    return 0


def _heard(engine: LipSyncEngine, clip: Clip) -> Clip:
    """A recording whose true mouth nobody saw is judged by what is heard."""
    unknown = np.isnan(clip.drive.opening).all()
    return replace(clip, drive=heard(engine, clip.drive)) if unknown else clip


def _has_data(names: list[str], own: tuple[OwnClip, ...]) -> bool:
    """Whether the data folder is there.

    Raises:
        FileNotFoundError: it is not, and one of the sets needs it.
        FolderError: it is not, and a clip has no voice.
    """
    try:
        data_dir()
    except FileNotFoundError:
        if names != ["clips"]:
            raise
        for clip in own:
            if clip.drive is None:
                raise FolderError(
                    f"{clip.path}: no voice for it: name one with --voice, lay"
                    f" {clip.path.stem}.wav beside it, or point OMNISYNC_DATA at the data folder"
                ) from None
        return False
    return True


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


def _tell_unseen(clips: list[Clip]) -> None:
    if names := folder.unseen(clips):
        print(
            f"omnisync evaluate: no face found in {', '.join(names)}; a file NAME.box beside a"
            " clip, with X,Y,W,H, says where it is",
            file=sys.stderr,
        )


def _tell(verdict: Verdict, seconds: float) -> None:
    names = (
        "r",
        "leak",
        "amplitude",
        "offset",
        "still",
        "closure",
        "shut",
        "sharpness",
        "seam",
        "lost",
    )
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
    parser.add_argument(
        "--clips",
        type=Path,
        metavar="FOLDER",
        help="judge the clips and pictures of a folder: NAME.box beside one says X,Y,W,H of its"
        " face, NAME.wav is its voice; folders in it name groups: " + ", ".join(Group),
    )
    parser.add_argument(
        "--voice", type=Path, help="any file with sound: what those without a NAME.wav are to say"
    )
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
    if args.voice and not args.clips:
        parser.error("--voice is for --clips")
    if bool(args.clips) != ("clips" in chosen_sets(args)):
        parser.error("--clips FOLDER and the set clips go together")
    if args.record and (unusual or RECORDED not in chosen_sets(args)):
        parser.error(f"--record is for the whole set {RECORDED} and no other settings")
    return args


if __name__ == "__main__":
    raise SystemExit(main())
