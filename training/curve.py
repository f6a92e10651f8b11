"""A run's figures over its steps: kept beside the checkpoint as RUN.curve.json, drawn as
RUN.curve.png.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

WIDTH_IN, PANEL_IN = 7.0, 2.0


class Curve:
    """Goes on from what an earlier part of the same run left, up to step `start`."""

    def __init__(self, run: Path, start: int = 0) -> None:
        self._json, self._png = run.with_suffix(".curve.json"), run.with_suffix(".curve.png")
        self._points: dict[str, list[tuple[int, float]]] = {}
        if start and self._json.exists():
            with suppress(json.JSONDecodeError):  # pictures are not worth a run
                self._go_on(start)

    def _go_on(self, start: int) -> None:
        for name, points in json.loads(self._json.read_text()).items():
            self._points[name] = [(step, value) for step, value in points if step <= start]

    def add(self, step: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self._points.setdefault(name, []).append((step, float(value)))

    def save(self) -> None:
        """Write both files; nothing where there are no figures yet."""
        if not any(self._points.values()):
            return
        from matplotlib.figure import Figure

        part = self._json.with_suffix(".part")
        part.write_text(json.dumps(self._points) + "\n")
        part.rename(self._json)
        figure = Figure(figsize=(WIDTH_IN, PANEL_IN * len(self._points)), layout="constrained")
        panels = figure.subplots(len(self._points), 1, sharex=True, squeeze=False)[:, 0]
        for panel, (name, points) in zip(panels, self._points.items(), strict=True):
            panel.plot(*zip(*points, strict=True), marker="." if len(points) < 40 else "")
            panel.set_ylabel(name)
            panel.grid(alpha=0.3)
        panels[-1].set_xlabel("step")
        figure.savefig(self._png, dpi=100)
