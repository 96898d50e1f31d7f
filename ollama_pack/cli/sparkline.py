"""Draws a curve in one line of text."""

import itertools
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
CURVE_WIDTH = 40


def sparkline(values: Sequence[float], width: int = CURVE_WIDTH) -> str:
    """Return a line of at most `width` blocks, each as high as the mean of the values it stands for."""
    count = min(width, len(values))
    if not count:
        return ""
    edges = [index * len(values) // count for index in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(BARS[min(int((mean - low) / span * len(BARS)), len(BARS) - 1)] for mean in means)
