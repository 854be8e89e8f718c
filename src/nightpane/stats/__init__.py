"""Statistics for loops that run unattended: pure functions, no input or output, no imports of ours.

Each function says its method and its source; each claim it makes comes with n. Nothing here ever
guesses: too few values is an answer of its own.
"""

from nightpane.stats.counts import binomial_at_most, fisher_more
from nightpane.stats.intervals import Interval, rate_upper_bound, wilson
from nightpane.stats.noise import (
    Measured,
    Move,
    Moved,
    Noise,
    best_moved,
    change_point,
    gain_moved,
    noise_of,
    together,
    typical,
    typical_moved,
    welch,
)
from nightpane.stats.progress import MIN_SCORED, Attempt, Progress, Verdict, judge
from nightpane.stats.records import gap_probability, record_probability
from nightpane.stats.robust import mad, median, noise_scale
from nightpane.stats.trend import Trend, mann_kendall

__all__ = [
    "MIN_SCORED",
    "Attempt",
    "Interval",
    "Measured",
    "Move",
    "Moved",
    "Noise",
    "Progress",
    "Trend",
    "Verdict",
    "best_moved",
    "binomial_at_most",
    "change_point",
    "fisher_more",
    "gain_moved",
    "gap_probability",
    "judge",
    "mad",
    "mann_kendall",
    "median",
    "noise_of",
    "noise_scale",
    "rate_upper_bound",
    "record_probability",
    "together",
    "typical",
    "typical_moved",
    "welch",
    "wilson",
]
