"""How pixels really moved between two mouth tracks over one head: dense optical flow, and where it
cannot explain the target. What the motion net learns to read off the latents.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Field = NDArray[np.float32]
FIELD = 64  # side of tiny's field
SMOOTH_PX = 2.5  # of the flow: skin moves as a whole
UNEXPLAINED = (5.0, 16.0)  # grey levels above a clip's noise: below all is kept, above nothing


def _flow_method() -> cv2.DISOpticalFlow:
    """Dense inverse search (Kroeger et al. 2016, arXiv 1603.03590) down to single pixels."""
    # Some releases of the stubs lack the function.
    method: cv2.DISOpticalFlow = cv2.DISOpticalFlow_create(  # type: ignore[attr-defined]
        cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    )
    method.setFinestScale(0)
    method.setVariationalRefinementIterations(5)
    return method


def _grey(picture: Rgb) -> Rgb:
    return cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 0.8)


def seen_motion(target: Rgb, source: Rgb, side: int = FIELD) -> tuple[Field, Field]:
    """Crops uint8 (S, S, 3) -> motion (2, side, side), crop units, from the target's pixels to
    where the source shows them, and kept (side, side), 0 where it does not.
    """
    size = target.shape[0]
    flow = _flow_method().calc(_grey(target), _grey(source), None)
    flow = cv2.GaussianBlur(flow, (0, 0), SMOOTH_PX)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    moved = cv2.remap(
        source,
        x + flow[..., 0],
        y + flow[..., 1],
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    error = cv2.absdiff(moved, target).astype(np.float32).mean(2)
    error = cv2.GaussianBlur(error, (0, 0), 1.2)
    low, high = UNEXPLAINED
    share = np.clip((error - 1.3 * np.median(error) - low) / (high - low), 0, 1)
    kept = cv2.resize(1 - share, (side, side), interpolation=cv2.INTER_AREA)
    motion = cv2.resize(flow / size, (side, side), interpolation=cv2.INTER_AREA)
    return motion.transpose(2, 0, 1).astype(np.float32), kept.astype(np.float32)
