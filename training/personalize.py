"""`omnisync personalize`: one clip of a person makes a denoiser of their own.

The last fifth of the clip is not trained on; "before" and "after" are measured on it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from engine import EngineError
from engine.media import MediaError
from engine.personal import NAME


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; --help has the rest."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 done, 1 not better than before (nothing is written) or the engine does not
    start, 2 bad input, 130 interrupted.
    """
    args = _parse(sys.argv[1:] if argv is None else argv)
    try:
        # Here, not above: --help needs no torch, and who lacks it is told what to do.
        from training.personal.run import personalize
    except ModuleNotFoundError as error:
        return _refuse(f"needs {error.name}: make setup-train", 2)
    try:
        if not args.clip.is_file():
            raise MediaError(f"{args.clip}: no such file")
        return personalize(args)
    except (MediaError, OSError) as error:
        return _refuse(str(error), 2)
    except EngineError as error:
        return _refuse(str(error), 1)
    except KeyboardInterrupt:
        return _refuse("interrupted", 130)


def _refuse(words: str, code: int) -> int:
    print(f"omnisync personalize: {words}", file=sys.stderr)
    return code


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(prog="omnisync personalize", description=__doc__)
    parser.add_argument(
        "--clip", type=Path, required=True, help="20 s to 3 min of one face, best with its sound"
    )
    parser.add_argument("--name", type=_name, required=True, help="a-z, 0-9 and -, at most 40")
    parser.add_argument("--output", type=Path, default=Path("persons"), help="folder of persons")
    parser.add_argument("--minutes", type=_minutes, default=12, help="of CPU time to train for")
    parser.add_argument("--keep", action="store_true", help="write it even if it is not better")
    parser.add_argument("--fp32", action="store_true", help="write the fp32 graph too (20 MB)")
    parser.add_argument(
        "--face-box", type=_box, metavar="X,Y,W,H", help="where the face is, in pixels"
    )
    parser.add_argument("--weights", type=Path, help="folder of graphs instead of the shipped one")
    parser.add_argument(
        "--sheet", type=_picture, help="write a picture of before and after here: .png or .jpg"
    )
    parser.add_argument("--rank", type=_whole(1), default=8, help="of the adapter")
    parser.add_argument(
        "--looks", type=_whole(1), default=4, help="cameras and lights to learn from"
    )
    parser.add_argument("--threads", type=_whole(1), default=1)
    parser.add_argument("--seed", type=_whole(0), default=0)
    parser.add_argument("--steps", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not 1 to 40 of a-z, 0-9 and -")
    return text


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not a time to train for")
    return value


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return value

    read.__name__ = "number"  # what argparse calls it
    return read


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in (".png", ".jpg"):
        raise argparse.ArgumentTypeError(f"{text} is to end in .png or .jpg")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path.parent} is no folder")
    return path


def _box(text: str) -> tuple[int, int, int, int]:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is not four whole numbers") from error
    return x, y, width, height


if __name__ == "__main__":
    sys.exit(main())
