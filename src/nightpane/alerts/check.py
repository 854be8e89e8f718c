"""Judges each threshold on the rows of the queries. Never asks a query that no threshold needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from statistics import median
from typing import Any

from nightpane.alerts import queries
from nightpane.alerts.rules import Rule
from nightpane.query import Query
from nightpane.stats import noise_scale, wilson

__all__ = ["Finding", "check"]

_Row = Mapping[str, Any]
_EVIDENCE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One threshold held against one loop (or run, or metric of it): what it is about, and how it
    stands. ``level`` grows by one each time the matter gets worse by as much as the threshold.
    """

    rule: str
    kind: str
    project: str | None
    client: str
    about: str
    fired: bool
    level: int
    says: str
    rounds: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What stays the same from one check to the next."""
        return " · ".join((self.rule, self.project or "", self.client, self.about))


@dataclass(frozen=True, slots=True)
class _Judged:
    fired: bool
    level: float
    says: str
    rounds: Sequence[str] = ()
    about: str = ""


def check(
    query: Query, rules: Sequence[Rule], *, now: datetime | None = None, tz: tzinfo | None = None
) -> list[Finding]:
    """Return how each threshold stands for each loop it covers, in the file's order.

    ``tz`` None is this machine's zone, in which a night begins at noon. At most four queries.
    Raises what ``query`` raises.
    """
    now = now or datetime.now(UTC)
    night = _night(now, tz)
    questions = {
        "rounds": lambda: queries.rounds(now),
        "costs": lambda: queries.costs(now, night),
        "nights": lambda: queries.nights(now, night),
        "runs": lambda: queries.runs(now),
    }
    answers: dict[str, list[dict[str, Any]]] = {}

    def rows(name: str, rule: Rule) -> list[dict[str, Any]]:
        if name not in answers:
            question = questions[name]()
            answers[name] = query.hogql(question.query, question.values).dicts()
        return [row for row in answers[name] if rule.covers(row)]

    return [
        Finding(
            rule=rule.name,
            kind=rule.kind,
            project=loop[0],
            client=loop[1],
            about=judged.about,
            fired=judged.fired,
            level=int(judged.level) if judged.fired else 0,
            says=judged.says,
            rounds=tuple(judged.rounds)[:_EVIDENCE],
        )
        for rule in rules
        for loop, judged in _JUDGES[rule.kind](rule, rows)
    ]


_Rows = Callable[[str, Rule], list[dict[str, Any]]]
_Loop = tuple[str | None, str]
_Found = Iterator[tuple[_Loop, _Judged]]


def _night(now: datetime, tz: tzinfo | None) -> datetime:
    local = now.astimezone(tz)
    day = local.date() - timedelta(days=local.time() < time(12))
    noon = datetime.combine(day, time(12))
    return noon.astimezone() if tz is None else noon.replace(tzinfo=tz)


def _by_loop(rows: Sequence[_Row]) -> dict[_Loop, list[_Row]]:
    found: dict[_Loop, list[_Row]] = defaultdict(list)
    for row in rows:
        found[(row["project"], row["client"])].append(row)
    return found


def _ended(rows: Sequence[_Row]) -> list[_Row]:
    """Return the rounds that count: an open one only if its run has begun another since."""
    runs_seen: set[Any] = set()
    found = []
    for row in rows:
        if row["kept"] or row["reverted"] or row["run"] in runs_seen:
            found.append(row)
        runs_seen.add(row["run"])
    return found


def _no_kept(rule: Rule, rows: _Rows) -> _Found:
    wanted = rule.fields["rounds"]
    for loop, found in _by_loop(rows("rounds", rule)).items():
        ended = _ended(found)
        since = next((i for i, row in enumerate(ended) if row["kept"]), len(ended))
        least = "at least " if since == len(ended) else ""
        says = f"{least}{since} rounds since one was kept (limit {wanted})"
        ids = [row["round_id"] for row in ended[:since]]
        yield loop, _Judged(since >= wanted, since / wanted, says, ids)


def _budget(rule: Rule, rows: _Rows) -> _Found:
    per, usd = rule.fields["per"], float(rule.fields["usd"])
    for loop, found in _by_loop(rows("costs", rule)).items():
        for group in [[row] for row in found] if per == "run" else [found]:
            known = sum(float(row[f"{per}_usd"] or 0) for row in group)
            n = sum(int(row[f"{per}_rounds"]) for row in group)
            n_known = sum(int(row[f"{per}_known"]) for row in group)
            if n == 0:
                continue
            least = "" if n_known == n else f"at least, {n_known} of {n} rounds known: "
            says = f"{least}${known:.2f} of ${usd:.2f} per {per}, {n} rounds"
            ids = [row["dearest"] for row in group if row["dearest"] and row[f"{per}_rounds"]]
            about = f"run {group[0]['run']}" if per == "run" else ""
            at = usd * float(rule.fields["at"])
            yield loop, _Judged(known >= at, known / at, says, ids, about)


def _error_rate(rule: Rule, rows: _Rows) -> _Found:
    limit, modes = float(rule.fields["share"]), rule.fields["modes"]
    for loop, found in _by_loop(rows("rounds", rule)).items():
        ended = _ended(found)[: rule.fields["rounds"]]
        bad = [row for row in ended if row["failure_mode"] in modes]
        interval = wilson(len(bad), len(ended))
        if interval is None:
            continue
        share = len(bad) / len(ended)
        says = (
            f"{len(bad)} of the last {len(ended)} rounds ended in {', '.join(modes)}: {share:.0%} "
            f"(95% interval {interval.low:.0%} to {interval.high:.0%}; limit {limit:.0%})"
        )
        fired = len(ended) >= rule.fields["least"] and share > limit
        # By tenths: a share moves a little with every round.
        yield loop, _Judged(fired, 1 + share * 10, says, [row["round_id"] for row in bad])


def _score_drop(rule: Rule, rows: _Rows) -> _Found:
    by_line: dict[tuple[_Loop, Any, str], list[_Row]] = defaultdict(list)
    for row in rows("nights", rule):
        if rule.fields["metric"] in (None, row["metric"]):
            loop = (row["project"], row["client"])
            by_line[(loop, row["metric"], row["direction"])].append(row)
    for (loop, metric, direction), line in by_line.items():
        tonight = next((row for row in line if row["nights_ago"] == 0), None)
        earlier = sorted((row for row in line if row["nights_ago"]), key=lambda r: r["nights_ago"])
        if tonight is None or not earlier:
            continue
        about = str(metric) if metric is not None else "score"
        unit, words = 1.0, ""
        if rule.fields["noise"] is not None:
            scores = [
                row["score"]
                for row in _by_loop(rows("rounds", rule)).get(loop, [])
                if row["metric"] == metric and row["score"] is not None and not row["kept"]
            ]
            noise = noise_scale(scores[::-1])
            if not noise:
                says = f"the noise of {about} is not known yet ({len(scores)} discarded scores)"
                yield loop, _Judged(False, 0, says, about=about)
                continue
            unit, words = noise, " times the noise"
        yield loop, _dropped(rule, tonight, earlier, direction, unit, words, about)


def _dropped(
    rule: Rule,
    tonight: _Row,
    earlier: Sequence[_Row],
    direction: str,
    unit: float,
    words: str,
    about: str,
) -> _Judged:
    sign = -1.0 if direction == "min" else 1.0
    bests = [sign * row["best"] for row in earlier[: rule.fields["nights"]]]
    held = max(bests) if rule.fields["against"] == "best" else median(bests)
    limit = float(rule.fields["noise"] or rule.fields["drop"])
    drop = (held - sign * tonight["best"]) / unit
    n = int(tonight["scores"])
    says = (
        f"{about} {tonight['best']:.6g} against the {rule.fields['against']} of {len(bests)} "
        f"nights, {sign * held:.6g}: worse by {drop:.3g}{words} (limit {limit:g}; {n} scored "
        f"rounds, {direction} is best)"
    )
    if drop <= 0:
        says = says.replace(f"worse by {drop:.3g}{words}", "not worse")
    fired = n >= rule.fields["least"] and drop >= limit
    ids = [tonight["best_round_id"]]
    return _Judged(fired, max(drop / limit, 0), says, ids, about)


def _silence(rule: Rule, rows: _Rows) -> _Found:
    limit_s = float(rule.fields["minutes"]) * 60
    for row in rows("runs", rule):
        silent_s = float(row["silent_s"])
        says = (
            f"run {row['run']} sent nothing for {silent_s / 60:.0f} minutes and has not stopped "
            f"(limit {rule.fields['minutes']:g} minutes; newest event {row['newest']})"
        )
        about = f"run {row['run']}"
        loop = (row["project"], row["client"])
        yield loop, _Judged(silent_s >= limit_s, 1, says, about=about)


_JUDGES: dict[str, Callable[[Rule, _Rows], _Found]] = {
    "no_kept": _no_kept,
    "budget": _budget,
    "error_rate": _error_rate,
    "score_drop": _score_drop,
    "silence": _silence,
}
