"""The 52 blend shapes of a face, in FaceLandmarker's order, as MakeHuman's face units move them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from training.heads.assets import F32, add_target, base_mesh, makehuman

# FaceLandmarker's 52 blend shapes in its order; the first has no face unit.
BLENDSHAPES: tuple[str, ...] = (
    "_neutral",
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight"),
    *("eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight"),
    *("eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight"),
    *("eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight"),
    *("jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose"),
    *("mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel"),
    *("mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight"),
    *("mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight"),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *("mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight"),
    *("mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight"),
)
SHAPE_OF = {name: k for k, name in enumerate(BLENDSHAPES)}
Coefficients = dict[str, float] | NDArray[np.floating]


@lru_cache(1)
def face_units() -> F32:
    """Shifts (52, 19158, 3) of the base mesh in the order of BLENDSHAPES."""
    out = np.zeros((len(BLENDSHAPES), len(base_mesh().vertices), 3), np.float32)
    folder = makehuman() / "faceunits01" / "targets" / "faceunits"
    for k, name in enumerate(BLENDSHAPES[1:], 1):
        add_target(out[k], folder / f"{name}.target", 1.0)
    return out


def as_array(coefficients: Coefficients) -> F32:
    """Names or an array of 52 -> float32 (52,). Raises KeyError for a name that does not exist."""
    if not isinstance(coefficients, dict):
        return np.asarray(coefficients, np.float32)
    out = np.zeros(len(BLENDSHAPES), np.float32)
    for name, value in coefficients.items():
        out[SHAPE_OF[name]] = value
    return out
