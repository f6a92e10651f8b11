"""What the network could predict instead of the edit: the whole clean latent, or the velocity. In
the table only.
"""

from __future__ import annotations

from torch import Tensor

from engine.model.dit import Denoiser


class WholeLatent(Denoiser):
    """Predicts x0 itself where it may edit."""

    def forward(
        self, x: Tensor, z: Tensor, level: Tensor, tokens: Tensor, strength: Tensor, mouth: Tensor
    ) -> Tensor:
        """As `Denoiser.forward`."""
        return self._replaced(z, super().forward(x, z, level, tokens, strength, mouth) - z)

    def _replaced(self, z: Tensor, latent: Tensor) -> Tensor:
        """`latent` where the network may edit, `z` elsewhere."""
        top, bottom, left, right = self.config.edited
        made = z.clone().to(latent.dtype)
        made[..., top:bottom, left:right] = latent[..., top:bottom, left:right]
        return made


class Velocity(WholeLatent):
    """Predicts v of x = x0 + level v, as plain flow matching does."""

    def forward(
        self, x: Tensor, z: Tensor, level: Tensor, tokens: Tensor, strength: Tensor, mouth: Tensor
    ) -> Tensor:
        """As `Denoiser.forward`."""
        velocity = Denoiser.forward(self, x, z, level, tokens, strength, mouth) - z
        return self._replaced(z, x - level[:, :, None, None, None] * velocity)
