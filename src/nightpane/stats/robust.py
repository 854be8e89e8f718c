"""Location and spread that a few wild scores cannot move."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

__all__ = ["mad", "median", "noise_scale"]

# Makes the MAD of a normal distribution equal its standard deviation.
_NORMAL_CONSISTENCY = 1.4826


def mad(values: Sequence[float]) -> float:
    """Return the median absolute deviation, scaled to a normal's standard deviation.

    Source: Rousseeuw and Croux 1993, "Alternatives to the median absolute deviation".
    Raises StatisticsError (a ValueError) when there are no values.
    """
    centre = median(values)
    return _NORMAL_CONSISTENCY * median(abs(value - centre) for value in values)


def noise_scale(discards: Sequence[float]) -> float | None:
    """Return the spread between successive discarded scores, None for fewer than three.

    The scaled median of the absolute successive differences, over the square root of two: a slow
    drift of the level hardly enters it. It holds the proposals' own differences beside the
    measurement's noise, so it bounds the noise from above. Source: the successive differences of
    von Neumann 1941, "Distribution of the ratio of the mean square successive difference to the
    variance", with a median in place of the mean.
    """
    if len(discards) < 3:
        return None
    steps = [abs(b - a) for a, b in pairwise(discards)]
    return _NORMAL_CONSISTENCY * median(steps) / math.sqrt(2)
