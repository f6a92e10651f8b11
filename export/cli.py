"""`omnisync export`: checkpoints -> the weights folder. `omnisync export tensorrt`: the weights ->
files and engines for TensorRT.
"""

from __future__ import annotations

import importlib

TENSORRT = "tensorrt"


def main(argv: list[str] | None = None) -> int:
    """Runs one of the two; torch is imported only for the first."""
    args = argv or []
    if args[:1] == [TENSORRT]:
        return importlib.import_module("export.tensorrt").main(args[1:])
    return importlib.import_module("export.weights").main(args)
