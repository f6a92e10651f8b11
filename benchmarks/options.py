"""Numbers on the command line, refused in one line where nothing could be measured with them."""

import argparse
import math


def above_zero(text: str) -> float:
    """Of seconds, minutes, rates."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return value


def from_zero(text: str) -> float:
    """Of seconds that may be left out."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is below zero")
    return value


def count(text: str) -> int:
    """Of what there must be one of at least."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below one")
    return value
