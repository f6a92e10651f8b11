"""`omnisync export`: checkpoints -> the weights folder."""

from export.weights import main

__all__ = ["main"]
