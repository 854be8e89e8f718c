"""A ledger's rounds as the catalogue's events, with ids and times that are the same every time.

An event's uuid comes from the project, the client, the beginning of the run and the round's own
record, not from the file's name, its length or its time. So importing a file twice, or a copy of
it, or one that has grown, adds only what is new.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from nightpane.catalog import (
    ENVELOPE,
    EVENTS,
    Event,
    RoundKept,
    RoundReverted,
    RoundScored,
    RoundStarted,
    StopTriggered,
    cut,
)
from nightpane.ids import deterministic_ulid, deterministic_uuid
from nightpane.ledgers.git import CommitTimes
from nightpane.ledgers.model import Round, Row, Stop
from nightpane.ledgers.reading import Ledger, Run
from nightpane.ledgers.times import Anchors, RunClock, Span
from nightpane.ledgers.values import is_hash, words

__all__ = ["AGENT", "Imported", "ImportedEvent", "Tracker", "events", "import_ledger"]

AGENT = "loop"
_MILLISECOND = timedelta(milliseconds=1)
_OWN = words(
    "commit summary timestamp timestamp_estimated imported is_baseline metric_unit ledger_format "
    "ledger_status ledger_line ledger_score score_resolution distinct_id event uuid token"
)
# Names a ledger's own column must not take: the envelope's and those of the core events.
_RESERVED = (
    _OWN
    | {spec.name for spec in ENVELOPE}
    | {p.name for event in EVENTS.values() if event.group == "core" for p in event.properties}
)
_BAD_NAME = re.compile(r"[^\w.µμ%/\- ]+")
_MAX_NAME_CHARS = 80
_MAX_SUMMARY_CHARS = 500


@dataclass(frozen=True, slots=True)
class ImportedEvent:
    """One event as it is handed to the client."""

    event: str
    properties: Mapping[str, Any]
    timestamp: datetime
    uuid: str
    run_id: str
    round_id: str | None


class Tracker(Protocol):
    """What events are handed to: `nightpane.Pane`, or anything with its ``track``."""

    def track(self, event: str, /, **properties: Any) -> str | None:
        """Take one event; return its uuid, None when it was lost."""


def events(
    ledger: Ledger,
    *,
    project: str | None = None,
    client: str | None = None,
    anchors: Anchors | None = None,
    now: datetime | None = None,
) -> Iterator[ImportedEvent]:
    """Yield a ledger's events in the order of its rounds.

    ``project`` and ``client`` are part of the ids; the ledger's own are taken when not given.
    ``anchors`` remembers estimated times between imports; without it they follow the file's
    modification time. Raises LedgerError when the ledger's repository cannot be read.
    """
    anchors = anchors if anchors is not None else Anchors()
    now = now if now is not None else datetime.now(UTC)
    scope = (project or ledger.project, client or ledger.client or "internal")
    with ExitStack() as stack:
        git = stack.enter_context(CommitTimes(ledger.repo)) if ledger.repo is not None else None
        commit_time = git.time_of if git is not None else _no_time
        writers: dict[int, _RunEvents] = {}
        starts = _first_times(ledger, commit_time)
        for run in ledger.runs:
            key = _run_key(ledger, run, scope)
            first_at = starts.get(run.segment.index)
            points = (
                anchors.points(key, run.judge.rounds, ledger.modified_s, now)
                if first_at is None
                else []
            )
            clock = RunClock(first_at, points, commit_time)
            writers[run.segment.index] = _RunEvents(ledger, run, key, clock)
        for item in ledger.events():
            segment = item.segment if isinstance(item, Stop) else item.row.segment
            writer = writers.get(segment.index)
            if writer is None:
                continue
            yield from writer.stop(item) if isinstance(item, Stop) else writer.round(item)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import handed over: how many events, over what time, how much of it estimated.

    ``lost`` counts the events the pane could not keep; it says why itself.
    """

    events: int
    lost: int
    first_at: datetime | None
    last_at: datetime | None
    estimated: int


def import_ledger(
    ledger: Ledger,
    pane: Tracker | None,
    *,
    project: str | None = None,
    client: str | None = None,
    anchors: Anchors | None = None,
    progress: Callable[[int], None] | None = None,
) -> Imported:
    """Hand a ledger's events to a pane of the same project and client; return what came of it.

    Without a pane nothing is handed over, and the result says what would be. ``progress`` is
    called with the number of events so far. Raises LedgerError when the ledger's repository or
    the file itself cannot be read any more.
    """
    count = estimated = lost = 0
    first: datetime | None = None
    last: datetime | None = None
    for event in events(ledger, project=project, client=client, anchors=anchors):
        if pane is not None:
            kept = pane.track(
                event.event,
                agent=AGENT,
                run_id=event.run_id,
                round_id=event.round_id,
                timestamp=event.timestamp,
                uuid=event.uuid,
                **event.properties,
            )
            lost += kept is None
        count += 1
        if event.event != "round_started" and event.properties["timestamp_estimated"]:
            estimated += 1
        first = event.timestamp if first is None else min(first, event.timestamp)
        last = event.timestamp if last is None else max(last, event.timestamp)
        if progress is not None:
            progress(count)
    return Imported(count, lost, first, last, estimated)


def _no_time(commit: str | None) -> datetime | None:  # noqa: ARG001 (stands in for a repository)
    return None


def _first_times(
    ledger: Ledger, commit_time: Callable[[str | None], datetime | None]
) -> dict[int, datetime]:
    """The first known time of each run; without a repository the first reading knew it."""
    starts = {r.segment.index: r.first_at for r in ledger.runs if r.first_at is not None}
    if commit_time is _no_time:
        return starts
    wanted = {run.segment.index for run in ledger.runs}
    found: dict[int, datetime] = {}
    for item in ledger.rounds:
        index = item.row.segment.index
        if index not in found and (at := commit_time(item.row.commit)) is not None:
            found[index] = at
            if found.keys() >= wanted:
                break
    return starts | found


def _run_key(ledger: Ledger, run: Run, scope: tuple[str, str]) -> str:
    first, segment = run.first, run.segment
    return deterministic_uuid(
        "ledger-run",
        *scope,
        ledger.format,
        str(segment.index),
        segment.name or "",
        *segment.headers,
        first.commit or "",
        first.status or "",
        first.score_text,
        (first.description or "")[:200],
    )


class _RunEvents:
    """Makes the events of one run."""

    def __init__(self, ledger: Ledger, run: Run, key: str, clock: RunClock) -> None:
        self.ledger = ledger
        self.run = run
        self.key = key
        self.clock = clock
        self.run_id: str | None = None
        self.rounds = 0
        self.best: float | None = run.segment.start_score
        self.cost_usd: float | None = None

    def round(self, item: Round) -> Iterator[ImportedEvent]:
        span = self.clock.span(item)
        self.run_id = self.run_id or deterministic_ulid(_ms(span.start), "ledger-run", self.key)
        self.rounds += 1
        self.best = item.best_after
        row = item.row
        if row.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + row.cost_usd
        parts = (self.key, str(row.index), row.commit or "", row.score_text, item.outcome)
        round_id = deterministic_ulid(_ms(span.end), "ledger-round", *parts)
        for event, extra in self._core(item, span):
            at = span.end
            if isinstance(event, RoundStarted):
                at = span.start
            elif isinstance(event, RoundScored):
                at = span.end - _MILLISECOND  # the decision follows the score
            yield ImportedEvent(
                event.event,
                self._common(row, at) | _known(extra) | event.to_properties(),
                at,
                deterministic_uuid("ledger-event", *parts, event.event),
                self.run_id,
                round_id,
            )

    def _common(self, row: Row, at: datetime) -> dict[str, Any]:
        """What every event of a round says. ``git_sha`` is the ledger's or none: never ours."""
        is_sha = row.commit is not None and is_hash(row.commit)
        return _known(
            {
                "ts": at.timestamp(),
                "commit": row.commit,
                "summary": cut(row.description, _MAX_SUMMARY_CHARS) if row.description else None,
                "imported": True,
                "ledger_format": self.ledger.format,
                "ledger_status": row.status,
                "ledger_line": row.line,
            }
        ) | {"git_sha": row.commit if is_sha else None}

    def _core(self, item: Round, span: Span) -> Iterator[tuple[Event, dict[str, Any]]]:
        row = item.row
        before = item.best_before
        started = RoundStarted(
            baseline_score=before if before is not None else row.baseline_score,
            n_prior_rounds=item.n_prior_rounds,
        )
        yield started, {"is_baseline": item.baseline or None, "timestamp_estimated": True}
        rest = _own(row.properties) | {"timestamp_estimated": span.estimated}
        if item.score is not None:
            yield self._scored(item), rest | _dims(row) | {"metric_unit": row.segment.unit}
            rest = {"timestamp_estimated": span.estimated}
        if item.outcome == "kept":
            kept = RoundKept(delta=item.delta, new_best=item.best_after, cost_usd=_cost(row))
            yield kept, rest
        elif item.failure_mode is not None:
            reverted = RoundReverted(
                failure_mode=item.failure_mode, reason=row.description, cost_usd=_cost(row)
            )
            dropped = row.score if item.score is None and row.score else None
            yield reverted, rest | {"ledger_score": dropped}

    def _scored(self, item: Round) -> RoundScored:
        return RoundScored(
            score=item.score,
            metric=item.row.segment.metric,
            direction=item.direction,
            measured=None if item.row.measured else False,
        )

    def stop(self, item: Stop) -> Iterator[ImportedEvent]:
        """Yield the end of the run, none if it ended before its first round."""
        if self.run_id is None:
            return
        at, estimated = self.clock.stopped(item.when)
        stated = item.total_cost_usd
        event = StopTriggered(
            reason=item.reason,
            rounds_completed=self.rounds,
            total_cost_usd=stated if stated is not None else self.cost_usd,
            final_best_score=self.best,
        )
        extra = {
            "ts": at.timestamp(),
            "git_sha": None,
            "imported": True,
            "ledger_format": self.ledger.format,
            "ledger_line": item.line,
            "timestamp_estimated": estimated,
        }
        yield ImportedEvent(
            event.event,
            extra | event.to_properties(),
            at,
            deterministic_uuid("ledger-event", self.key, "stop", item.reason, str(self.rounds)),
            self.run_id,
            None,
        )


def _known(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None}


def _cost(row: Row) -> float | None:
    return row.cost_usd if row.cost_usd is not None and row.cost_usd >= 0 else None


def _dims(row: Row) -> dict[str, float]:
    return {f"dim_{_name(name)}": value for name, value in row.dims.items()}


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _own(properties: Mapping[str, Any]) -> dict[str, Any]:
    """A ledger's own columns under their own names, out of the way of the catalogue's."""
    found: dict[str, Any] = {}
    for key, value in properties.items():
        name = _name(key)
        if name.lower() in _RESERVED or name.startswith(("dim_", "$")):
            name = f"ledger_{name}"
        found[name] = value
    return found


def _name(key: str) -> str:
    return _BAD_NAME.sub("_", key.strip())[:_MAX_NAME_CHARS].strip() or "unnamed"
