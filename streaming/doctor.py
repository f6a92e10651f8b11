"""`omnisync doctor`: what works on this machine, and why not where it does not."""

import argparse
import asyncio
import platform
import socket
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

import aioice.ice
import av

from .app import PAGE
from .capacity import measure_capacity, usable_cores

TICK_BUDGET_MS = 40.0
TICKS = 40
PACKAGES = ("aiortc", "aiohttp", "av", "onnxruntime", "opencv-python-headless", "numpy")

Finding = tuple[bool, str]


def main(argv: list[str]) -> int:
    """Prints one line a check. Exit code 0 if the server can serve, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="omnisync doctor", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="port that the server would use")
    port = parser.parse_args(argv).port
    if not 0 <= port < 65536:
        parser.exit(2, f"{parser.prog}: --port {port} is not 0 to 65535\n")
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("python", _python),
        ("packages", _packages),
        ("codecs", _codecs),
        ("event loop", _event_loop),
        ("network", _network),
        (f"port {port}", lambda: _port(port)),
        ("page", _page),
        ("engine", _engine),
    ]
    healthy = True
    for name, check in checks:
        good, words = check()
        healthy &= good
        print(f"{'ok  ' if good else 'FAIL'}  {name:<11} {words}", flush=True)
    return 0 if healthy else 1


def _python() -> Finding:
    words = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return sys.version_info >= (3, 11), f"{words}, {usable_cores()} cores"


def _packages() -> Finding:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            return False, f"{name} is not installed"
    return True, ", ".join(found)


def _codecs() -> Finding:
    missing = [n for n in ("libvpx", "libx264", "libopus") if n not in av.codecs_available]
    return not missing, f"missing in PyAV: {', '.join(missing)}" if missing else "VP8, H.264, Opus"


def _event_loop() -> Finding:
    try:
        return True, f"uvloop {version('uvloop')}"
    except PackageNotFoundError:
        return True, "asyncio (uvloop is not installed)"


def _network() -> Finding:
    addresses = aioice.ice.get_host_addresses(True, True)
    if not addresses:
        return True, "no address but loopback: calls from this machine only"
    return True, f"{len(addresses)} addresses for calls"


def _port(port: int) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return False, f"{error.strerror}: choose another with --port"
    return True, "free"


def _page() -> Finding:
    there = (PAGE / "index.html").is_file()
    return there, "web_client is here" if there else "web_client/index.html is missing"


def _engine() -> Finding:
    from engine import EngineError, LipSyncEngine

    try:
        engine = LipSyncEngine.load()
        capacity = asyncio.run(measure_capacity(engine))
        table = "\n".join(_runtimes(engine.facts.runtime))
    except EngineError as error:
        return False, str(error)
    facts = engine.facts
    words = (
        f"{facts.model} on {facts.runtime}, {facts.crop_px} px, "
        f"look-ahead {facts.look_ahead_ms} ms, tick {capacity.tick_ms:.1f} ms "
        f"of {TICK_BUDGET_MS:.0f}, {capacity.seats} at a time"
    )
    return capacity.tick_ms < TICK_BUDGET_MS, f"{words}\n\n{table}"


def _runtimes(chosen: str) -> Iterator[str]:
    """Each executor and variant: the tick's ms, or why it cannot run. A star: what a server takes;
    a remark: why it would not take this one by itself.
    """
    from engine import EngineError, LipSyncEngine
    from engine.engine import WEIGHTS
    from engine.runtime.choice import choices
    from engine.runtime.measured import measured, shortfall
    from engine.runtime.protocol import Manifest
    from engine.tick import STAGES, time_tick

    columns = ("tick p50", "p95", *STAGES)
    yield f"      {'ms':<18}{''.join(f'{name:>9}' for name in columns)}"
    manifest = Manifest.read(WEIGHTS)
    known = measured(manifest)
    for choice in choices(manifest):
        name = f"    {'*' if str(choice) == chosen else ' '} {choice!s:<18}"
        if choice.hindrance:
            yield f"{name} {choice.hindrance}"
            continue
        try:
            engine = LipSyncEngine.load(runtime=str(choice))
        except EngineError as error:
            yield f"{name} {error}"
            continue
        ticks = [time_tick(engine) for _ in range(TICKS)]
        whole = sorted(sum(tick.values()) for tick in ticks)
        times = [whole[TICKS // 2], whole[TICKS * 95 // 100]]
        times += [sorted(tick[stage] for tick in ticks)[TICKS // 2] for stage in STAGES]
        short = "" if str(choice) == chosen else shortfall(str(choice), known)
        remark = f"  only if asked for: {short}" if short else ""
        yield f"{name}{''.join(f'{ms:9.1f}' for ms in times)}{remark}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
