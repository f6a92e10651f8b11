"""Starts the server: settings -> engine -> application -> event loop. Also `omnisync COMMAND`."""

import asyncio
import importlib
import sys
from collections.abc import Callable, Coroutine
from typing import Any

# Imported only when asked for: serving must not pull in training, and `dub` no network.
COMMANDS = {
    "dub": "engine.dub",
    "doctor": "streaming.doctor",
    "bench": "benchmarks.cli",
    "export": "export.cli",
    "train": "training.cli",
    "evaluate": "training.evaluate",
    "personalize": "training.personalize",
}
# The engine's thread comes back from each native call to a lock that the event loop often holds. By
# default it would wait 5 ms for it, several times a tick.
SWITCH_S = 0.0005
USAGE = f"omnisync [serve|{'|'.join(COMMANDS)}] ...   (--help after a command tells more)"


def main(argv: list[str] | None = None) -> int:
    """Runs a command; without one, serves. Returns the exit code."""
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0].startswith("-"):
        return serve(args)
    command, *rest = args
    if command == "serve":
        return serve(rest)
    if command not in COMMANDS:
        return _refuse(f"unknown command '{command}'\n{USAGE}")
    try:
        run: Callable[[list[str]], int] = importlib.import_module(COMMANDS[command]).main
    except ModuleNotFoundError as error:
        return _refuse(f"'{command}' needs {error.name}: pip install -e '.[train]'")
    return run(rest)


def serve(args: list[str]) -> int:
    """Serves until it is told to stop."""
    from engine import EngineError, LipSyncEngine
    from streaming import logs
    from streaming.app import serve as serve_app
    from streaming.settings import WrongSettings, load_settings

    try:
        settings = load_settings(args)
    except WrongSettings as error:
        return _refuse(str(error))
    logs.set_up(settings.log_level, settings.log_format)
    try:
        engine = LipSyncEngine.load(
            weights=settings.weights,
            runtime=settings.runtime,
            threads=settings.threads,
            slots=settings.slots,
        )
        _run(serve_app(settings, engine))
    except EngineError as error:
        return _refuse(str(error), code=1)
    except OSError as error:
        return _refuse(f"cannot listen on {settings.host}:{settings.port}: {error}", code=1)
    return 0


def _run(job: Coroutine[Any, Any, None]) -> None:
    sys.setswitchinterval(SWITCH_S)
    try:
        import uvloop
    except ImportError:
        asyncio.run(job)
    else:
        uvloop.run(job)


def _refuse(words: str, code: int = 2) -> int:
    print(f"omnisync: {words}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
