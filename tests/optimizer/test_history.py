"""What became of earlier recommendations: shipped, rejected, reached, or worse."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nightpane.errors import ApiError, ConfigError
from nightpane.optimizer import history, record
from nightpane.optimizer.model import (
    History,
    Metrics,
    OperationMetrics,
    Options,
    Spread,
    Tokens,
)
from nightpane.optimizer.source import Source
from nightpane.optimizer.verify import verify
from nightpane.query import QueryResult

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)


class Answers:
    """Stands in for the query API: a number for each query, by a word in its text."""

    def __init__(self, **numbers: float | ApiError | None) -> None:
        self.numbers = numbers
        self.asked: list[Mapping[str, Any]] = []

    def hogql(self, query: str, values: Mapping[str, Any] | None = None) -> QueryResult:
        self.asked.append(values or {})
        number = next(value for word, value in self.numbers.items() if word in query)
        if isinstance(number, ApiError):
            raise number
        return QueryResult(columns=("n",), types=(), rows=[[number]], has_more=False, limit=100)


def measurement(word: str, baseline: float, target: float) -> dict[str, Any]:
    return {
        "metric": f"{word} per call",
        "unit": "USD",
        "baseline": baseline,
        "target": target,
        "window_days": 7,
        "hogql": f"SELECT {word} WHERE timestamp > {{since}} AND timestamp < {{until}}",
        "values": {"operation": "draft"},
    }


def report(folder: Path, *recommendations: dict[str, Any], **more: Any) -> Path:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    document = {
        "version": 1,
        "created": "2026-02-01T00:00:00+00:00",
        "recommendations": list(recommendations),
        **more,
    }
    (folder / record.FILE).write_text(json.dumps(document))
    return folder


def advice(name: str, word: str = "cost", *, status: str = "open") -> dict[str, Any]:
    plan = measurement(word, baseline=1.0, target=0.5)
    return {"id": name, "title": name.upper(), "status": status, "measurement": plan}


def operation(name: str, *, calls: int, cost_usd: float, errors: int) -> OperationMetrics:
    none = Spread(0.0, 0.0, 0.0)
    return OperationMetrics(
        operation=name,
        calls=calls,
        errors=errors,
        cost_usd=cost_usd,
        error_cost_usd=0.0,
        tokens=Tokens(),
        traces=calls,
        latency_s=none,
        prompt=none,
        output=none,
        last=NOW,
        windows=(),
        trend=None,
        models=(),
    )


def metrics(*operations: OperationMetrics) -> Metrics:
    return Metrics(operations, (), (), (), 0.0, 0, 0, Tokens(), 0)


def past(tmp_path: Path, answers: Answers, given: Path | None = None) -> History:
    options = Options(results_dir=tmp_path, now=NOW, history=given)
    return history.run(Source(answers), options, metrics())


@pytest.fixture(autouse=True)
def _without_gh(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))


def test_without_history_it_is_empty(tmp_path: Path) -> None:
    assert past(tmp_path, Answers()) == History("", (), frozenset(), ())


def test_the_folders_own_earlier_report_is_measured_again(tmp_path: Path) -> None:
    report(tmp_path, advice("a"), advice("b", "errors", status="shipped"))
    answers = Answers(cost=0.4, errors=0.9)
    found = past(tmp_path, answers)
    reached = {one.id: (one.now, one.reached, one.status) for one in found.earlier}
    assert reached == {"a": (0.4, True, "open"), "b": (0.9, False, "shipped")}
    assert found.skip == {"b"}
    assert answers.asked[0]["since"] == "2026-03-01T12:00:00Z"


def test_a_number_that_went_the_wrong_way_is_named(tmp_path: Path) -> None:
    report(tmp_path, advice("a"))
    (line,) = past(tmp_path, Answers(cost=1.5)).worse
    assert "from 1 to 1.5, away from its target 0.5" in line


def test_operations_that_got_dearer_or_fail_more_are_named(tmp_path: Path) -> None:
    before = [
        {"operation": "dear", "calls": 100, "cost_usd": 1.0, "errors": 0},
        {"operation": "few", "calls": 5, "cost_usd": 0.1, "errors": 0},
        {"operation": "failing", "calls": 100, "cost_usd": 1.0, "errors": 2},
        {"operation": "same", "calls": 100, "cost_usd": 1.0, "errors": 2},
    ]
    report(tmp_path, operations=before)
    now = metrics(
        operation("dear", calls=100, cost_usd=2.0, errors=0),
        operation("few", calls=5, cost_usd=9.0, errors=5),
        operation("failing", calls=100, cost_usd=1.0, errors=30),
        operation("same", calls=100, cost_usd=1.1, errors=4),
    )
    options = Options(results_dir=tmp_path, now=NOW)
    worse = history.run(Source(Answers()), options, now).worse
    assert len(worse) == 2
    assert "`dear` costs $0.02, $0.01 in" in worse[0].replace("0.020", "0.02").replace(
        "0.010", "0.01"
    )
    assert "30 % of the calls of `failing` fail, 2.0 % in" in worse[1]


def test_a_query_that_is_refused_is_said(tmp_path: Path) -> None:
    report(tmp_path, advice("a"), advice("b", "nothing"))
    refused = ApiError("Unknown function", status=400, code="hogql_error")
    found = past(tmp_path, Answers(cost=refused, nothing=None))
    assert [one.note for one in found.earlier] == [
        "the query was refused: Unknown function",
        "nothing to measure in the last 7 days",
    ]


@pytest.mark.parametrize(
    ("text", "skipped"),
    [
        ("shipped a #12\n- rejected: `b` too risky\nother words\n", {"a", "b"}),
        ('[{"id": "a", "status": "merged"}, {"id": "b", "status": "open"}]', {"a"}),
    ],
)
def test_a_file_lists_what_shipped(tmp_path: Path, text: str, skipped: set[str]) -> None:
    report(tmp_path, advice("a"), advice("b"))
    listed = tmp_path / "done.txt"
    listed.write_text(text)
    assert past(tmp_path, Answers(cost=1.0), listed).skip == skipped


@pytest.mark.parametrize("text", ["words without a list", '[{"id": "a", "status": "maybe"}]'])
def test_a_file_that_lists_nothing_is_refused(tmp_path: Path, text: str) -> None:
    listed = tmp_path / "done.txt"
    listed.write_text(text)
    with pytest.raises(ConfigError, match=r"done\.txt"):
        past(tmp_path, Answers(), listed)


def test_pull_requests_that_name_an_id_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [
        {
            "number": 7,
            "title": "Cache prompts",
            "body": "nightpane: cache:draft",
            "state": "MERGED",
        },
        {"number": 8, "title": "retry:draft", "body": None, "state": "CLOSED"},
    ]
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "said.json").write_text(json.dumps(requests))
    gh = bin_ / "gh"
    gh.write_text(f"#!/bin/sh\n/bin/cat {bin_}/said.json\n")
    gh.chmod(gh.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}/nowhere")
    report(tmp_path, advice("cache:draft"), advice("retry:draft"), advice("other:draft"))
    found = past(tmp_path, Answers(cost=1.0))
    assert {one.id: (one.status, one.note) for one in found.earlier} == {
        "cache:draft": ("shipped", "pull request #7"),
        "retry:draft": ("rejected", "pull request #8"),
        "other:draft": ("open", ""),
    }
    gh.write_text("#!/bin/sh\nexit 1\n")
    assert {one.status for one in past(tmp_path, Answers(cost=1.0)).earlier} == {"open"}


def test_what_settled_long_ago_stays_settled(tmp_path: Path) -> None:
    report(tmp_path, advice("b"), settled=[advice("a", status="rejected")])
    assert past(tmp_path, Answers(cost=1.0)).skip == {"a"}


def test_verify_measures_every_number_today(tmp_path: Path) -> None:
    report(tmp_path, advice("a"), advice("b", "errors"))
    found = verify(Answers(cost=0.5, errors=None), tmp_path, NOW)
    assert [(one.id, one.now, one.reached) for one in found] == [
        ("a", 0.5, True),
        ("b", None, None),
    ]


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folder of an earlier report"):
        verify(Answers(), tmp_path, NOW)
    (tmp_path / "data").mkdir()
    (tmp_path / record.FILE).write_text('{"version": 9}')
    with pytest.raises(ConfigError, match="no record of a report"):
        verify(Answers(), tmp_path, NOW)
    report(tmp_path)
    document = json.loads((tmp_path / record.FILE).read_text())
    (tmp_path / record.FILE).write_text(json.dumps({**document, "version": 9}))
    with pytest.raises(ConfigError, match="another version"):
        verify(Answers(), tmp_path, NOW)
