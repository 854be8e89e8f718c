"""JSON lines, other runners' logs, and single JSON documents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.ledgers.conftest import Reader, counts

from nightpane.errors import LedgerError

CONFIG = {
    "type": "config",
    "name": "Faster tests",
    "metricName": "total_µs",
    "metricUnit": "µs",
    "bestDirection": "lower",
}


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def run(number: int, metric: Any, status: str, **more: Any) -> dict[str, Any]:
    return {
        "run": number,
        "commit": f"abc{number:04d}",
        "metric": metric,
        "metrics": {"p95_µs": 216},
        "status": status,
        "description": f"try {number}",
        "timestamp": 1773922533671 + number * 60_000,
        "segment": 0,
    } | more


def test_autoresearch_jsonl(ledger: Reader) -> None:
    found = ledger(
        lines(
            CONFIG,
            run(1, 265, "keep"),
            run(2, 153, "keep", asi={"hypothesis": "x", "n": float("nan")}),
            run(3, 154, "discard"),
            run(4, 0, "crash"),
            run(5, 0, "checks_failed"),
            run(6, 140, "checks_failed"),
        ),
        "autoresearch.jsonl",
    )
    assert (found.format, found.project) == ("autoresearch-jsonl", "autoresearch")
    assert counts(found) == (6, 2, 3, 1, 0)
    assert found.best_score == 153
    (one,) = found.runs
    assert one.how == "lower is better, as the file states"
    assert one.segment.metric == "total_µs"
    assert one.segment.unit == "µs"
    _, second, *_ = found.rounds
    assert second.row.commit == "abc0002"
    assert second.row.when is not None
    assert second.row.when.at.isoformat() == "2026-03-19T12:17:33.671000+00:00"
    assert second.row.properties["p95_µs"] == 216
    assert second.row.properties["asi"] == {"hypothesis": "x", "n": None}


def test_a_config_line_opens_a_run_of_its_own(ledger: Reader) -> None:
    higher = CONFIG | {"metricName": "coverage", "bestDirection": "higher"}
    found = ledger(
        lines(CONFIG, run(1, 5, "keep"), CONFIG, run(2, 9, "keep"), higher, run(3, 0.5, "keep"))
    )
    assert [(r.segment.metric, r.direction, r.judge.best) for r in found.runs] == [
        ("total_µs", "min", 5.0),
        ("total_µs", "min", 9.0),
        ("coverage", "max", 0.5),
    ]
    assert found.best_score == 0.5
    assert [r.best_before for r in found.rounds] == [None, None, None]


def test_best_over_runs_of_the_same_metric(ledger: Reader) -> None:
    assert ledger(lines(CONFIG, run(1, 5, "keep"), CONFIG, run(2, 9, "keep"))).best_score == 5


def test_nan_and_null_are_no_scores(ledger: Reader) -> None:
    text = lines(CONFIG, run(1, 5, "keep"), run(2, None, "crash"))
    text += lines(run(3, float("nan"), "discard"), run(4, float("inf"), "crash"))
    assert "NaN" in text
    found = ledger(text)
    assert counts(found) == (4, 1, 1, 2, 0)
    assert [r.score for r in found.rounds] == [5.0, None, None, None]


def test_keys_that_drift_and_lines_that_break(ledger: Reader) -> None:
    found = ledger(
        lines({"iteration": 1, "score": 0.5, "decision": "keep", "change": "a"})
        + "not json\n"
        + lines({"iter": 2, "score": 0.6, "verdict": "Accepted - new best", "hypothesis": "b"})
        + lines({"iteration": 3, "score": "0.55", "accepted": False})
        + lines({"iteration": 4, "score": 0.1, "status": "unclear"})
        + '[1, 2]\n{"iteration": 5, "sco',
        "log.jsonl",
    )
    assert counts(found) == (3, 2, 1, 0, 4)
    assert found.best_score == 0.6
    assert [p.line for p in found.problems] == [2, 5, 6, 7]
    assert found.problems[2].reason == "a JSON list, not an object"


def test_metric_named_on_every_line(ledger: Reader) -> None:
    record = {"commit": "abc1234", "metric_name": "aggregate_score", "metric_direction": "higher"}
    found = ledger(
        lines(
            record | {"status": "keep", "metric_value": 140},
            record | {"status": "crash", "metric_value": None},
        )
    )
    (one,) = found.runs
    assert (one.segment.metric, one.direction) == ("aggregate_score", "max")
    assert counts(found) == (2, 1, 0, 1, 0)


def test_a_metric_as_an_object_and_a_decision_beside_a_status(ledger: Reader) -> None:
    def entry(value: float | None, status: str, decision: str) -> dict[str, Any]:
        metric = {"name": "val_loss", "value": value}
        return {"metric": metric, "status": status, "decision": decision, "iteration": 1}

    found = ledger(
        lines(
            entry(2.0, "ok", "keep"),
            entry(2.5, "ok", "discard"),
            entry(None, "crash", "discard"),
            {"iteration": 4, "metric": {"name": "val_loss", "value": 1.5}, "success": True},
            {"iteration": 5, "metric": {"name": "val_loss", "value": None}, "success": False},
        )
    )
    assert found.runs[0].segment.metric == "val_loss"
    assert counts(found) == (5, 2, 1, 2, 0)
    assert found.best_score == 1.5


def test_nested_results_and_settings(ledger: Reader) -> None:
    found = ledger(
        lines(
            *(
                {
                    "trial_number": number,
                    "params": {"matrix_lr": 0.1 * number, "depth": 4},
                    "results": {"val_bpb": 2.0 - number, "peak_vram_mb": 9, "status": "success"},
                    "timestamp": f"2026-03-12T08:4{number}:27.757245",
                }
                for number in (0, 1)
            )
        )
    )
    assert found.runs[0].segment.metric == "val_bpb"
    assert found.best_score == 1.0
    first, _ = found.rounds
    assert first.row.properties["params_depth"] == 4
    assert first.row.properties["peak_vram_mb"] == 9


def test_records_without_any_status_are_undecided(ledger: Reader) -> None:
    found = ledger(lines(*({"val_bpb": s, "note": "x", "steps": 9} for s in (10.2, 10.1))))
    assert (found.n_rounds, found.count("undecided"), found.best_score) == (2, 2, 10.1)


def test_an_event_log_counts_only_rounds(ledger: Reader) -> None:
    found = ledger(
        lines(
            {"event": "init", "metric_name": "margin_mean", "direction": "higher"},
            {"event": "vm_reachable", "status": "ok"},
            {"event": "run_attempt", "status": "failed_missing_auth"},
            {"event": "score", "status": "ok", "metric_name": "margin_mean", "value": -0.05},
        )
    )
    assert counts(found) == (2, 1, 0, 1, 0)
    assert found.best_score == -0.05


def test_stop_is_imported_where_it_is_stated(ledger: Reader) -> None:
    text = lines(CONFIG, run(1, 5, "keep"), {"type": "stop", "reason": "max_iterations reached"})
    assert [type(item).__name__ for item in ledger(text).events()] == ["Round", "Stop"]


def test_cap_evolve(ledger: Reader) -> None:
    found = ledger(
        lines(
            {"t": 1782772291.06, "kind": "splits", "train": 7},
            {"t": 1782774600.83, "kind": "evaluate", "split": "val", "tag": "seed", "reward": 0.3},
            {"t": 1782774600.84, "kind": "baseline", "val": 0.3},
            {"t": 1782777735.80, "kind": "evaluate", "split": "val", "tag": "c1", "reward": 0.4},
            {
                "t": 1782777735.83,
                "kind": "step",
                "candidate": "c1",
                "accept": True,
                "reason": "better",
                "val": 0.4,
                "parent_val": 0.3,
                "cost_usd": 1.0,
                "opt_cost_usd": 0.5,
            },
            {"t": 1782777800.0, "kind": "reject", "candidate": "c2", "val": 0.2, "note": "worse"},
            {"t": 1782777900.0, "kind": "evaluate", "split": "test", "tag": "FINAL", "reward": 0.9},
        ),
        "events.jsonl",
    )
    assert (found.format, found.project) == ("cap-evolve", "cap-evolve")
    assert counts(found) == (3, 2, 1, 0, 0)
    assert found.best_score == 0.4
    assert [r.row.cost_usd for r in found.rounds] == [None, 1.5, None]


def test_a_document_with_a_list(ledger: Reader) -> None:
    document = {
        "metric": "val_loss",
        "direction": "minimize",
        "experiments": [
            {"id": 1, "val_loss": 2.0, "status": "keep"},
            {"id": 2, "val_loss": 1.5, "status": "keep"},
            {"id": 3, "val_loss": 0, "status": "crash"},
        ],
    }
    for text in (json.dumps(document), json.dumps(document, indent=2)):
        found = ledger(text, "results.json")
        assert counts(found) == (3, 2, 0, 1, 0)
        assert found.best_score == 1.5
        assert found.runs[0].how == "lower is better, as the file states"
    assert ledger(json.dumps(document["experiments"]), "list.json").best_score == 1.5


def test_json_that_is_no_ledger(ledger: Reader) -> None:
    for text in ('{"a": 1}', "[]", "[1, 2]", "{}", '{"results": []}', '"text"', "{" * 100_000):
        with pytest.raises(LedgerError):
            ledger(text, "x.json")


def test_metric_given_by_name(ledger: Reader) -> None:
    text = lines(*({"run": n, "status": "keep", "loss": 3 - n, "acc": n} for n in (1, 2)))
    assert ledger(text, metric="acc").best_score == 2
    with pytest.raises(LedgerError, match="no key 'f1'"):
        ledger(text, metric="f1")


GTM = {
    "startTime": "2026-04-08T18:48:26.589Z",
    "client": {"id": "acme", "label": "Acme"},
    "templatePath": "content/web.json",
    "rounds": 4,
    "bestScore": 0.6628,
    "startScore": 0.6218,
    "finalScore": 0.6628,
    "results": [
        {
            "round": 0,
            "score": 0.6218,
            "dimensions": {"tagCoverage": 0.27, "naming": 0.5},
            "issueCount": 30,
            "action": "improved",
            "mutationSummary": "Score 53.6% → 62.2%",
        },
        {
            "round": 1,
            "score": 0.6628,
            "dimensions": {"tagCoverage": 0.3, "naming": 0.6},
            "issueCount": 29,
            "action": "improved",
            "mutationSummary": "Score 62.2% → 66.3%",
        },
        {
            "round": 2,
            "score": 0.6628,
            "dimensions": {"tagCoverage": 0.3, "naming": 0.6},
            "issueCount": 29,
            "action": "reverted",
            "mutationSummary": "64.1% <= 66.3%, reverted",
        },
        {
            "round": 3,
            "score": 0.6628,
            "dimensions": {},
            "issueCount": 29,
            "action": "json_fail",
            "mutationSummary": "No response from mutation provider",
        },
    ],
}


def test_gtm_loop_results(ledger: Reader) -> None:
    found = ledger(json.dumps(GTM, indent=2), "2026-04-08T184826.json")
    assert (found.format, found.project, found.client) == (
        "gtm-loop-results",
        "gtm-autoresearch",
        "acme",
    )
    assert counts(found) == (4, 2, 2, 0, 0)
    assert found.best_score == 0.6628
    first, second, third, fourth = found.rounds
    assert first.best_before == 0.536  # the seed's score survives only in the text
    assert first.delta == pytest.approx(0.0858)
    assert dict(second.row.dims) == {"tagCoverage": 0.3, "naming": 0.6}
    # a rejected candidate's own score, not the standing best's that the file repeats
    assert third.score == 0.641
    assert dict(third.row.dims) == {}
    assert (fourth.score, fourth.failure_mode) == (None, "invalid")
    # startTime is when the run ended
    assert fourth.row.when is not None
    assert fourth.row.when.at.isoformat() == "2026-04-08T18:48:26.589000+00:00"
    assert not fourth.row.when.exact


def test_gtm_run_that_kept_nothing_stands_at_its_seed(ledger: Reader) -> None:
    only = [GTM["results"][3] | {"score": 0.8427}]  # type: ignore[index, operator]
    found = ledger(json.dumps(GTM | {"startScore": 0.8427, "results": only}), "x.json")
    assert counts(found) == (1, 0, 1, 0, 0)
    assert found.best_score == 0.8427
