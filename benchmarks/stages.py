"""The way of a frame through the server, stage by stage: table and waterfall."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from .calls import ServerFigures
from .figures import Spread
from .outcome import Cell, Table
from .scrape import Buckets, bucket_quantile

# In the order in which a frame meets them. The parts of a tick are shown beside it, not after it;
# `look-ahead` is the window's, and not measured: it follows from the slots.
BEFORE = ("video_decode", "wait", "queue", "tick")
TICK_PARTS = ("convert", "face", "encode", "audio", "denoise", "decode", "paste")
AFTER = ("hold", "video_encode")
LOOK_AHEAD = "look-ahead"
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
SLOT_MS = 40.0


def pooled_stages(counted: Sequence[ServerFigures]) -> dict[str, Buckets]:
    """Of several calls, in the order of the way; what is not on it stands at the end."""
    pooled: dict[str, Counter[float]] = {}
    for figures in counted:
        for stage, buckets in figures.stages.items():
            pooled.setdefault(stage, Counter()).update(buckets)
    way = [*BEFORE, *TICK_PARTS, *AFTER]
    known = [stage for stage in way if stage in pooled]
    return {s: dict(pooled[s]) for s in [*known, *sorted(set(pooled) - set(known))]}


def stage_ms(stages: dict[str, Buckets]) -> dict[str, dict[str, float]]:
    """stage -> p50, p95, p99 in ms; stages that nothing passed are left out."""
    found = {}
    for stage, buckets in stages.items():
        quantiles = {name: bucket_quantile(buckets, q) for name, q in QUANTILES.items()}
        if None not in quantiles.values():
            found[stage] = {name: 1000 * q for name, q in quantiles.items() if q is not None}
    return found


def stage_table(side: str, stages: dict[str, Buckets]) -> Table:
    rows: list[list[Cell]] = []
    for stage, quantiles in stage_ms(stages).items():
        count = int(max(stages[stage].values(), default=0))
        part = f"  {stage}" if stage in TICK_PARTS else stage
        rows.append([part, count, *quantiles.values()])
    title = f"Stages in the {side} (interpolated from its histograms)"
    return Table(title, ["stage", "count", *(f"{name} ms" for name in QUANTILES)], rows)


def draw_waterfall(axes: Any, stages: dict[str, Buckets], slots: int, age: Spread | None) -> None:
    """Each stage begins where the one before ends, by p50; thin lines reach to its p95."""
    found = stage_ms(stages)
    found[LOOK_AHEAD] = dict.fromkeys(QUANTILES, SLOT_MS * (slots - 1))
    way = [stage for stage in (*BEFORE, LOOK_AHEAD, *AFTER) if stage in found]
    at = 0.0
    rows: list[tuple[str, float, dict[str, float]]] = []
    for stage in way:
        rows.append((stage, at, found[stage]))
        if stage == "tick":
            inner = at
            for part in (part for part in TICK_PARTS if part in found):
                rows.append((f"  {part}", inner, found[part]))
                inner += found[part]["p50"]
        at += found[stage]["p50"]
    for n, (stage, begin, quantiles) in enumerate(rows):
        colour = "C1" if stage.startswith("  ") else "C0"
        axes.barh(n, quantiles["p50"], left=begin, color=colour)
        axes.plot([begin, begin + quantiles["p95"]], [n, n], color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [stage for stage, _, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel("ms")
    if age is not None:
        axes.axvline(age.p50, linestyle=":")
        axes.set_title(f"{slots} slots: stages by p50, to p95; dotted: the whole way, p50")
