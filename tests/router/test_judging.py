"""Routes, grades, anomalies and proposals, from sums whose answer is known."""

from __future__ import annotations

import math
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.router.test_rules import ENVIRON, GOOD

from nightpane.errors import StoreError
from nightpane.router.anomalies import anomalies
from nightpane.router.evidence import Cell, evidence
from nightpane.router.figures import Sums, log_ratio, mean_difference, quality, ratio, student
from nightpane.router.grades import grade
from nightpane.router.ledger import Ledger
from nightpane.router.propose import escalations, propose
from nightpane.router.refusal import Refusal
from nightpane.router.routing import choose
from nightpane.router.rules import Grading, parse

RULES = parse(GOOD, "f", ENVIRON)
KEY = RULES.keys[0]
DAY = date(2026, 3, 10)
NO_LETTERS = Grading(thresholds=(), min_calls=20)


def sums(
    qualities: Sequence[float],
    costs: Sequence[float],
    *,
    errors: int = 0,
    times_ms: Sequence[float] = (),
) -> Sums:
    logs = [math.log(one) for one in times_ms]
    return Sums(
        calls=max(len(qualities), len(times_ms)) + errors,
        errors=errors,
        graded=len(qualities),
        q=sum(qualities),
        qq=sum(one * one for one in qualities),
        priced=len(costs),
        c=sum(costs),
        cc=sum(one * one for one in costs),
        both=len(qualities),
        bq=sum(qualities),
        bqq=sum(one * one for one in qualities),
        bc=sum(costs),
        bcc=sum(one * one for one in costs),
        bqc=sum(one * other for one, other in zip(qualities, costs, strict=True)),
        timed=len(logs),
        t=sum(logs),
        tt=sum(one * one for one in logs),
    )


def drawn(n: int, mean: float, cost: float, seed: int = 1) -> Sums:
    rng = random.Random(seed)
    return sums(
        [min(1.0, max(0.0, rng.gauss(mean, 0.03))) for _ in range(n)],
        [cost * rng.uniform(0.8, 1.2) for _ in range(n)],
    )


def cell(
    model: str, of: Sums, *, user: str = "alice", day: date = DAY, task: str = "t", team: str = ""
) -> Cell:
    return Cell(day=day, task_type=task, model=model, user=user, agent="coder", team=team, sums=of)


def routed(cells: Sequence[Cell], **asked: Any) -> tuple[str, tuple[str, ...], str]:
    asked = {"asked": "t", "task_type": None} | asked
    route = choose(RULES, evidence(cells, 0.95), KEY, **asked)
    return route.model, route.fallbacks, route.reason.partition(":")[0]


def test_the_cheapest_that_holds_serves_and_the_other_stands_in() -> None:
    cells = [cell("small", drawn(200, 0.9, 0.001)), cell("large", drawn(200, 0.95, 0.01))]
    assert routed(cells) == ("small", ("large",), "cheapest of 2 that hold 0.8")
    cells[0] = cell("small", drawn(200, 0.7, 0.001))
    assert routed(cells) == ("large", (), "cheapest of 1 that hold 0.8")


@pytest.mark.parametrize(
    ("n", "mean"), [(19, 0.99), (20, 0.85), (0, 0.9)], ids=["few", "unsure", "nothing known"]
)
def test_a_model_that_is_not_known_to_hold_is_not_chosen(n: int, mean: float) -> None:
    cells = [cell("large", drawn(n, mean, 0.001))] if n else []
    assert routed(cells)[::2] == ("small", "default")


def test_what_has_no_task_type_goes_to_the_default() -> None:
    assert routed([], asked="auto")[::2] == ("small", "default")
    assert routed([], asked="auto", task_type="unheard of")[::2] == ("small", "default")
    assert routed([], asked="auto", task_type="t")[::2] == ("small", "default")
    assert routed([], asked="large")[::2] == ("large", "named")
    with pytest.raises(Refusal, match="there is no model 'x'"):
        routed([], asked="x")
    with pytest.raises(Refusal, match="no model that key"):
        routed([], asked="auto", is_embedding=True)


def test_students_quantile_against_tables() -> None:
    for degrees, expected in ((4, 2.776), (10, 2.228), (30, 2.042), (1000, 1.962)):
        assert student(0.95, degrees) == pytest.approx(expected, abs=0.002)


def test_the_quality_interval_covers_as_it_says() -> None:
    rng = random.Random(3)
    for rate, n in ((0.9, 20), (0.8, 50)):
        within = over = 0
        for _ in range(1000):
            scores = [float(rng.random() < rate) for _ in range(n)]
            found = quality(Sums(graded=n, q=sum(scores), qq=sum(scores)), 0.95)
            assert found is not None
            within += found.low <= rate <= found.high
            over += found.low > rate
        assert within >= 940
        assert over <= 40
    perfect = quality(Sums(graded=20, q=20, qq=20), 0.95)
    assert perfect is not None
    assert 0.8 < perfect.low < 0.9
    assert quality(Sums(graded=4, q=4, qq=4), 0.95) is None


def test_the_efficiency_interval_covers_as_it_says() -> None:
    rng = random.Random(4)
    within = 0
    for _ in range(500):
        costs = [rng.lognormvariate(-7, 0.5) for _ in range(50)]
        found = ratio(sums([rng.betavariate(8, 2) for _ in costs], costs), 0.95)
        assert found is not None
        within += found.low <= 0.8 / math.exp(-7 + 0.125) <= found.high
    assert within >= 460


def test_efficiency_is_not_made_up() -> None:
    assert ratio(sums([0.9] * 30, [0.0] * 30), 0.95) is None
    wild = [0.000001] * 29 + [1.0]
    assert ratio(sums([0.9] * 30, wild), 0.95) is None
    assert mean_difference(Sums(priced=4), Sums(priced=50), 0.95) is None
    assert log_ratio(Sums(timed=4), Sums(timed=50), 0.95) is None


def test_letters_by_place_in_the_team() -> None:
    cells = [
        cell("small", drawn(50, 0.9, cost, seed), user=user, team="one")
        for seed, (user, cost) in enumerate((("ann", 0.001), ("bea", 0.002), ("cleo", 0.004)))
    ]
    cells.append(cell("small", drawn(50, 0.9, 0.001), user="dee", team="two"))
    cells.append(cell("small", drawn(5, 0.9, 0.001), user="eve", team="one"))
    found = {one.name: one for one in grade(cells, NO_LETTERS, "user")}
    assert {name: one.letter for name, one in found.items()} == {
        "ann": "A",
        "bea": "C",
        "cleo": "E",
        "dee": None,
        "eve": None,
    }
    assert found["ann"].is_certain
    assert (
        found["eve"].why_not == "too few calls with quality and cost: 5 of 20 (5 graded, 5 priced)"
    )
    assert found["dee"].why_not == "fewer than 3 of the team can be compared"
    assert found["bea"].efficiency == pytest.approx(0.9 / 0.002, rel=0.05)


def test_letters_by_threshold() -> None:
    rules = Grading(thresholds=(("A", 800.0), ("B", 300.0), ("C", 0.0)), min_calls=20)
    cells = [cell("m", drawn(50, 0.9, cost), user=f"{cost}") for cost in (0.001, 0.002, 0.1)]
    assert [one.letter for one in grade(cells, rules, "user")] == ["A", "B", "C"]
    (agent,) = grade(cells, rules, "agent")
    assert (agent.name, agent.calls) == ("coder", 150)


def test_a_dearer_model_than_needed_is_wrong() -> None:
    cells = [cell("small", drawn(100, 0.9, 0.001)), cell("large", drawn(40, 0.9, 0.01), user="bob")]
    (found,) = anomalies(cells, RULES, DAY)
    assert (found.type, found.user, found.model) == ("wrong_model", "bob", "large")
    assert found.evidence["excess_usd"] == pytest.approx(40 * 0.009, rel=0.1)
    assert found.evidence["excess_low_usd"] > 0.3
    assert anomalies(cells, RULES, DAY + timedelta(days=1)) == []


def test_a_model_that_does_not_hold_is_wrong() -> None:
    (found,) = anomalies([cell("small", drawn(100, 0.6, 0.001))], RULES, DAY)
    assert (found.type, found.evidence["graded"]) == ("wrong_model", 100)
    assert found.evidence["quality_high"] < 0.8
    assert anomalies([cell("small", drawn(100, 0.9, 0.001))], RULES, DAY) == []


def days(make: Any) -> list[Cell]:
    return [cell("m", make(n), day=DAY - timedelta(days=n), task="other") for n in range(9)]


def test_spikes_are_told_from_usual_days() -> None:
    def day(n: int, spike: float) -> Sums:
        rng = random.Random(n)
        times = [500 * rng.uniform(0.8, 1.2) * (spike if n == 0 else 1) for _ in range(30)]
        costs = [0.01 * rng.uniform(0.8, 1.2) * (spike if n == 0 else 1) for _ in range(30)]
        return sums([0.9] * 30, costs, errors=15 if n == 0 and spike > 1 else 0, times_ms=times)

    assert anomalies(days(lambda n: day(n, 1)), RULES, DAY) == []
    found = {one.type: one for one in anomalies(days(lambda n: day(n, 3)), RULES, DAY)}
    assert set(found) == {"cost_spike", "latency_spike", "error_spike"}
    assert found["cost_spike"].evidence["spent_usd"] == pytest.approx(0.9, rel=0.1)
    assert found["latency_spike"].evidence["times_low"] > 2
    assert found["error_spike"].evidence["errors"] == 15
    assert len({one.key for one in found.values()}) == 3


def test_usual_days_raise_hardly_any_alarm() -> None:
    alarms = 0
    for seed in range(100):
        rng = random.Random(seed)
        alarms += len(
            anomalies(
                days(
                    lambda _, rng=rng: sums(
                        [0.9] * 30,
                        [rng.lognormvariate(-5, 0.5) for _ in range(30)],
                        errors=rng.randrange(3),
                        times_ms=[rng.lognormvariate(6, 0.5) for _ in range(30)],
                    )
                ),
                RULES,
                DAY,
            )
        )
    assert alarms <= 3


def test_a_cheaper_default_is_proposed_with_what_it_saves() -> None:
    text = GOOD.replace("quality_floor", 'default = "large"\nquality_floor')
    rules = parse(text, "f", ENVIRON)
    cells = [cell("small", drawn(100, 0.9, 0.001)), cell("large", drawn(100, 0.95, 0.01))]
    (one,) = propose(cells, rules)
    assert (one.action, one.model) == ("default", "small")
    assert one.saves_usd_per_day == pytest.approx(200 * 0.009, rel=0.05)
    assert "n=100" in one.why
    assert propose(cells[:1], RULES) == propose([], RULES) == []


def test_a_candidate_that_fails_is_taken_out_and_one_that_holds_comes_in() -> None:
    text = GOOD.replace('["small", "large"]', '["small"]')
    cells = [cell("small", drawn(100, 0.6, 0.001)), cell("large", drawn(100, 0.95, 0.01))]
    found = [(one.action, one.model) for one in propose(cells, parse(text, "f", ENVIRON))]
    assert found == [("add", "large"), ("default", "large"), ("remove", "small")]


def test_a_task_that_nothing_holds_is_a_candidate_for_escalation() -> None:
    assert escalations([cell("small", drawn(100, 0.6, 0.001))], RULES) == ["t"]
    assert escalations([cell("small", drawn(5, 0.6, 0.001))], RULES) == []
    assert escalations([cell("small", drawn(100, 0.9, 0.001))], RULES) == []


def test_a_ledger_keeps_days_apart_and_totals_together(tmp_path: Path) -> None:
    now = [datetime(2026, 3, 10, 23, 59, tzinfo=UTC)]
    ledger = Ledger(tmp_path / "ledger.db", now=lambda: now[0])
    ledger.reserve(KEY, "one", 1.5)
    with pytest.raises(Refusal) as found:
        ledger.reserve(KEY, "two", 0.6)
    assert (found.value.status, found.value.headers) == (429, {"x-should-retry": "false"})
    now[0] += timedelta(minutes=2)
    ledger.reserve(KEY, "two", 1.9)
    # Yesterday's call ends today: it was yesterday's.
    ledger.settle("one", 0.5, task_type="t", model="m")
    ledger.settle("one", 99.0, task_type="t", model="m")
    ledger.settle("two", None, task_type=None, model=None)
    ledger.settle("nobody", 99.0, task_type=None, model=None)
    assert (ledger.spent("alice").day_usd, ledger.spent("alice").total_usd) == (1.9, 2.4)
    ledger.close()
    again = Ledger(tmp_path / "ledger.db", now=lambda: now[0])
    assert again.spent("alice").total_usd == 2.4
    call = again.call("one")
    assert call is not None
    assert (call.user, call.model) == ("alice", "m")
    again.close()
    now[0] += timedelta(days=100)
    later = Ledger(tmp_path / "ledger.db", now=lambda: now[0])
    assert later.call("one") is None
    assert later.spent("alice").total_usd == 2.4
    later.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from nightpane.router.ledger import Ledger
from nightpane.router.rules import parse
(key,) = parse(sys.argv[2], "f", {"ALICE": "a-key-that-is-long-enough"}).keys
ledger = Ledger(Path(sys.argv[1]))
ledger.reserve(key, "done", 0.5)
ledger.settle("done", 0.25, task_type=None, model=None)
ledger.reserve(key, "under way", 1.5)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_booked_what_was_under_way(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), GOOD])
    assert done.returncode == -signal.SIGKILL
    ledger = Ledger(path)
    assert ledger.spent("alice").day_usd == 1.75
    with pytest.raises(Refusal, match=r"1\.7500 are spent or booked"):
        ledger.reserve(KEY, "next", 0.5)
    ledger.close()


def test_a_ledger_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("this is no database, " * 100)
    with pytest.raises(StoreError, match="cannot be used"):
        Ledger(tmp_path / "ledger.db")
