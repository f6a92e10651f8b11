"""`omnisync export`: checkpoints -> the weights folder. `omnisync export tensorrt`: the weights ->
files and engines for TensorRT.
"""

from __future__ import annotations

import importlib
import sys

TENSORRT = "tensorrt"
AHEAD = "--ahead-of-time"


def main(argv: list[str] | None = None) -> int:
    """Runs one of the two; torch is imported only for the first."""
    args = argv or []
    if args[:1] == [TENSORRT]:
        return _run("export.tensorrt", args[1:], "aot" if AHEAD in args else "gpu")
    return _run("export.weights", args, "export")


def _run(module: str, args: list[str], extra: str) -> int:
    try:
        code: int = importlib.import_module(module).main(args)
    except ModuleNotFoundError as error:
        print(f"omnisync export: needs {error.name}: pip install -e '.[{extra}]'", file=sys.stderr)
        return 2
    return code
