import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from nightpane.stats import rate_upper_bound, wilson


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(pair: tuple[int, int]) -> None:
    successes, n = pair
    ours = wilson(successes, n)
    theirs = scipy_stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert ours is not None
    assert math.isclose(ours.low, theirs.low, abs_tol=1e-9)
    assert math.isclose(ours.high, theirs.high, abs_tol=1e-9)


def test_wilson_of_nothing_is_none() -> None:
    assert wilson(0, 0) is None


def test_wilson_refuses_more_successes_than_tries() -> None:
    with pytest.raises(ValueError, match="between 0 and n=3, got 4"):
        wilson(4, 3)


@pytest.mark.parametrize("n", [1, 5, 20, 300])
def test_rate_upper_bound_is_the_exact_one_sided_bound(n: int) -> None:
    exact = scipy_stats.binomtest(0, n, alternative="less").proportion_ci(0.95, method="exact").high
    assert math.isclose(rate_upper_bound(n), exact, rel_tol=1e-9)


def test_rate_upper_bound_without_tries_excludes_nothing() -> None:
    assert rate_upper_bound(0) == 1.0
