"""The rules: what a status says, what a zero says, which way a metric points."""

from __future__ import annotations

import pytest
from tests.ledgers.conftest import HEADER, Reader, counts

from nightpane.ledgers.metrics import best_name, direction_of
from nightpane.ledgers.status import verdict


@pytest.mark.parametrize(
    ("word", "kind", "mode"),
    [
        ("keep", "kept", None),
        ("KEEP", "kept", None),
        ("**keep**", "kept", None),
        ("keep (worse, but simpler)", "kept", None),
        ("kept", "kept", None),
        ("accepted", "kept", None),
        ("Accepted - new best", "kept", None),
        ("NEW_BEST", "kept", None),
        ("improved", "kept", None),
        ("success", "kept", None),
        ("ok", "kept", None),
        ("baseline", "kept", None),
        ("✅ keep", "kept", None),
        ("✅", "kept", None),
        ("保留✔", "kept", None),
        ("discard", "reverted", None),
        ("discarded: no gain", "reverted", None),
        ("screen_discard", "reverted", None),
        ("no improvement", "reverted", None),
        ("not kept", "reverted", None),
        ("REVERTED", "reverted", None),
        ("rolled back", "reverted", None),
        ("回滚(交易<10)", "reverted", None),
        ("checks_failed", "reverted", "invalid"),
        ("INVALID", "reverted", "invalid"),
        ("crash", "crashed", "crash"),
        ("crash_oom", "crashed", "crash"),
        ("OOM", "crashed", "crash"),
        ("timeout", "crashed", "timeout"),
        ("timed out", "crashed", "timeout"),
        ("NaN", "crashed", "crash"),
        ("error", "crashed", "crash"),
        ("FAIL", "failed", None),
        ("server_failed", "failed", None),
    ],
)
def test_plain_statuses(word: str, kind: str, mode: str | None) -> None:
    found = verdict(word)
    assert found is not None
    assert (found.kind, found.failure_mode) == (kind, mode)


@pytest.mark.parametrize(
    "word",
    [
        "contender",
        "done",
        "partial",
        "pending",
        "BLOCKED",
        "WIP",
        "INFO",
        "iterate",
        "duplicate",
        "skipped",
        "maybe keep",
        "almost improved",
        "improved but discarded",
        "curriculum_0.67",
        "---",
        "",
        "a description that happens to mention that we keep the change after all",
    ],
)
def test_statuses_that_are_not_plain(word: str) -> None:
    assert verdict(word) is None


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val_bpb", "min"),
        ("best_val_bpb", "min"),
        ("val_loss", "min"),
        ("perplexity", "min"),
        ("val_rmse", "min"),
        ("hf_wer", "min"),
        ("val_fid", "min"),
        ("wall_seconds", "min"),
        ("total_benchmark_time", "min"),
        ("combined_µs", "min"),
        ("latency_ms", "min"),
        ("ms_per_token", "min"),
        ("prompt_bytes_total", "min"),
        ("peak_memory", "min"),
        ("error_rate", "min"),
        ("false_positive_rate", "min"),
        ("max_drawdown", "min"),
        ("accuracy_loss", "min"),
        ("cost_usd", "min"),
        ("score", "max"),
        ("avg_score", "max"),
        ("accuracy", "max"),
        ("val_auc", "max"),
        ("macroF1", "max"),
        ("mean_reward", "max"),
        ("tokens_per_sec", "max"),
        ("decode_tok_s", "max"),
        ("throughput_tflops", "max"),
        ("speedup_vs_pytorch", "max"),
        ("sharpe", "max"),
        ("best_r2_score", "max"),
        ("win_rate", "max"),
        ("proxy_ndcg10", "max"),
        ("neg_loss", "max"),
        ("val_psnr", "max"),
        ("pass_rate", "max"),
        ("column_4", None),
        ("acs", None),
    ],
)
def test_direction_by_name(name: str, direction: str | None) -> None:
    assert direction_of(name)[0] == direction


def test_direction_by_unit_where_the_name_says_nothing() -> None:
    assert direction_of("total", "ms")[0] in ("min", "max")
    assert direction_of("thing", "ms") == ("min", True)
    assert direction_of("thing", "tok/s") == ("max", True)


@pytest.mark.parametrize(
    ("names", "after", "best"),
    [
        (["val_bpb", "memory_gb"], 0, "val_bpb"),
        (["memory_gb", "val_bpb"], 0, "val_bpb"),
        (["robustness_gap", "worst_case_bpb", "baseline_bpb"], 0, "robustness_gap"),
        (["acs", "autonomy_pct", "self_org_score"], 0, "acs"),
        (["old_score", "new_score"], 0, "new_score"),
        (["metric_before", "metric_after", "delta"], 0, "metric_after"),
        (["imagery", "flow", "hook", "score"], None, "score"),
        (["round", "train_score", "val_score", "val_drawdown"], None, "val_score"),
        (["experiment", "throughput_tflops", "latency_us"], None, "throughput_tflops"),
        (["run", "wall_seconds", "memory_gb"], None, "wall_seconds"),
        (["epoch", "lr"], None, None),
    ],
)
def test_metric_by_name(names: list[str], after: int | None, best: str | None) -> None:
    index = best_name(names, after=after)
    assert (None if index is None else names[index]) == best


def test_a_zero_discard_where_lower_is_better_was_never_measured(ledger: Reader) -> None:
    found = ledger(HEADER + "a1\t0.9\t1\tkeep\tx\nb1\t0.0\t1\tdiscard\tnever ran\n")
    assert [r.score for r in found.rounds] == [0.9, None]
    assert counts(found) == (2, 1, 1, 0, 0)
    assert "taken as not measured" in found.notes[0]


def test_a_kept_zero_is_a_score_where_zero_can_be(ledger: Reader) -> None:
    found = ledger(
        "commit\tfailures\tstatus\na1\t12\tkeep\nb1\t0\tdiscard\nc1\t0\tkeep\nd1\t0\tdiscard\n"
    )
    assert [r.score for r in found.rounds] == [12.0, None, 0.0, 0.0]
    assert found.best_score == 0.0


def test_a_kept_zero_bits_per_byte_is_no_score(ledger: Reader) -> None:
    found = ledger(HEADER + "a1\t0.9\t1\tkeep\tx\nb1\t0.000000\t0.0\tkeep\toops\n")
    assert found.best_score == 0.9
    assert found.count("kept") == 2
    assert any("without a score" in note for note in found.notes)


def test_zeros_are_scores_where_higher_is_better(ledger: Reader) -> None:
    found = ledger("commit\tscore\tstatus\na1\t0.0\tdiscard\nb1\t0\tkeep\nc1\t0.0\tcrash\n")
    assert [r.score for r in found.rounds] == [0.0, 0.0, None]


def test_a_crash_with_a_number_has_no_score(ledger: Reader) -> None:
    found = ledger(HEADER + "a1\t0.9\t1\tkeep\tx\nb1\t0.1\t1\tcrash\twrong loss\n")
    assert found.best_score == 0.9
    assert [r.score for r in found.rounds] == [0.9, None]


def test_fail_is_a_crash_without_a_score_and_a_discard_with_one(ledger: Reader) -> None:
    found = ledger("commit\taccuracy\tstatus\na1\t0.5\tkeep\nb1\t0\tFAIL\nc1\t0.4\tFAIL\n")
    assert counts(found) == (3, 1, 1, 1, 0)
    assert [r.failure_mode for r in found.rounds] == [None, "crash", "invalid"]


def rows(*scores: tuple[float, str]) -> str:
    return "".join(f"c{i}\t{score}\t{status}\n" for i, (score, status) in enumerate(scores))


def test_evidence_decides_where_the_name_says_nothing(ledger: Reader) -> None:
    found = ledger("commit\tzap\tstatus\n" + rows((5, "keep"), (4, "keep"), (6, "discard")))
    (run,) = found.runs
    assert run.direction == "min"
    assert "2 of 2 of the ledger's own decisions" in run.how


def test_unanimous_evidence_overrules_the_name_and_says_so(ledger: Reader) -> None:
    falling = [(10 - i, "keep") for i in range(7)]
    found = ledger("commit\tscore\tstatus\n" + rows(*falling))
    (run,) = found.runs
    assert run.direction == "min"
    assert "against its name" in run.how
    assert found.best_score == 4


def test_divided_evidence_only_warns(ledger: Reader) -> None:
    mixed = [(5, "keep"), (4, "keep"), (3, "keep"), (2, "keep"), (6, "keep"), (5, "keep")]
    found = ledger("commit\tscore\tstatus\n" + rows(*mixed))
    (run,) = found.runs
    assert run.direction == "max"
    assert "say the opposite" in run.how


def test_nothing_to_go_by_is_said(ledger: Reader) -> None:
    (run,) = ledger("commit\tzap\tstatus\n" + rows((5, "keep"))).runs
    assert "nothing to go by" in run.how


def test_direction_given_wins(ledger: Reader) -> None:
    (run,) = ledger("commit\tzap\tstatus\n" + rows((5, "keep")), direction="min").runs
    assert (run.direction, run.how) == ("min", "lower is better, as given")


def test_a_better_score_that_was_not_kept_is_pointed_out(ledger: Reader) -> None:
    found = ledger(HEADER + "a1\t0.9\t1\tkeep\tx\nb1\t0.8\t1\tdiscard\ttoo slow\n")
    assert found.best_score == 0.9
    assert "0.8 (line 3)" in found.notes[0]
