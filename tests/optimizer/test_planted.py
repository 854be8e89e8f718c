"""The optimizer on data with planted problems: each is found, and no clean operation is accused."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.optimizer.planted import Planted, plant, send

from nightpane.optimizer import Options, Result, Target, optimize
from nightpane.testing import LocalServer

NOW = datetime.now(UTC).replace(microsecond=0)
FAILURES = {"errors", "timeouts", "rate_limits", "truncated", "empty", "malformed", "paid_errors"}


def report(server: LocalServer, folder: Path, **options: object) -> Result:
    target = Target(server.host, server.project_id, server.personal_api_key)
    asked = Options(results_dir=folder, now=NOW, live_prices=False, **options)  # type: ignore[arg-type]
    return optimize(server.query(), asked, target=target)


@pytest.fixture(scope="module", params=[1], ids="seed {}".format)
def planted(
    server: LocalServer, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Planted, Result]:
    project = f"project-{request.param}"
    made = plant(request.param, NOW - timedelta(minutes=1), project)
    send(server, made.events)
    folder = tmp_path_factory.mktemp("results")
    return made, report(server, folder, top_n=25, project=project)


def accusations(result: Result) -> dict[str, set[str]]:
    """What the report holds against each operation."""
    analysis = result.analysis
    found = {one.operation: set(one.causes) for one in analysis.causes.operations}
    for failed in analysis.failures.operations:
        found[failed.operation] |= {one.kind for one in failed.findings} & FAILURES
    for burst in analysis.failures.bursts:
        if burst.own:
            found[burst.operation].add("own_bursts")
    for unpriced in analysis.pricing.unpriced:
        for operation in unpriced.operations:
            found[operation].add("unpriced")
    return found


def test_every_planted_problem_is_found_with_its_operation(
    planted: tuple[Planted, Result],
) -> None:
    made, result = planted
    found = accusations(result)
    missed = {name: wrong - found[name] for name, wrong in made.truth.items()}
    assert {name: wrong for name, wrong in missed.items() if wrong} == {}


def test_no_operation_is_accused_of_what_it_does_not_do(planted: tuple[Planted, Result]) -> None:
    made, result = planted
    # A tool loop sends its context again and again: that is the same problem seen twice.
    follows = {"tool_loop": {"context_stuffing"}, "retry_storm": {"identical_calls"}}
    false = {}
    for name, accused in accusations(result).items():
        wrong = made.truth[name]
        false[name] = accused - wrong.union(*(follows.get(one, set()) for one in wrong))
    assert {name: accused for name, accused in false.items() if accused} == {}


def test_totals_equal_an_independent_computation_to_the_cent(
    planted: tuple[Planted, Result],
) -> None:
    made, result = planted
    metrics = result.analysis.metrics
    assert metrics.calls == len(made.events)
    assert abs(Decimal(metrics.cost_usd) - made.cost_usd) < Decimal("0.005")
    with (result.folder / "data" / "metrics_by_span.csv").open() as file:
        rows = {row["operation"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(made.truth)
    for name, cost in made.cost_by_operation.items():
        assert abs(Decimal(rows[name]["total_cost_usd"]) - cost) < Decimal("0.005"), name


def test_models_nobody_has_a_price_for_are_listed_and_not_guessed(
    planted: tuple[Planted, Result],
) -> None:
    made, result = planted
    listed = json.loads((result.folder / "data" / "pricing_check.json").read_text("utf-8"))
    found = {one["model"]: (one["calls"], one["resolved"]) for one in listed["unpriced"]}
    assert found == {model: (calls, None) for model, calls in made.unpriced.items()}


def test_outliers_are_explained_by_what_was_planted(planted: tuple[Planted, Result]) -> None:
    made, result = planted
    checked = 0
    for one in result.analysis.causes.traces:
        wanted = made.truth[one.operation] & {"retry_storm", "tool_loop", "runaway_output"}
        if wanted:
            checked += 1
            assert wanted <= set(one.causes), one.operation
            assert all(verdict.numbers for verdict in one.verdicts if verdict.confirmed)
    assert checked >= 10


def test_a_whole_report_stays_within_its_queries(planted: tuple[Planted, Result]) -> None:
    assert planted[1].analysis.queries < 60


def test_traces_that_were_read_show_what_was_planted_and_nothing_else(
    planted: tuple[Planted, Result],
) -> None:
    made, result = planted
    read = json.loads((result.folder / "data" / "qualitative_samples.json").read_text("utf-8"))
    assert {"cheapest", "median", "dearest", "slowest"} <= {one["bucket"] for one in read}
    odd = {one["operation"]: one["abnormality"] for one in read if one["abnormality"] != "clean"}
    assert len(set(odd.values())) >= 2
    assert [name for name in odd if not made.truth[name]] == []
    for one in read:
        low, high = one["frequency_interval"]
        assert low <= one["frequency"] <= high
