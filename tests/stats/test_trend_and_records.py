import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from nightpane.stats import gap_probability, mad, mann_kendall, noise_scale, record_probability

scores = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=40)


@given(scores)
def test_mann_kendall_counts_every_pair(values: list[float]) -> None:
    pairs = itertools.combinations(values, 2)
    assert mann_kendall(values).s == sum((b > a) - (b < a) for a, b in pairs)


@given(scores)
def test_mann_kendall_of_the_reverse_is_the_opposite(values: list[float]) -> None:
    assert mann_kendall(values).s == -mann_kendall(values[::-1]).s


def test_mann_kendall_is_close_to_kendalls_tau_test() -> None:
    rng = random.Random(5)
    values = [i / 40 + rng.gauss(0, 1) for i in range(80)]
    theirs = scipy_stats.kendalltau(range(80), values, alternative="greater", method="asymptotic")
    assert math.isclose(mann_kendall(values).p_rising, theirs.pvalue, rel_tol=0.05)


def test_mann_kendall_of_a_constant_says_nothing() -> None:
    assert mann_kendall([0.5] * 30).p_rising == 1.0


@pytest.mark.parametrize("prior", [0, 1, 3])
def test_record_probability_counts_every_order_of_six_scores(prior: int) -> None:
    n = 6 - prior
    counts: dict[int, int] = {}
    for order in itertools.permutations(range(6)):
        start = max(prior, 1)
        found = sum(order[i] > max(order[:i]) for i in range(start, 6))
        counts[found] = counts.get(found, 0) + 1
    for records in range(n + 1):
        exact = sum(count for found, count in counts.items() if found >= records) / 720
        assert math.isclose(record_probability(records, n, prior=prior), exact, abs_tol=1e-12)


def test_gap_probability_is_the_product_of_its_steps() -> None:
    expected = math.prod((20 - 4 + 0.5 + i) / (20 + 1 + i) for i in range(15))
    assert math.isclose(gap_probability(4, 20, 15), expected, rel_tol=1e-12)
    assert gap_probability(4, 20, 0) == 1.0


@given(st.integers(0, 30), st.integers(1, 200))
def test_a_longer_gap_is_never_likelier(successes: int, gap: int) -> None:
    assert gap_probability(successes, 30, gap + 1) <= gap_probability(successes, 30, gap)


def test_spread_of_normal_noise_is_its_deviation_and_ignores_drift_and_outliers() -> None:
    rng = random.Random(1)
    noise = [rng.gauss(0, 2) for _ in range(4000)]
    assert math.isclose(mad(noise), 2, rel_tol=0.05)
    drifting = [value + i / 100 for i, value in enumerate(noise)]
    drifting[::50] = [1e9] * len(drifting[::50])
    scale = noise_scale(drifting)
    assert scale is not None
    assert math.isclose(scale, 2, rel_tol=0.1)


def test_noise_scale_needs_three_values() -> None:
    assert noise_scale([0.1, 0.2]) is None
