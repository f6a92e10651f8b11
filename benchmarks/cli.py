"""`omnisync bench BENCHMARK`: measures, prints tables, writes JSON and a plot.

Nothing else may run on the machine while timing. Exit code 0 means that the figures were taken, not
that they are good: `met` and `MISSED` say that.
"""

import argparse
import os
import sys
from pathlib import Path

from engine import EngineError

from . import engine_speed, latency, network, peers, sessions, soak, sync
from .errors import BenchError
from .outcome import machine_facts, plot, save, tell

BENCHMARKS = {
    "latency": latency,
    "sync": sync,
    "soak": soak,
    "engine": engine_speed,
    "peers": peers,
    "sessions": sessions,
    "network": network,
}
BUSY_LOAD = 0.5


def main(argv: list[str]) -> int:
    """Runs one benchmark; 0 measured, 1 it could not be, 2 wrong arguments, 130 interrupted."""
    options = _parse(argv)
    try:
        _bench(options, argv)
    except (BenchError, EngineError, OSError) as error:
        print(f"omnisync bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("omnisync bench: interrupted", file=sys.stderr)
        return 130
    return 0


def _bench(options: argparse.Namespace, argv: list[str]) -> None:
    options.output.mkdir(parents=True, exist_ok=True)
    machine = machine_facts()
    if machine["load"] > BUSY_LOAD:
        print(f"note    the machine is busy (load {machine['load']}): times are upper bounds only")
    outcome = BENCHMARKS[options.benchmark].run(options)
    tell(outcome)
    written = [save(outcome, options.output, machine, argv), plot(outcome, options.output)]
    if outcome.draw is not None and written[1] is None:
        print("note    no plot: matplotlib is not installed (pip install matplotlib)")
    print("wrote  ", *(os.path.relpath(path) for path in written if path))


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="omnisync bench", description=__doc__)
    commands = parser.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    for name, module in BENCHMARKS.items():
        summary = (module.__doc__ or "").splitlines()[0]
        command = commands.add_parser(name, help=summary, description=module.__doc__)
        module.add_options(command)
        command.add_argument("--picture", type=Path, help="clip or still whose face is sent")
        command.add_argument("--voice", type=Path, help="file whose sound is sent")
        command.add_argument(
            "--output", type=Path, default=Path("build/bench"), help="folder for JSON, plot, logs"
        )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
