"""What a variant's units say together: counts and sums, enough for every figure of an experiment.

Nothing here sees a single unit: the sums are made by a query, so that a million rounds weigh as
much as ten. The unit (round, run, agent) is the caller's choice; n counts units, never events.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Kind", "Sample"]


class Kind(StrEnum):
    """How a variant's figure is made of its units."""

    MEAN = "mean"
    PROPORTION = "proportion"
    RATIO = "ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One variant: n units, the sum of their values and of the squares of these.

    For a proportion each value is 0 or 1. For a ratio, such as cost per kept round, the value is
    the numerator and ``denominator_sum``, ``denominator_sum_squares`` and ``product_sum`` are the
    sums of the units' denominators, of their squares, and of numerator times denominator.
    """

    kind: Kind
    n: int
    sum: float
    sum_squares: float
    denominator_sum: float = 0.0
    denominator_sum_squares: float = 0.0
    product_sum: float = 0.0

    @property
    def figure(self) -> float:
        """The mean, the proportion, or the ratio of the sums; NaN when nothing divides it."""
        below = self.denominator_sum if self.kind is Kind.RATIO else self.n
        return self.sum / below if below else math.nan

    @property
    def unit_variance(self) -> float:
        """The variance of one unit's part in the figure: divided by n it is the figure's own.

        Unbiased (n - 1) for means, p(1 - p) for proportions. For ratios the first-order Taylor
        expansion ("delta method") of numerator over denominator, which takes along that the two
        vary together. Source: Deng, Knoblich, Lu 2018, "Applying the Delta Method in Metric
        Analytics". NaN for fewer than two units.
        """
        if self.n < 2:
            return math.nan
        if self.kind is Kind.PROPORTION:
            return self.figure * (1 - self.figure)
        if self.kind is Kind.MEAN:
            return max(0.0, self._covariance(self.sum, self.sum, self.sum_squares))
        if not self.denominator_sum:
            return math.nan
        above = self._covariance(self.sum, self.sum, self.sum_squares)
        below = self._covariance(
            self.denominator_sum, self.denominator_sum, self.denominator_sum_squares
        )
        both = self._covariance(self.sum, self.denominator_sum, self.product_sum)
        ratio, per_unit = self.figure, self.denominator_sum / self.n
        return max(0.0, (above - 2 * ratio * both + ratio**2 * below) / per_unit**2)

    def __add__(self, other: Sample) -> Sample:
        """Return the two lots of units as one. Raises ValueError for different kinds."""
        if self.kind is not other.kind:
            raise ValueError(f"a {self.kind} and a {other.kind} cannot be added")
        return Sample(
            kind=self.kind,
            n=self.n + other.n,
            sum=self.sum + other.sum,
            sum_squares=self.sum_squares + other.sum_squares,
            denominator_sum=self.denominator_sum + other.denominator_sum,
            denominator_sum_squares=self.denominator_sum_squares + other.denominator_sum_squares,
            product_sum=self.product_sum + other.product_sum,
        )

    def _covariance(self, first: float, second: float, products: float) -> float:
        return (products - first * second / self.n) / (self.n - 1)
