"""Tables: AutoResearch's results.tsv and what became of it."""

from __future__ import annotations

import pytest
from tests.ledgers.conftest import HEADER, Reader, counts

from nightpane.errors import LedgerError

ROWS = (
    "a1b2c3d\t0.9979\t44.0\tkeep\tbaseline\n"
    "b1b2c3d\t0.9860\t43.9\tkeep\thalve the batch\n"
    "c1b2c3d\t0.9911\t43.9\tdiscard\twider\n"
    "d1b2c3d\t0.000000\t0.0\tcrash\tout of memory\n"
)


def test_autoresearch_table(ledger: Reader) -> None:
    found = ledger(HEADER + ROWS)
    assert (found.format, found.project) == ("autoresearch", "autoresearch")
    assert counts(found) == (4, 2, 1, 1, 0)
    assert found.best_score == 0.9860
    (run,) = found.runs
    assert run.segment.metric == "val_bpb"
    assert run.direction == "min"
    assert "guessed" in run.how
    assert run.judge.best_round is not None
    assert run.judge.best_round.row.commit == "b1b2c3d"


def test_rounds_carry_delta_best_and_what_the_row_says(ledger: Reader) -> None:
    first, second, third, fourth = ledger(HEADER + ROWS).rounds
    assert first.delta is None
    assert second.delta == pytest.approx(0.0119)
    assert (second.best_before, second.best_after) == (0.9979, 0.9860)
    assert (third.outcome, third.failure_mode, third.delta) == ("reverted", "score_missed", None)
    assert third.best_after == 0.9860
    assert (fourth.outcome, fourth.failure_mode, fourth.score) == ("crashed", "crash", None)
    assert second.row.description == "halve the batch"
    assert second.row.properties == {"memory_gb": 43.9}
    assert [r.line for r in (first, second, third, fourth)] == [2, 3, 4, 5]
    assert [r.n_prior_rounds for r in (first, second, third, fourth)] == [0, 1, 2, 3]


def test_a_keep_that_is_worse_has_a_negative_delta_and_no_new_best(ledger: Reader) -> None:
    *_, last = ledger(HEADER + ROWS + "e1b2c3d\t0.99\t44\tkeep\tsimpler\n").rounds
    assert last.delta == pytest.approx(-0.004)
    assert last.best_after == 0.9860


def test_autoagent_table(ledger: Reader) -> None:
    found = ledger(
        "commit\tavg_score\tpassed\ttask_scores\tcost_usd\tstatus\tdescription\n"
        "a1b2c3d\t0.000\t0/2\tmail:0.0,brief:0.0\t0.05\tkeep\tbaseline\n"
        'b1b2c3d\t0.750\t1/2\t{"mail":1.0,"brief":0.5}\t0.10\tkeep\ttools\n'
    )
    assert (found.format, found.project) == ("autoagent", "autoagent")
    assert counts(found) == (2, 2, 0, 0, 0)
    assert found.best_score == 0.75
    first, second = found.rounds
    assert first.score == 0.0  # a true zero: higher is better
    assert second.delta == pytest.approx(0.75)
    assert second.row.cost_usd == 0.10
    assert dict(second.row.dims) == {"mail": 1.0, "brief": 0.5}
    assert second.row.properties == {"passed": 1, "n_tasks": 2}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("crlf", (HEADER + ROWS).replace("\n", "\r\n")),
        ("old mac line ends", (HEADER + ROWS).replace("\n", "\r")),
        ("byte order mark", "\ufeff" + HEADER + ROWS),
        ("commas", (HEADER + ROWS).replace("\t", ",")),
        ("semicolons and decimal commas", (HEADER + ROWS).replace(".", ",").replace("\t", ";")),
        ("colours", "\x1b[1m" + (HEADER + ROWS).replace("keep", "\x1b[32mkeep\x1b[0m")),
        ("header again", HEADER + ROWS[:38] + HEADER + ROWS[38:]),
        ("comments and blank lines", "# my night\n\n" + HEADER + "# go\n" + ROWS + "\n\n"),
        ("header as a comment", "# " + HEADER + ROWS),
        ("no header", ROWS),
        ("capitals", (HEADER + ROWS).upper()),
        ("spaces", (HEADER + ROWS).replace("\t", "   ")),
        ("no last line break", (HEADER + ROWS).removesuffix("\n")),
        ("surrounding spaces", (HEADER + ROWS).replace("\t", " \t ")),
        ("quoted cells", (HEADER + ROWS).replace("halve the batch", '"halve\tthe\nbatch"')),
        ("text", "My night\n\n```\n" + HEADER + ROWS + "```\n"),
        ("more tabs in the text", (HEADER + ROWS).replace("halve the batch", "halve\tthe\tbatch")),
        ("rule lines", HEADER + "-----\n" + ROWS),
    ],
)
def test_the_same_night_however_it_is_written(ledger: Reader, name: str, text: str) -> None:
    found = ledger(text)
    expected_unread = 1 if name == "text" else 0
    assert counts(found) == (4, 2, 1, 1, expected_unread)
    assert found.best_score == 0.986
    assert found.runs[0].direction == "min"


def test_utf16_as_powershell_writes_it(ledger: Reader) -> None:
    assert counts(ledger((HEADER + ROWS).encode("utf-16"))) == (4, 2, 1, 1, 0)


def test_markdown_table_in_a_document(ledger: Reader) -> None:
    rows = "".join(f"| {line} |\n" for line in ROWS.replace("\t", " | ").splitlines())
    found = ledger(
        "# Night | one\n\nprose\n\n| commit | val_bpb | memory_gb | status | description |\n"
        f"|---|---:|---|:-:|---|\n{rows}\nThe end.\n",
        "notes.md",
    )
    assert counts(found) == (4, 2, 1, 1, 0)
    assert found.best_score == 0.986


def test_layout_that_changes_midway(ledger: Reader) -> None:
    found = ledger(
        HEADER + ROWS + "commit\tval_bpb\ttrain_s\tstatus\tmemory_gb\tdescription\n"
        "e1b2c3d\t0.97\t300\tkeep\t44\tlonger\n"
    )
    assert counts(found) == (5, 3, 1, 1, 0)
    assert found.best_score == 0.97
    *_, last = found.rounds
    assert last.row.properties == {"train_s": 300.0, "memory_gb": 44.0}


def test_metric_that_changes_midway_is_another_run(ledger: Reader) -> None:
    found = ledger(HEADER + ROWS + "commit\taccuracy\tstatus\ne1b2c3d\t0.5\tkeep\n")
    assert [(r.segment.metric, r.direction) for r in found.runs] == [
        ("val_bpb", "min"),
        ("accuracy", "max"),
    ]
    assert found.best_score == 0.5
    assert [round_.best_before for round_ in found.rounds][-1] is None


def test_header_only(ledger: Reader) -> None:
    found = ledger(HEADER)
    assert counts(found) == (0, 0, 0, 0, 0)
    assert found.best_score is None


def test_half_last_line_is_reported_by_number(ledger: Reader) -> None:
    found = ledger(HEADER + ROWS + "e1b2c3d\t0.9")
    assert counts(found) == (4, 2, 1, 1, 1)
    assert found.problems[0].line == 6
    assert found.problems[0].reason == "2 of 5 columns"


def test_line_breaks_in_unquoted_text_are_reported_and_harm_no_row(ledger: Reader) -> None:
    found = ledger(HEADER + ROWS.replace("halve the batch", "run:\nimport os\n\nx = 1"))
    assert counts(found) == (4, 2, 1, 1, 2)
    assert [p.line for p in found.problems] == [4, 6]


def test_a_quote_that_never_closes_swallows_no_rows(ledger: Reader) -> None:
    text = ROWS.replace("baseline", '"baseline').replace("wider", 'wider"')
    assert counts(ledger(HEADER + text)) == (4, 2, 1, 1, 0)


def test_status_that_is_not_plain_is_reported_not_guessed(ledger: Reader) -> None:
    found = ledger(HEADER + ROWS + "e1b2c3d\t0.5\t44\tcontender\tpromising\n")
    assert counts(found) == (4, 2, 1, 1, 1)
    assert found.problems[0].line == 6
    assert "'contender'" in found.problems[0].reason
    assert found.best_score == 0.986


def test_score_of_a_kept_row_that_is_no_number_is_reported(ledger: Reader) -> None:
    found = ledger(HEADER + ROWS + "e1b2c3d\tgreat\t44\tkeep\tx\n")
    assert counts(found) == (4, 2, 1, 1, 1)
    assert found.problems[0].reason == "score 'great' is not a number"


def test_one_delimiter_too_many_before_the_status(ledger: Reader) -> None:
    header = "commit\tnote\tmetric_after\tstatus\tdescription\n"
    found = ledger(
        header + "a1b2c3d\tx\t5\tkeep\ty\nb1b2c3d\tp\tq\t6\tkeep\tz\n", metric="metric_after"
    )
    assert [r.score for r in found.rounds] == [5.0, 6.0]
    ambiguous = ledger(HEADER + ROWS + "e1b2c3d\t0.9\t0.8\t44\tkeep\tx\n")
    assert ambiguous.unread == 1
    assert "not plain" in ambiguous.problems[0].reason


def test_no_status_column_means_scored_and_undecided(ledger: Reader) -> None:
    found = ledger("commit\tval_bpb\tdescription\na1b2c3d\t0.99\tx\nb1b2c3d\t0.98\ty\n")
    assert (found.n_rounds, found.count("undecided")) == (2, 2)
    assert found.best_score == 0.98
    assert "no status" in " ".join(found.notes)


def test_yes_and_no_in_a_column_called_kept(ledger: Reader) -> None:
    found = ledger("iteration,accuracy,kept,notes\n1,0.8,True,a\n2,0.7,False,b\n3,0.9,yes,c\n")
    assert counts(found) == (3, 2, 1, 0, 0)
    assert found.best_score == 0.9


def test_status_column_of_another_name_is_found_by_its_words(ledger: Reader) -> None:
    found = ledger(
        "experiment\ttag\tthroughput_tflops\tlatency_us\tcorrectness\tdescription\n"
        "0\tbase\t15.1\t7094\tPASS\tx\n1\ta\t136\t785\tREVERT\ty\n2\tb\t0.0\t0\tFAIL\tz\n"
    )
    assert counts(found) == (3, 1, 1, 1, 0)
    assert found.runs[0].segment.metric == "throughput_tflops"
    assert found.runs[0].direction == "max"


def test_pairs_of_before_and_after(ledger: Reader) -> None:
    found = ledger(
        "timestamp\tcommit\told_score\tnew_score\tstatus\tnote\n"
        "2026-06-17T14:30\tbase\t-\t66.1\tbaseline\tx\n"
        "2026-06-17T14:35\tca3ecf3\t66.1\t69.1\tkeep\ty\n"
    )
    assert found.runs[0].segment.metric == "new_score"
    first, second = found.rounds
    assert first.baseline
    assert second.row.baseline_score == 66.1
    assert second.row.when is not None
    assert second.row.when.at.isoformat() == "2026-06-17T14:35:00+00:00"


def test_headerless_before_and_after(ledger: Reader) -> None:
    found = ledger(
        "2026-04-05T08:38\tone\t1150\t1184\tKEEP\tmore context here\n"
        "2026-04-05T08:50\ttwo\t1184\t1268\tKEEP\tmore steps here\n"
        "2026-04-05T08:54\tthree\t1268\t1315\tKEEP\ttrimmed text here\n"
    )
    assert found.best_score == 1315
    assert "no header" in found.notes[0]


def test_metric_given(ledger: Reader) -> None:
    text = HEADER + ROWS
    assert ledger(text, metric="memory_gb", direction="min").best_score == 43.9
    with pytest.raises(LedgerError, match="no column 'loss'; it has commit, val_bpb"):
        ledger(text, metric="loss")


def test_tables_that_are_no_ledgers(ledger: Reader) -> None:
    for text in (
        "protein\tpeptide\tintensity\nA\tB\t12\nC\tD\t13\n",
        "name,age,city\nAnn,33,Bern\nBob,44,Rome\n",
        "Dear diary,\ntoday was a fine day.\n",
        "1\t2\t3\n4\t5\t6\n",
    ):
        with pytest.raises(LedgerError, match="no ledger that is known"):
            ledger(text)


def test_percent_thousands_spread_and_about(ledger: Reader) -> None:
    found = ledger(
        "commit\taccuracy\tstatus\na1\t58.4%\tkeep\nb1\t1,234.5\tkeep\n"
        "c1\t0.98 ± 0.01\tdiscard\nd1\t~0.79\tdiscard\ne1\t`61`\tdiscard\n"
    )
    assert [r.score for r in found.rounds] == [58.4, 1234.5, 0.98, 0.79, 61.0]
    assert [r.row.measured for r in found.rounds] == [True, True, True, False, True]


def test_a_decision_counts_before_a_status_and_a_crash_before_both(ledger: Reader) -> None:
    found = ledger(
        "iteration\tstatus\taccuracy\tdecision\n1\tok\t0.5\tkeep\n2\tok\t0.4\tdiscard\n"
        "3\tcrash\t0\tdiscard\n4\tok\t0.6\tkeep\n"
    )
    assert counts(found) == (4, 2, 1, 1, 0)
    assert found.best_score == 0.6
