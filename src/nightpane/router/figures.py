"""The statistics behind grades and routes: pure, from sums alone, each with method and source."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from statistics import NormalDist

from nightpane.stats import Interval

__all__ = ["Sums", "log_ratio", "mean_difference", "quality", "ratio", "student"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Counts and power sums of calls, which add up over days, users and models.

    q is the quality, c the cost in USD, t the natural logarithm of the latency in ms. ``both`` and
    what begins with b are of the calls whose quality and cost are known.
    """

    calls: int = 0
    errors: int = 0
    graded: int = 0
    q: float = 0.0
    qq: float = 0.0
    priced: int = 0
    c: float = 0.0
    cc: float = 0.0
    both: int = 0
    bq: float = 0.0
    bqq: float = 0.0
    bc: float = 0.0
    bcc: float = 0.0
    bqc: float = 0.0
    timed: int = 0
    t: float = 0.0
    tt: float = 0.0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            **{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        )

    @property
    def mean_quality(self) -> float | None:
        """Mean quality of the graded calls."""
        return self.q / self.graded if self.graded else None

    @property
    def mean_cost_usd(self) -> float | None:
        """Mean cost of the calls whose cost is known."""
        return self.c / self.priced if self.priced else None

    @property
    def typical_latency_ms(self) -> float | None:
        """Geometric mean of the latency."""
        return math.exp(self.t / self.timed) if self.timed else None


def student(confidence: float, degrees: int) -> float:
    """Return the two-sided quantile of Student's t.

    The expansion in 1/degrees, to four terms: within 1 % from four degrees on. Source: Abramowitz
    and Stegun 1964, "Handbook of Mathematical Functions", 26.7.5.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / degrees**power for power, term in enumerate(terms, 1))


def quality(sums: Sums, confidence: float) -> Interval | None:
    """Return an interval for the mean of qualities from 0 to 1; None below five of them.

    Student's interval after one quality of 0 and one of 1 are added: grades that happen to be all
    alike claim no certainty. Source of the added pair: Agresti and Caffo 2000, "Simple and
    effective confidence intervals for proportions and differences of proportions".
    """
    if sums.graded < 5:
        return None
    n = sums.graded + 2
    mean = (sums.q + 1) / n
    variance = max(0.0, sums.qq + 1 - n * mean * mean) / (n - 1)
    half = student(confidence, n - 1) * math.sqrt(variance / n)
    return Interval(max(0.0, mean - half), min(1.0, mean + half), confidence)


def ratio(sums: Sums, confidence: float) -> Interval | None:
    """Return an interval for quality per dollar: the mean quality over the mean cost.

    None below five calls with both, and where the cost is not told apart from nothing. Source:
    Fieller 1954, "Some problems in interval estimation".
    """
    n = sums.both
    if n < 5 or sums.bc <= 0:
        return None
    q, c = sums.bq / n, sums.bc / n
    qq, cc, qc = (
        (squares - n * product) / (n - 1) / n
        for squares, product in ((sums.bqq, q * q), (sums.bcc, c * c), (sums.bqc, q * c))
    )
    g = student(confidence, n - 1) ** 2
    a, b, d = c * c - g * max(0.0, cc), q * c - g * qc, q * q - g * max(0.0, qq)
    inside = b * b - a * d
    if a <= 0 or inside < 0:
        return None
    half = math.sqrt(inside)
    return Interval(max(0.0, (b - half) / a), (b + half) / a, confidence)


def mean_difference(one: Sums, other: Sums, confidence: float) -> Interval | None:
    """Return an interval for how much dearer a call of ``one`` is on average, in USD.

    None below five priced calls on either side. Source: Welch 1947, "The generalization of
    'Student's' problem when several different population variances are involved", with the smaller
    side's degrees of freedom, which is wider than his.
    """
    if min(one.priced, other.priced) < 5:
        return None
    sides = [(sums.priced, sums.c, sums.cc) for sums in (one, other)]
    return _difference(sides, confidence)


def log_ratio(one: Sums, other: Sums, confidence: float) -> Interval | None:
    """Return an interval for how many times longer calls of ``one`` take (geometric means).

    None below five timed calls on either side. Welch's interval on the logarithms.
    """
    if min(one.timed, other.timed) < 5:
        return None
    found = _difference([(sums.timed, sums.t, sums.tt) for sums in (one, other)], confidence)
    return Interval(math.exp(found.low), math.exp(found.high), confidence)


def _difference(sides: list[tuple[int, float, float]], confidence: float) -> Interval:
    means = [total / n for n, total, _ in sides]
    errors = [
        max(0.0, squares - n * mean * mean) / (n - 1) / n
        for (n, _, squares), mean in zip(sides, means, strict=True)
    ]
    degrees = min(n for n, _, _ in sides) - 1
    half = student(confidence, degrees) * math.sqrt(sum(errors))
    middle = means[0] - means[1]
    return Interval(middle - half, middle + half, confidence)
