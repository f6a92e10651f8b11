"""How well each executor and variant syncs lips, as `omnisync evaluate --record` measured it:
variants.json beside the graphs. Only what was measured is picked without being asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import WeightsError
from engine.runtime.protocol import REFERENCE, Manifest

FILE = "variants.json"
EXACT = f"onnxruntime:{REFERENCE}"  # what the others are compared with
LARGEST_LOSS_OF_R = 0.02
LARGEST_LOSS_OF_SHARPNESS = 0.03  # of the exact one's


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the evaluation's set `strangers`. r: with the true mouth. sharpness: fine detail in the
    mouth over the source's.
    """

    r: float
    sharpness: float


def measured(manifest: Manifest) -> dict[str, Figures]:
    """RUNTIME:VARIANT -> figures; none where they are of other weights.

    Raises:
        WeightsError: the file is damaged.
    """
    path = manifest.folder / FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["weights"] != manifest.digest:
            return {}
        return {name: Figures(**figures) for name, figures in stored["measured"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WeightsError(f"{path} is damaged: measure again or remove it") from None


def record(manifest: Manifest, name: str, figures: Figures) -> Path:
    """Put the figures of RUNTIME:VARIANT beside those of the others; returns the file.

    Raises:
        WeightsError: the file is damaged.
    """
    known = measured(manifest) | {name: figures}
    path = manifest.folder / FILE
    table = {"weights": manifest.digest, "measured": {k: asdict(known[k]) for k in sorted(known)}}
    path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return path


def shortfall(name: str, known: Mapping[str, Figures]) -> str:
    """Why RUNTIME:VARIANT may not be picked without being asked for; empty if it may."""
    exact, found = known.get(EXACT), known.get(name)
    if exact is None or found is None:
        return "lip sync not measured"
    if exact.r - found.r > LARGEST_LOSS_OF_R:
        return f"loses {exact.r - found.r:.3f} of r"
    if (lost := 1 - found.sharpness / exact.sharpness) > LARGEST_LOSS_OF_SHARPNESS:
        return f"loses {lost:.1%} of the sharpness"
    return ""
