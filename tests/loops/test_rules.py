"""Keeping and stopping: each rule by itself, and what noise does to them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from nightpane.errors import ConfigError
from nightpane.loops.keep import Better, KeepRule, MinimumDelta, NoiseAware
from nightpane.loops.stop import Limits, Progress


def test_better_keeps_any_gain_in_either_direction() -> None:
    assert Better().decide([1.0], [1.0 + 1e-9], "max").keep
    assert Better().decide([1.0], [1.0 - 1e-9], "min").keep
    assert not Better().decide([1.0], [1.0], "max").keep
    assert Better().decide([2.0], [1.5], "min").gain == pytest.approx(0.5)


def test_a_minimum_is_reached_or_not() -> None:
    rule = MinimumDelta(0.1)
    assert rule.decide([1.0], [0.5], "min").keep
    short = rule.decide([1.0], [0.95], "min")
    assert not short.keep
    assert "below 0.1" in short.why
    assert not MinimumDelta(0).decide([1.0], [1.0], "max").keep


def test_noise_is_not_kept_and_a_real_gain_is() -> None:
    rule = NoiseAware(repeats=5, rounds=10)
    best = [1.00, 1.02, 0.98, 1.01, 0.99]
    real = rule.decide(best, [1.5, 1.21, 1.19, 1.2, 1.22, 1.18], "max")
    assert real.keep
    assert real.low is not None
    assert 0 < real.low < real.gain == pytest.approx(0.2)
    noise = rule.decide(best, [1.5, 1.01, 1.0, 1.02, 0.99, 0.98], "max")
    assert not noise.keep
    assert "within noise" in noise.why
    once = rule.decide(best, [0.9], "max")
    assert not once.keep


def test_without_a_spread_any_gain_is_real() -> None:
    assert NoiseAware().decide([1.0, 1.0], [1.1, 1.1, 1.1], "max").keep
    assert not NoiseAware().decide([1.0], [1.1, 1.1, 1.1], "max").keep


def nights_with_a_false_round(rule: KeepRule, *, nights: int, rounds: int) -> float:
    """Return the share of nights in which a rule keeps a round, where none is any better."""
    draw = random.Random(1).gauss
    found = 0
    for _ in range(nights):
        best = [draw(0, 1) for _ in range(max(rule.repeats, 1))]
        for _ in range(rounds):
            candidate = [draw(0, 1)]
            if candidate[0] > sum(best) / len(best):
                candidate += [draw(0, 1) for _ in range(rule.repeats)]
            if rule.decide(best, candidate, "max").keep:
                found += 1
                break
    return found / nights


def test_on_pure_noise_few_nights_keep_a_false_round() -> None:
    aware = nights_with_a_false_round(NoiseAware(rounds=20), nights=300, rounds=20)
    plain = nights_with_a_false_round(Better(), nights=300, rounds=20)
    assert aware <= 0.05
    assert plain > 0.9


@pytest.mark.parametrize(
    "make",
    [
        lambda: MinimumDelta(-1),
        lambda: MinimumDelta(float("nan")),
        lambda: NoiseAware(repeats=1),
        lambda: NoiseAware(rounds=0),
        lambda: NoiseAware(false_nights=1.0),
        Limits,
        lambda: Limits(failures=3),
        lambda: Limits(max_rounds=0),
        lambda: Limits(hours=float("inf")),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(make: object) -> None:
    with pytest.raises(ConfigError):
        make()  # type: ignore[operator]


def test_each_condition_has_its_reason(tmp_path: Path) -> None:
    limits = Limits(
        max_rounds=50, budget_usd=2, hours=1, plateau=20, regressions=10, failures=3, target=0.0,
        sustained=2, kill_file=tmp_path / "stop",
    )  # fmt: skip
    assert limits.reason(Progress(rounds=49)) is None
    assert limits.reason(Progress(rounds=50)) == "max_rounds"
    assert limits.reason(Progress(cost_usd=2.0)) == "budget"
    assert limits.reason(Progress(elapsed_s=3600)) == "time_budget"
    assert limits.reason(Progress(since_gain=20)) == "plateau"
    assert limits.reason(Progress(regressions=10)) == "regressions"
    assert limits.reason(Progress(failures=3)) == "failures"
    assert limits.reason(Progress(at_target=1)) is None
    assert limits.reason(Progress(at_target=2)) == "target"
    (tmp_path / "stop").touch()
    assert limits.reason(Progress()) == "kill_switch"


def test_progress_counts_in_a_row() -> None:
    now = Progress()
    for kept, failed in ((True, False), (False, False), (False, True), (False, False)):
        now = now.after(kept=kept, failed=failed, at_target=False, cost_usd=0.5)
    assert (now.rounds, now.kept, now.cost_usd) == (4, 1, 2.0)
    assert (now.since_gain, now.regressions, now.failures) == (3, 2, 0)
    again = now.after(kept=True, failed=False, at_target=True, cost_usd=None)
    assert (again.since_gain, again.regressions, again.at_target) == (0, 0, 1)


def test_a_target_is_reached_in_its_direction() -> None:
    assert Limits(target=0.0).is_reached(0.0, "max")
    assert Limits(target=0.0).is_reached(-1.0, "min")
    assert not Limits(target=0.0).is_reached(-1.0, "max")
    assert not Limits(target=0.0).is_reached(None, "max")
