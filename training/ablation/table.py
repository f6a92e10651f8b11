"""The ablation table as Markdown, as JSON and as a picture."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.ablation.judge import Figures
from training.ablation.rows import ROWS

COLUMNS = {
    "r": "r",
    "leak": "leak",
    "amplitude": "amplitude",
    "offset": "offset",
    "latent_error": "latent error",
    "pixel_error": "pixel error",
    "sharpness": "sharpness",
}
SHOWN = ("r", "leak", "amplitude", "pixel_error", "sharpness")  # in the picture
BESIDE = {
    "source": "beside: the source as it is",
    "loudness": "beside: a flap that follows loudness",
    "heard": "beside: what the audio encoder hears",
}


def _cell(key: str, value: float) -> str:
    """Offsets are whole frames."""
    return "-" if math.isnan(value) else f"{value:.{0 if key == 'offset' else 3}f}"


def _line(name: str, meaning: str, figures: Figures, steps: str) -> str:
    cells = [_cell(key, getattr(figures, key)) for key in COLUMNS]
    return f"| {' | '.join([name, meaning, *cells, steps])} |"


def write(
    folder: Path,
    settings: dict[str, Any],
    rows: dict[str, tuple[Figures, int]],
    beside: dict[str, Figures],
) -> None:
    """ablation.md, .json and .png. rows: figures, and the steps that made the weights."""
    told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings.items())
    lines = [
        f"One budget, one start, one judge: {told}.",
        "",
        f"| {' | '.join(['row', 'what differs', *COLUMNS.values(), 'steps'])} |",
        f"|{' --- |' * (len(COLUMNS) + 3)}",
        *(_line(name, ROWS[name].meaning, f, str(steps)) for name, (f, steps) in rows.items()),
        *(_line(name, BESIDE[name], f, "-") for name, f in beside.items()),
    ]
    (folder / "ablation.md").write_text("\n".join(lines) + "\n")
    content = {
        "settings": settings,
        "rows": {
            name: {"meaning": ROWS[name].meaning, "steps": steps, **asdict(f)}
            for name, (f, steps) in rows.items()
        },
        "beside": {name: asdict(f) for name, f in beside.items()},
    }
    (folder / "ablation.json").write_text(json.dumps(content, indent=1) + "\n")
    _draw(folder / "ablation.png", {name: f for name, (f, _) in rows.items()})


def _draw(path: Path, rows: dict[str, Figures]) -> None:
    from matplotlib.figure import Figure

    size = (2.6 * len(SHOWN) + 1.5, 0.3 * len(rows) + 1.2)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(SHOWN), sharey=True, squeeze=False)[0]
    names = list(rows)
    for panel, key in zip(panels, SHOWN, strict=True):
        values = [getattr(f, key) for f in rows.values()]
        colours = ["tab:orange" if name == "full" else "tab:blue" for name in names]
        panel.barh(names, values, color=colours)
        if "full" in rows:
            panel.axvline(getattr(rows["full"], key), color="tab:orange", linewidth=0.8)
        panel.set_title(COLUMNS[key])
        panel.grid(axis="x", alpha=0.3)
    panels[0].invert_yaxis()
    figure.savefig(path, dpi=110)
