"""`omnisync doctor`: what works on this machine, and why not where it does not."""

import argparse
import asyncio
import platform
import socket
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import aioice.ice
import av

from .app import PAGE
from .capacity import measure_capacity, usable_cores

TICK_BUDGET_MS = 40.0
PACKAGES = ("aiortc", "aiohttp", "av", "onnxruntime", "opencv-python-headless", "numpy")

Finding = tuple[bool, str]


def main(argv: list[str]) -> int:
    """Prints one line a check. Exit code 0 if the server can serve, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="omnisync doctor", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="port that the server would use")
    port = parser.parse_args(argv).port
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
    except EngineError as error:
        return False, str(error)
    facts = engine.facts
    words = (
        f"{facts.model} on {facts.runtime}, {facts.crop_px} px, "
        f"look-ahead {facts.look_ahead_ms} ms, tick {capacity.tick_ms:.1f} ms "
        f"of {TICK_BUDGET_MS:.0f}, {capacity.seats} at a time"
    )
    return capacity.tick_ms < TICK_BUDGET_MS, words


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
