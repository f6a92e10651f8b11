"""One speaker's voice must not become the only one: mel windows varied in vocal tract, level,
channel, room and noise; and other sounds laid under them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.audio import FLOOR


def _warp_bands(mel: Tensor, factor: Tensor) -> Tensor:
    """Stretch the mel axis of (N, 80, M) by factor (N,): a longer or shorter vocal tract (VTLN in
    the mel domain).
    """
    count = mel.shape[1]
    at = torch.arange(count, dtype=torch.float32)[None] * factor[:, None]
    at = at.clamp(0, count - 1.001)
    low = at.long()
    part = (at - low)[..., None]
    index = low[..., None].expand(-1, -1, mel.shape[2])
    return (
        mel.gather(1, index) * (1 - part) + mel.gather(1, (index + 1).clamp(max=count - 1)) * part
    )


def _power(mel: Tensor) -> Tensor:
    return (10.0 ** (2 * mel - 2) - FLOOR).clamp(min=0)


def _log(power: Tensor) -> Tensor:
    return (torch.log10(power + FLOOR) + 2.0) / 2.0


def overlaid(mel: Tensor, other: Tensor, ratio_db: Tensor) -> Tensor:
    """Windows (N, 80, M) with others under them, `ratio_db` (N,) quieter than their loudest
    columns; where a window is silent, than the batch's usual one. Powers add.
    """
    voice, below = _power(mel), _power(other)
    loudest = voice.sum(1).amax(1)
    loudest = loudest.clamp(min=float(loudest.median()))
    scale = loudest * 10 ** (-ratio_db / 10) / (below.sum(1).amax(1) + FLOOR)
    return _log(voice + scale[:, None, None] * below)


def vary(mel: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Log-mel windows (N, 80, M) -> the same sentences as other voices, rooms and microphones would
    give them.
    """
    n, bands, columns = mel.shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    mel = _warp_bands(mel, torch.exp(0.12 * normal(n)))
    power = _power(mel)
    # Microphone and room: a smooth filter, a level, a tail that decays over 50 to 200 ms.
    knots = F.interpolate(normal(n, 1, 6), size=bands, mode="linear", align_corners=True)[:, 0]
    tilt = normal(n, 1) * torch.linspace(-1, 1, bands)
    gain_db = 5.0 * normal(n, 1) + 2.5 * knots + 4.0 * tilt
    power = power * 10.0 ** (gain_db / 10)[..., None]
    wet = (uniform(n, 1, 1) < 0.3) * uniform(n, 1, 1) * 0.6
    decay = torch.exp(-1.0 / (3 + 12 * uniform(n, 1, 1)))
    steps = torch.arange(12, dtype=torch.float32)
    kernel = decay**steps  # (N, 1, 12)
    tail = F.conv1d(
        F.pad(power.reshape(1, n * bands, columns), (12, 0)),
        kernel.flip(-1).repeat_interleave(bands, 0),
        groups=n * bands,
    )[..., :columns]
    power = power + wet * 0.15 * tail.reshape(n, bands, columns)
    # Steady coloured noise.
    noisy = (uniform(n, 1) < 0.5).float()
    level = 10.0 ** (-4.0 + 1.3 * uniform(n, 1) * 1.5)
    colour = 10.0 ** (0.5 * F.interpolate(normal(n, 1, 5), size=bands, mode="linear")[:, 0])
    grain = 0.4 + 1.2 * uniform(n, bands, columns)
    power = power + noisy[..., None] * level[..., None] * colour[..., None] * grain
    return _log(power)
