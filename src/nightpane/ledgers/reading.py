"""From a file to a `Ledger`: which format it is, and one pass over it to count and to decide.

The file is read twice: once here, in constant memory, and again whenever the rounds are iterated.
Nothing but LedgerError leaves this module, whatever the file holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from nightpane.errors import LedgerError
from nightpane.ledgers import autoagent, cap_evolve, gtm, jsonl, metrics, tables
from nightpane.ledgers.jsonl import loads
from nightpane.ledgers.judge import Judge, Votes
from nightpane.ledgers.lines import Source, clean
from nightpane.ledgers.model import Direction, Problem, Round, Row, Segment, Stop

__all__ = ["Format", "Ledger", "Run", "read"]

MAX_KEPT_PROBLEMS = 1000
_LIST_KEYS = ("experiments", "results", "runs", "rounds", "history", "iterations", "trials", "log")


class Format(Protocol):
    """A recognised ledger: its format's name, whose loop it is, and its records."""

    name: str
    project: str
    client: str | None

    @property
    def notes(self) -> list[str]:
        """What the user should know of how the file was understood."""

    def records(self) -> Iterator[Row | Problem | Stop]:
        """Yield what each record says, from the start, at every call."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a ledger: what can be compared with itself. ``judge`` has its counts."""

    segment: Segment
    judge: Judge
    how: str
    first: Row
    first_at: datetime | None
    with_time: int

    @property
    def direction(self) -> Direction:
        """Which way the metric is better."""
        return self.judge.direction


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger that was read. Iterating `rounds` reads the file again, from its start.

    ``problems`` holds the first `MAX_KEPT_PROBLEMS` lines that were not read, ``unread`` how many
    there were in all.
    """

    path: Path
    format: str
    project: str
    client: str | None
    runs: tuple[Run, ...]
    problems: tuple[Problem, ...]
    unread: int
    notes: tuple[str, ...]
    modified_s: float
    repo: Path | None
    _format: Format = field(repr=False)

    @property
    def rounds(self) -> Iterator[Round]:
        """Yield the rounds in the file's order."""
        return (item for item in self.events() if isinstance(item, Round))

    def events(self) -> Iterator[Round | Stop]:
        """Yield the rounds, and the ends of runs where the file states them."""
        judges = {
            run.segment.index: Judge(run.segment, run.direction, run.judge.known)
            for run in self.runs
        }
        for item in self._format.records():
            if isinstance(item, Row) and item.segment.index in judges:
                judged = judges[item.segment.index].judge(item)
                if isinstance(judged, Round):
                    yield judged
            elif isinstance(item, Stop):
                yield item

    def count(self, outcome: str) -> int:
        """Return how many rounds were ``kept``, ``reverted``, ``crashed`` or ``undecided``."""
        return sum(run.judge.counts[outcome] for run in self.runs)

    @property
    def n_rounds(self) -> int:
        """How many rounds the ledger tells of."""
        return sum(run.judge.rounds for run in self.runs)

    @property
    def best(self) -> Run | None:
        """The run with the best kept score of the metric the ledger ended with."""
        if not self.runs:
            return None
        last = self.runs[-1]
        same = [
            run
            for run in self.runs
            if (run.segment.metric, run.direction) == (last.segment.metric, last.direction)
        ]
        sign = 1 if last.direction == "max" else -1
        scored = [run for run in same if run.judge.best is not None]
        return max(scored, key=lambda run: sign * (run.judge.best or 0.0), default=last)

    @property
    def best_score(self) -> float | None:
        """The best score that was kept; the seed's, where a run states one and kept nothing."""
        run = self.best
        if run is None:
            return None
        return run.judge.best if run.judge.best is not None else run.segment.start_score


def read(
    path: str | Path,
    *,
    project: str | None = None,
    client: str | None = None,
    metric: str | None = None,
    direction: Direction | None = None,
    repo: str | Path | None = None,
) -> Ledger:
    """Return the ledger in a file, recognised by its content.

    ``metric`` names the column or key of the score, ``direction`` which way it is better; both
    are guessed when not given, and the run's ``how`` and the ledger's ``notes`` say so. ``repo``
    is where the commits' times are looked up. Raises LedgerError when the file cannot be read or
    is no ledger; a line that cannot be read is in ``problems``.
    """
    path = Path(path)
    source = Source(path)
    found = _recognise(source, metric)
    scan = _Scan(found)
    scan.run()
    runs = tuple(scan.decided(direction))
    problems, unread = scan.problems_of(runs)
    return Ledger(
        path=path,
        format=found.name,
        project=project or found.project,
        client=client or found.client,
        runs=runs,
        problems=problems,
        unread=unread,
        notes=(*found.notes, *_notes(runs)),
        modified_s=source.modified_s,
        repo=None if repo is None else Path(repo),
        _format=found,
    )


def _recognise(source: Source, metric: str | None) -> Format:
    first = _first_text(source)
    found: Format | None = None
    if first.startswith(("{", "[")):
        found = _recognise_json(source, first, metric)
    if found is None:
        table = tables.recognise(source, metric=metric)
        found = None if table is None else autoagent.adopt(table)
    if found is None:
        found = cap_evolve.recognise(source) or jsonl.recognise(source, metric=metric)
    if found is None:
        raise LedgerError(
            f"{source.path} is no ledger that is known: {tables.unreadable_hint(source)}; "
            "a table needs a header with a status or commit column, JSON lines a status and a score"
        )
    return found


def _first_text(source: Source) -> str:
    for line in source.lines():
        if line.text is None or (text := clean(line.text).strip()):
            return "{" if line.text is None else text
    return ""


def _recognise_json(source: Source, first: str, metric: str | None) -> Format | None:
    if first.startswith("{") and _is_lines(source, first):
        return cap_evolve.recognise(source) or jsonl.recognise(source, metric=metric)
    try:
        document = loads(source.document())
    except ValueError:
        return cap_evolve.recognise(source) or jsonl.recognise(source, metric=metric)
    return gtm.recognise(document) or _records_in(document, source, metric)


def _is_lines(source: Source, first: str) -> bool:
    """Tell JSON lines from one JSON document: several lines are objects by themselves."""
    try:
        opening = loads(first)
    except ValueError:
        opening = None
    for line in source.lines():
        if line.number > 50:
            break
        text = clean(line.text).strip() if line.text else ""
        if text.startswith("{") and text != first:
            try:
                if isinstance(loads(text), dict):
                    return True
            except ValueError:
                continue
    return isinstance(opening, dict) and not any(
        isinstance(opening.get(key), list) for key in _LIST_KEYS
    )


def _records_in(document: Any, source: Source, metric: str | None) -> Format | None:
    """A JSON document with a list of records: read as JSON lines, numbered by place."""
    records = document
    header: dict[str, Any] = {}
    if isinstance(document, dict):
        records = next((v for k in _LIST_KEYS if isinstance(v := document.get(k), list)), None)
        header = {k: v for k, v in document.items() if not isinstance(v, list | dict)}
    if not isinstance(records, list):
        return None
    items: list[jsonl.Item] = [
        (i, r if isinstance(r, dict) else Problem(i, "not an object"))
        for i, r in enumerate(records, 1)
    ]
    if header:
        items.insert(0, (0, {"type": "config", **header}))
    found = jsonl.from_items(lambda: items, str(source.path), metric=metric)
    if found is not None:
        found.name = "json"
        found.notes.append("one JSON document: line numbers are places in its list")
    return found


@dataclass(slots=True)
class _Tally:
    """What one pass learns of a segment, for either direction."""

    segment: Segment
    first: Row
    judges: dict[Direction, Judge]
    problems: dict[Direction, list[Problem]]
    unread: dict[Direction, int]
    votes: Votes = field(default_factory=Votes)
    first_at: datetime | None = None
    with_time: int = 0


class _Scan:
    def __init__(self, found: Format) -> None:
        self.format = found
        self.tallies: dict[int, _Tally] = {}
        self.problems: list[Problem] = []
        self.unread = 0

    def run(self) -> None:
        for item in self.format.records():
            if isinstance(item, Problem):
                self.unread += 1
                if len(self.problems) < MAX_KEPT_PROBLEMS:
                    self.problems.append(item)
            elif isinstance(item, Row):
                self._take(item)

    def _take(self, row: Row) -> None:
        tally = self.tallies.get(row.segment.index)
        if tally is None:
            ways: tuple[Direction, ...] = ("min", "max")
            tally = _Tally(
                row.segment,
                row,
                {way: Judge(row.segment, way) for way in ways},
                {way: [] for way in ways},
                dict.fromkeys(ways, 0),
            )
            self.tallies[row.segment.index] = tally
        tally.votes.count(row)
        for way, judge in tally.judges.items():
            judged = judge.judge(row)
            if isinstance(judged, Problem):
                tally.unread[way] += 1
                if len(tally.problems[way]) < MAX_KEPT_PROBLEMS:
                    tally.problems[way].append(judged)
            elif way == "min":
                if judge.rounds == 1:
                    tally.first = row
                if row.when is not None:
                    tally.with_time += 1
                    tally.first_at = tally.first_at or row.when.at

    def decided(self, given: Direction | None) -> Iterator[Run]:
        for tally in self.tallies.values():
            way, how, known = _direction(tally, given)
            judge = tally.judges[way]
            judge.known = known
            if judge.rounds:
                yield Run(tally.segment, judge, how, tally.first, tally.first_at, tally.with_time)

    def problems_of(self, runs: tuple[Run, ...]) -> tuple[tuple[Problem, ...], int]:
        chosen = {run.segment.index: run.direction for run in runs}
        problems, unread = list(self.problems), self.unread
        for index, tally in self.tallies.items():
            way = chosen.get(index, "min")
            problems += tally.problems[way]
            unread += tally.unread[way]
        problems.sort(key=lambda problem: problem.line)
        return tuple(problems[:MAX_KEPT_PROBLEMS]), unread


_WORDS = {"min": "lower is better", "max": "higher is better"}
_MIN_VOTES, _AGREED, _MOSTLY = 5, 0.9, 0.6


def _direction(tally: _Tally, given: Direction | None) -> tuple[Direction, str, bool]:
    """The direction, how it was found (in words), and whether it is more than a last resort."""
    segment, votes = tally.segment, tally.votes
    if given is not None:
        return given, f"{_WORDS[given]}, as given", True
    if segment.direction is not None:
        return segment.direction, f"{_WORDS[segment.direction]}, as the file states", True
    leaning: Direction = "max" if votes.higher > votes.lower else "min"
    share = votes.share(leaning)
    counted = f"{max(votes.higher, votes.lower)} of {votes.total} of the ledger's own decisions"
    named, sure = metrics.direction_of(segment.metric or "", segment.unit)
    against = votes.total >= _MIN_VOTES and leaning != named and share >= _MOSTLY
    if named is not None and against and (share >= _AGREED or not sure):
        return leaning, f"{_WORDS[leaning]}, guessed from {counted}, against its name", True
    if named is not None:
        doubt = f"; but {counted} say the opposite: give the direction if so" if against else ""
        return named, f"{_WORDS[named]}, guessed from its name{doubt}", True
    if votes.total >= 2 and share >= _MOSTLY:
        return leaning, f"{_WORDS[leaning]}, guessed from {counted}", True
    return "max", "higher is better, a guess with nothing to go by: give the direction", False


def _notes(runs: tuple[Run, ...]) -> Iterator[str]:
    for run in runs:
        where = "" if len(runs) == 1 else f"run {run.segment.index + 1}: "
        yield from (where + note for note in _run_notes(run))


def _run_notes(run: Run) -> Iterator[str]:
    judge, segment = run.judge, run.segment
    if segment.metric is None:
        yield "no column of scores was found: rounds are imported without"
    if judge.counts["undecided"]:
        yield (
            f"{judge.counts['undecided']} rounds have a score and no status: "
            "imported as scored, neither kept nor reverted"
        )
    if judge.zeros_taken_for_missing:
        yield f"{judge.zeros_taken_for_missing} scores of exactly 0 are taken as not measured"
    if judge.kept_without_score:
        lines = ", ".join(map(str, judge.kept_without_score[:5]))
        yield f"kept rounds without a score: line {lines}"
    rejected = judge.best_rejected
    if rejected is not None and rejected.score is not None and judge.best is not None:
        sign = 1 if run.direction == "max" else -1
        if sign * (rejected.score - judge.best) > 0:
            yield (
                f"a round that was not kept scored better than the best kept: {rejected.score:g} "
                f"(line {rejected.line})"
            )
