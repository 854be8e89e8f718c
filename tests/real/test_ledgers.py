"""Real ledgers: what is imported equals what a naive reading of each file gives.

The naive readings below share no code with nightpane: a line is split at tabs, a status is looked
up in a list of words that was made by looking at the files, and the score is the number in a
column that was found by looking at the header.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nightpane.catalog import problems
from nightpane.ledgers import events, read

SHARED = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="../shared/data is absent: real ledgers cannot be read"
)

GREEN_CEDAR = (
    "TheGreenCedar__codex-autoresearch__plugins_codex-autoresearch_examples_demo-session_"
    "autoresearch.jsonl"
)
KEPT = {"keep", "baseline", "ok", "success", "pass", "new_best", "best", "accepted"}
REVERTED = {"discard", "revert", "reverted", "rejected", "kill", "checks_failed"}
FAILED = {"fail", "failed"}


class Counts(NamedTuple):
    rounds: int
    kept: int
    reverted: int
    crashed: int
    best: float | None


def number(text: str) -> float | None:
    try:
        value = float(text.strip().rstrip("%"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def tally(rows: Iterable[tuple[str, float | None]], pick: Callable[..., Any]) -> Counts:
    """Count (status, score) pairs; statuses not in the lists are passed over, blank ones scored."""
    kept, reverted, crashed, blank, scores = 0, 0, 0, 0, []
    for status, score in rows:
        word = status.strip().lower()
        if word in KEPT:
            kept += 1
            scores += [score] if score is not None else []
        elif word in REVERTED or (word in FAILED and score):
            reverted += 1
        elif word == "crash" or word in FAILED:
            crashed += 1
        elif word == "" and score is not None:
            blank += 1
            scores.append(score)
    return Counts(
        kept + reverted + crashed + blank, kept, reverted, crashed, pick(scores) if scores else None
    )


def naive_table(path: Path, status: int, score: int | None, width: int, pick: Any) -> Counts:
    rows = []
    for line in path.read_text("utf-8").split("\n")[1:]:
        cells = line.split("\t")
        if len(cells) in (width, width + 1):
            shift = len(cells) - width  # a tab too many stands before the status in two files
            rows.append(
                (cells[status + shift], number(cells[score]) if score is not None else None)
            )
    return tally(rows, pick)


# file: (index of the status, index of the score, columns, which score is best)
TABLES: dict[str, tuple[int, int | None, int, Any]] = {
    "autoagent/AmineAAAAAA__AWCEE-AutoAgent__results_alexandre.tsv": (5, 1, 7, max),
    "autoagent/AmineAAAAAA__AWCEE-AutoAgent__results_igor.tsv": (5, 1, 7, max),
    "autoagent/AmineAAAAAA__AWCEE-AutoAgent__results_lucas.tsv": (5, 1, 7, max),
    "autoresearch/Akshatkasera__Autoresearch-STT__results.tsv": (5, 1, 7, min),
    "autoresearch/Cklaus1__autokernel5090__results.tsv": (7, 3, 10, max),
    "autoresearch/Cklaus1__autokernel5090__sglang_results.tsv": (5, 2, 7, max),
    "autoresearch/ClayDong__books2skill__results.tsv": (5, 4, 9, max),
    "autoresearch/DDay-FG__autoresearch-mlx__results.tsv": (3, 1, 5, min),
    "autoresearch/DonsetPG__auto-noise-llm__results.tsv": (0, 0, 99, max),
    "autoresearch/Fchaubard__zero_order_diffusion_autoresearcher__mar10__results.tsv": (
        *(3, 1, 5),
        min,
    ),
    "autoresearch/Fchaubard__zero_order_diffusion_autoresearcher__mar17__results.tsv": (
        *(3, 1, 5),
        min,
    ),
    "autoresearch/karpathy__autoresearch__exp-H100-mar8__results.tsv": (3, 1, 5, min),
    "autoresearch/karpathy__autoresearch__pr109__dojo_results.tsv": (5, 1, 7, max),
    "autoresearch/karpathy__autoresearch__pr109__loop_results.tsv": (6, 1, 8, min),
    "autoresearch/karpathy__autoresearch__pr109__results.tsv": (3, 1, 5, min),
    "autoresearch/karpathy__autoresearch__pr158__results.tsv": (3, 1, 5, min),
    "autoresearch/karpathy__autoresearch__pr242__phase1_agent_results.tsv": (3, 1, 5, min),
    "autoresearch/karpathy__autoresearch__pr245__results.tsv": (7, 1, 9, max),
    "autoresearch/karpathy__autoresearch__pr246__results.tsv": (2, 1, 4, min),
    "autoresearch/karpathy__autoresearch__pr391__autoresearch_results_arbiter.tsv": (
        *(7, None, 9),
        max,
    ),
    "autoresearch/karpathy__autoresearch__pr391__autoresearch_results_arbiter_results.tsv": (
        *(7, None, 9),
        max,
    ),
    "autoresearch/karpathy__autoresearch__pr391__autoresearch_results_crypto_15min.tsv": (
        *(8, 5, 10),
        max,
    ),
    "autoresearch/karpathy__autoresearch__pr391__autoresearch_results_crypto_15min_results.tsv": (
        *(7, None, 9),
        max,
    ),
    "autoresearch/karpathy__autoresearch__pr391__autoresearch_results_kalshi_weather_results.tsv": (
        *(7, None, 9),
        max,
    ),
    "autoresearch/karpathy__autoresearch__pr391__autoresearch_results_weekly_condor_results.tsv": (
        *(7, None, 9),
        max,
    ),
    "autoresearch/karpathy__autoresearch__pr48__dojo_results.tsv": (5, 1, 7, max),
    "autoresearch/karpathy__autoresearch__pr48__loop_results.tsv": (6, 1, 8, min),
    "autoresearch/karpathy__autoresearch__pr48__results.tsv": (3, 1, 5, min),
    "autoresearch/karpathy__autoresearch__pr577__results.tsv": (4, 2, 6, max),
}


def found_in(path: Path) -> Counts:
    ledger = read(path)
    rounds = list(ledger.rounds)
    by = {word: sum(r.outcome == word for r in rounds) for word in ("kept", "reverted", "crashed")}
    counts = Counts(len(rounds), *by.values(), ledger.best_score)
    assert counts[:4] == (ledger.n_rounds, *(ledger.count(word) for word in by))
    return counts


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str) -> None:
    path = SHARED / "ledgers" / name
    assert found_in(path) == naive_table(path, *TABLES[name])


@pytest.mark.parametrize(
    "name", ["evolve_results", "runs_nli-snli-may15-run1_results"], ids=["header only", "full"]
)
def test_comma_separated(name: str) -> None:
    folder = SHARED / "ledgers" / "autoresearch"
    path = folder / f"csinva__circuit-building-autoresearch__{name}_overall_results.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["status"], number(row["accuracy"])) for row in csv.DictReader(file)]
    assert found_in(path) == tally(rows, max)


def records(name: str) -> list[dict[str, Any]]:
    path = SHARED / "ledgers" / "jsonl" / name
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


@pytest.mark.parametrize(
    "name",
    [
        "D3MZ__MonsieurPapin.jl__autoresearch.jsonl",
        "DataDog__datadog-static-analyzer__autoresearch.jsonl",
        "Dhruv2mars__parameter-golf__autoresearch.jsonl",
        "PostHog__posthog-android__autoresearch.jsonl",
        GREEN_CEDAR,
        "ThomAub__parameter-golf__autoresearch.jsonl",
    ],
)
def test_autoresearch_jsonl(name: str) -> None:
    runs = [record for record in records(name) if "run" in record]
    expected = tally([(r["status"], r["metric"] or None) for r in runs], min)
    assert found_in(SHARED / "ledgers" / "jsonl" / name) == expected


@pytest.mark.parametrize(
    ("name", "rows", "pick"),
    [
        (
            "Expertium__rwkv-anki-autoresearch__optimization_log.jsonl",
            lambda r: (r["status"], r["logloss"]["ahead"]),
            min,
        ),
        (
            "Leijiayun-1__stirrup_agent__autoresearch_ledger.jsonl",
            lambda r: (r["status"], r["metric_value"]),
            max,
        ),
        (
            "karpathy__autoresearch__pr238__phase2_bayesian_focused_results.jsonl",
            lambda r: (r["results"]["status"], r["results"]["val_bpb"]),
            min,
        ),
    ],
)
def test_other_runners_json_lines(name: str, rows: Any, pick: Any) -> None:
    expected = tally([rows(record) for record in records(name)], pick)
    assert found_in(SHARED / "ledgers" / "jsonl" / name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "skillberry-ai__cap-evolve__examples_skillsbench_run_full_events.jsonl",
        "skillberry-ai__cap-evolve__examples_tau2_airline_run_agentopt_v3_events.jsonl",
    ],
)
def test_cap_evolve(name: str) -> None:
    rows = []
    for record in records(name):
        if record["kind"] in ("baseline", "reject", "step"):
            word = {"baseline": "keep", "reject": "discard"}.get(record["kind"])
            word = word or ("keep" if record["accept"] else "discard")
            rows.append((word, record["val"]))
    assert found_in(SHARED / "ledgers" / "jsonl" / name) == tally(rows, max)


def test_headerless_table() -> None:
    path = SHARED / "ledgers" / "autoagent" / "gamalielaji__claude-config__autoagent_results.tsv"
    assert found_in(path) == Counts(4, 4, 0, 0, 1334.0)


def gtm_files() -> list[Path]:
    return sorted((SHARED / "gtm" / "loop-results").glob("*.json")) if SHARED.is_dir() else []


@pytest.mark.parametrize("path", gtm_files(), ids=lambda path: path.stem[-30:])
def test_gtm_loop_results(path: Path) -> None:
    document = json.loads(path.read_text("utf-8"))
    actions = [result["action"] for result in document["results"]]
    improved = actions.count("improved")
    assert found_in(path) == Counts(
        len(actions), improved, len(actions) - improved, 0, document["bestScore"]
    )
    rejected = [r for r in read(path).rounds if r.outcome == "reverted" and r.score is not None]
    assert len(rejected) == actions.count("reverted")
    for round_ in rejected:
        text = document["results"][round_.row.index]["mutationSummary"]
        assert text.startswith(f"{100 * (round_.score or 0):.1f}% <= ")


def test_all_files_are_covered() -> None:
    covered = set(TABLES) | {
        "autoagent/gamalielaji__claude-config__autoagent_results.tsv",
    }
    tables = {f"{path.parent.name}/{path.name}" for path in (SHARED / "ledgers").glob("*/*.tsv")}
    assert tables == covered
    assert len(list((SHARED / "ledgers" / "jsonl").iterdir())) == 11
    assert len(gtm_files()) == 8


def test_every_event_of_every_real_ledger_fits_the_catalogue() -> None:
    seen = 0
    for path in [*(SHARED / "ledgers").glob("*/*"), *gtm_files()]:
        made = list(events(read(path)))
        assert len({event.uuid for event in made}) == len(made)
        for event in made:
            envelope = {"project": "p", "client": "c", "agent": "loop", "run_id": event.run_id}
            sent = {**envelope, "round_id": event.round_id, **event.properties}
            sent = {name: value for name, value in sent.items() if value is not None}
            assert problems(event.event, sent) == [], (path.name, event)
            json.dumps(sent, allow_nan=False)
            seen += 1
    assert seen > 9_000
