"""The guard against peeking: a test that may be looked at after every unit.

A p-value of a fixed-horizon test is good for one look. A loop's owner looks every morning, and
with enough looks noise alone will cross 0.05. The guard's p-value and interval hold at all looks
at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nightpane.stats.experiments.effects import Effect

__all__ = ["GUARD_FROM", "Guard", "guard"]

# The guard rests on the estimate being about normal, with a known variance, which a handful of
# units does not give: it is silent until both arms have this many.
GUARD_FROM = 30


@dataclass(frozen=True, slots=True)
class Guard:
    """An always-valid p-value and interval at ``1 - alpha``; ``agrees`` that there is an effect."""

    p_value: float
    interval: tuple[float, float]
    alpha: float

    @property
    def agrees(self) -> bool:
        """Whether no effect is ruled out, at this look and all others together."""
        return self.p_value <= self.alpha


def guard(found: Effect, *, minimum_effect: float, alpha: float) -> Guard | None:
    """Return the mixture sequential probability ratio test of no effect, None with too few units.

    The mixture is a normal around no effect with standard deviation ``minimum_effect``, which must
    be chosen before the first look: there the test is at its most powerful. Under no effect the
    likelihood ratio is a non-negative martingale, which ever exceeds 1 / alpha with probability at
    most alpha (Ville). Sources: Robbins 1970, "Statistical methods related to the law of the
    iterated logarithm"; Johari, Pekelis, Walsh 2015, "Always valid inference: bringing sequential
    analysis to A/B testing".
    """
    if found.n_smaller < GUARD_FROM or not found.variance > 0:
        return None
    v, mixture = found.variance, minimum_effect**2
    log_ratio = 0.5 * math.log(v / (v + mixture))
    log_ratio += found.value**2 * mixture / (2 * v * (v + mixture))
    half = math.sqrt(v * (v + mixture) / mixture * math.log((v + mixture) / (v * alpha**2)))
    return Guard(
        p_value=min(1.0, math.exp(min(0.0, -log_ratio))),
        interval=(found.value - half, found.value + half),
        alpha=alpha,
    )
