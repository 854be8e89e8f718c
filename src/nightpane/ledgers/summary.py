"""A ledger's summary as plain values: what came in, what did not, and what was guessed."""

from __future__ import annotations

from typing import Any

from nightpane.ledgers.emit import Imported
from nightpane.ledgers.reading import Ledger, Run

__all__ = ["summary", "times_word"]


def summary(ledger: Ledger, imported: Imported, *, project: str, client: str) -> dict[str, Any]:
    """Return the summary of one file, ready for JSON."""
    best = ledger.best
    best_round = best.judge.best_round if best is not None else None
    last = ledger.runs[-1] if ledger.runs else None
    return {
        "path": str(ledger.path),
        "format": ledger.format,
        "project": project,
        "client": client,
        "metric": last.segment.metric if last else None,
        "metric_guessed": last is not None and not last.segment.metric_stated,
        "direction": last.direction if last else None,
        "direction_how": last.how if last else None,
        "rounds": ledger.n_rounds,
        "kept": ledger.count("kept"),
        "reverted": ledger.count("reverted"),
        "crashed": ledger.count("crashed"),
        "undecided": ledger.count("undecided"),
        "failure_modes": _failure_modes(ledger),
        "best_score": ledger.best_score,
        "best_commit": best_round.row.commit if best_round else None,
        "best_line": best_round.line if best_round else None,
        "runs": [_run(run) for run in ledger.runs],
        "events": imported.events,
        "lost": imported.lost,
        "timestamps": times_word(ledger, imported),
        "first_at": imported.first_at.isoformat() if imported.first_at else None,
        "last_at": imported.last_at.isoformat() if imported.last_at else None,
        "unread": ledger.unread,
        "unread_lines": [{"line": p.line, "reason": p.reason} for p in ledger.problems],
        "notes": list(ledger.notes),
    }


def times_word(ledger: Ledger, imported: Imported) -> str:
    """Return where the times come from: ``git``, ``file``, ``partly estimated``, ``estimated``."""
    if not imported.events:
        return "none"
    if imported.estimated == 0:
        return "git" if ledger.repo is not None else "file"
    closing = sum(run.judge.rounds for run in ledger.runs)
    known = any(run.with_time for run in ledger.runs) or ledger.repo is not None
    return "partly estimated" if known and imported.estimated < closing * 2 else "estimated"


def _failure_modes(ledger: Ledger) -> dict[str, int]:
    modes: dict[str, int] = {}
    for run in ledger.runs:
        for mode, count in run.judge.failure_modes.items():
            modes[mode] = modes.get(mode, 0) + count
    return modes


def _run(run: Run) -> dict[str, Any]:
    judge = run.judge
    return {
        "name": run.segment.name,
        "metric": run.segment.metric,
        "direction": run.direction,
        "direction_how": run.how,
        "rounds": judge.rounds,
        **{word: judge.counts[word] for word in ("kept", "reverted", "crashed", "undecided")},
        "best_score": judge.best,
        "cost_usd": judge.cost_usd,
    }
