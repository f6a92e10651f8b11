"""Servers as processes of their own, and what the system says about processes (Linux)."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from .errors import BenchError

ROOT = Path(__file__).parent.parent
START_LIMIT_S = 90.0
STOP_LIMIT_S = 10.0
SERVER = ("server.py", "--port", "0")
# One address makes many offers here.
SERVER_SETTINGS = {"OMNISYNC_OFFERS_PER_MINUTE": "600"}


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens."""

    url: str
    pid: int


@contextmanager
def product(log: Path, *flags: str) -> Iterator[Running]:
    """The real server on a free port, as `python server.py FLAGS` starts it; its log goes to a
    file.
    """
    with _serving((*SERVER, *flags), log) as running:
        yield running


@contextmanager
def echo(log: Path, *, picture_delay_ms: int = 0, sound_delay_ms: int = 0) -> Iterator[Running]:
    """The echo server on a free port."""
    delays = ("--picture-delay-ms", str(picture_delay_ms), "--sound-delay-ms", str(sound_delay_ms))
    with _serving(("-m", "benchmarks.echo_server", *delays), log) as running:
        yield running


@contextmanager
def _serving(arguments: tuple[str, ...], log: Path) -> Iterator[Running]:
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **SERVER_SETTINGS},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield Running(_address(process, log), process.pid)
        finally:
            _stop(process)


def _address(process: "subprocess.Popen[str]", log: Path) -> str:
    found: list[str] = []
    told = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if not found and (match := re.search(r"http://[\d.]+:\d+", line)):
                found.append(match.group())
                told.set()
        told.set()

    threading.Thread(target=read, name="server's words", daemon=True).start()
    told.wait(START_LIMIT_S)
    if not found:
        last = log.read_text().strip().splitlines()[-1:]
        raise BenchError(f"the server did not start: {' '.join(last) or f'see {log.name}'}")
    return found[0]


def _stop(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_LIMIT_S)


def ready(url: str) -> bool:
    """What /readyz says; a machine too busy to be ready can still be measured."""
    try:
        with urlopen(f"{url}/readyz", timeout=STOP_LIMIT_S):  # noqa: S310  http, ours
            return True
    except (URLError, TimeoutError):
        return False


@dataclass(frozen=True, slots=True)
class _Stat:
    name: str
    parent: int
    cpu_s: float


def _stat(pid: int) -> _Stat | None:
    """None for a process that is gone, and where there is no /proc."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    ticks = int(fields[11]) + int(fields[12])  # user and system
    return _Stat(name, int(fields[1]), ticks / os.sysconf("SC_CLK_TCK"))


def cpu_s(pid: int) -> float | None:
    """Processor seconds that a process has used so far."""
    stat = _stat(pid)
    return stat.cpu_s if stat else None


def browser_cpu_s() -> float | None:
    """The same for all browser processes below this one."""
    stats = {pid: stat for pid in _pids() if (stat := _stat(pid))}
    if os.getpid() not in stats:
        return None
    return sum(
        stat.cpu_s for pid, stat in stats.items() if "chrom" in stat.name and _is_ours(pid, stats)
    )


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _is_ours(pid: int, stats: dict[int, _Stat]) -> bool:
    while pid in stats and pid != os.getpid():
        pid = stats[pid].parent
    return pid == os.getpid()


def machine_busy_s() -> float | None:
    """Processor seconds that everything on this machine has used so far, over all cores."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, fields)
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int | None:
    """Resident memory; None where the process is gone or there is no /proc."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def threads(pid: int) -> int | None:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return None
