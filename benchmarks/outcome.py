"""What a benchmark hands back, and how it is told: tables, targets, JSON, a plot."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .browser import chromium_version
from .processes import ROOT

PACKAGES = (
    "aiortc", "aiohttp", "av", "numpy", "onnxruntime", "openvino", "opencv-python-headless",
    "uvloop",
)  # fmt: skip
Cell = str | int | float | None
Draw = Callable[[Any], None]  # draws into a matplotlib Figure


@dataclass(frozen=True, slots=True)
class Table:
    """Figures in rows; floats are shown with one digit, two below one."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def text(self) -> str:
        cells = [list(self.columns), *([_show(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = [
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]
        return "\n".join([self.title, *lines])


def _show(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.1f}" if abs(cell) >= 1 or cell == 0 else f"{cell:.2f}"
    return str(cell)


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and what it must reach; `value` is None where it could not be measured."""

    name: str
    value: float | None
    limit: float
    unit: str
    at_least: bool = False

    @property
    def met(self) -> bool:
        if self.value is None:
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def text(self) -> str:
        relation = "at least" if self.at_least else "at most"
        value = "not measured" if self.value is None else f"{_show(self.value)} {self.unit}"
        verdict = "met   " if self.met else "MISSED"
        return f"{verdict}  {self.name}: {value} ({relation} {self.limit:g})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One benchmark's result. data: what goes into the JSON beside tables and targets."""

    name: str
    tables: list[Table]
    targets: list[Target]
    data: dict[str, Any]
    remarks: list[str] = field(default_factory=list)
    draw: Draw | None = None


def tell(outcome: Outcome) -> None:
    for table in outcome.tables:
        print(f"\n{table.text()}")
    print()
    for target in outcome.targets:
        print(target.text())
    for remark in outcome.remarks:
        print(f"note    {remark}")


def save(outcome: Outcome, folder: Path, machine: dict[str, Any], arguments: list[str]) -> Path:
    """Writes NAME.json into the folder."""
    content = {
        "benchmark": outcome.name,
        "command": " ".join(["omnisync", "bench", *arguments]),
        "machine": machine,
        "targets": [{**asdict(target), "met": target.met} for target in outcome.targets],
        "tables": [asdict(table) for table in outcome.tables],
        "remarks": outcome.remarks,
        **outcome.data,
    }
    path = folder / f"{outcome.name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def plot(outcome: Outcome, folder: Path) -> Path | None:
    """Draws NAME.png; None where there is nothing to draw or no matplotlib."""
    if outcome.draw is None:
        return None
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    outcome.draw(figure)
    path = folder / f"{outcome.name}.png"
    figure.savefig(path, dpi=120)
    return path


def machine_facts() -> dict[str, Any]:
    """Where and on what the figures were taken."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _proc_line("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory": _proc_line("/proc/meminfo", "MemTotal"),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "chromium": chromium_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": commit and commit + ("+" if _git("status", "--porcelain", "-uno") else ""),
        "interpreter": Path(sys.executable).name,
    }


def _proc_line(path: str, name: str) -> str | None:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), None)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
