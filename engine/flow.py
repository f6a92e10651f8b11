"""Flow matching as the queue uses it: the path, the noise-level grid, progressive noise
initialisation, the DS-CFG weight.

One convention everywhere: level is the noise level, 1 = noise, 0 = data; x = (1 - level) x0 + level
eps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Latent = NDArray[np.float32]

TAU = 0.93  # entry level: how much noise covers the source's own mouth (OmniSync eq. 5)
# Of the oldest slot before it is finished. The lower, the more the cached latents outweigh what is
# heard, and the source's own mouth leaks; drawings follow only if more is kept.
LAST_LEVEL, DRAWN_LAST_LEVEL = 0.80, 0.70


def level_grid(slots: int, tau: float = TAU, last: float = LAST_LEVEL) -> NDArray[np.float32]:
    """Noise levels of a window, oldest slot first: rising evenly from `last` to `tau`.

    A window of one slot has only the entry level.
    """
    if slots < 1:
        raise ValueError(f"a window needs at least one slot, got {slots}")
    return (
        np.linspace(last, tau, slots).astype(np.float32)
        if slots > 1
        else np.array([tau], np.float32)
    )


def add_noise(x0: Latent, eps: Latent, level: float | NDArray[np.float32]) -> Latent:
    """The flow-matching path at `level`: (1 - level) x0 + level eps. With the source for x0 and
    level = tau it is the
    progressive noise initialisation."""
    return ((1 - level) * x0 + level * eps).astype(np.float32)


def guidance_weight(
    level: float | NDArray[np.float32],
    distance2: NDArray[np.float32],
    peak: float,
    floor: float,
    sigma: float,
    gamma: float = 1.5,
) -> NDArray[np.float32]:
    """DS-CFG (OmniSync eq. 7-9, single multiplication): peak * level^gamma * (rho + (1 - rho)
    exp(-d^2 / 2 sigma^2)).

    Args:
        level: one, or an array that broadcasts with `distance2`.
        distance2: squared distance to the mouth's centre, crop units.
        peak: weight at the mouth for level 1. floor: far from it. sigma: crop units.
    """
    rho = floor / peak
    gaussian = np.exp(-distance2 / (2 * sigma**2))
    return (peak * level**gamma * (rho + (1 - rho) * gaussian)).astype(np.float32)
