"""Retention counted in plain Python, one actor at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

from tests.insights.world import SEEN, Seen, start_of

__all__ = ["behind", "figures"]

Key = tuple[str, Any, int]
"""An agent, the value it has, and the number of the interval it begins in."""


def _is(one: Seen, entity: dict[str, Any], *, name_alone: bool = False) -> bool:
    if entity["id"] is not None and one.event != entity["id"]:
        return False
    asked = () if name_alone else entity.get("properties", ())
    return all(one.properties.get(test["key"]) == test["value"][0] for test in asked)


def _groups(node: dict[str, Any]) -> Iterator[tuple[str, str | None, list[Seen]]]:
    """Yield what each agent did, apart for each value of a breakdown."""
    key = (node.get("breakdownFilter") or {}).get("breakdown")
    asked = node.get("properties", ())
    apart: dict[tuple[str, str | None], list[Seen]] = defaultdict(list)
    for one in sorted(SEEN, key=lambda one: one.at):
        if all(one.properties.get(test["key"]) == test["value"][0] for test in asked):
            value = None if key is None else str(one.properties.get(key, ""))
            if node["retentionFilter"].get("retentionType", "").endswith("first_ever_occurrence"):
                value = None
            apart[one.agent, value].append(one)
    target = node["retentionFilter"]["targetEntity"]
    for (agent, value), events in apart.items():
        named = [one for one in events if _is(one, target, name_alone=True)]
        if key is not None and value is None and named:
            value = min((one.at, str(one.properties.get(key, ""))) for one in named)[1]
        yield agent, value, events


def behind(
    node: dict[str, Any], dates: list[datetime], zone: str = "UTC"
) -> Iterator[tuple[Key, set[int], list[Seen]]]:
    """Yield who begins where, how many intervals later it is counted, and all that it did."""
    shown = node["retentionFilter"]
    start = start_of(shown.get("period", "Day").lower(), zone)
    target, returning = shown["targetEntity"], shown["returningEntity"]
    place = {date: number for number, date in enumerate(dates)}
    for agent, value, events in _groups(node):
        begun = [one for one in events if _is(one, target)]
        kind = shown.get("retentionType", "retention_recurring")
        if kind != "retention_recurring":
            begun = begun[:1]
        if kind == "retention_first_ever_occurrence":
            named = [one for one in events if _is(one, target, name_alone=True)]
            begun = begun if begun and named[0].at == begun[0].at else []
        back = Counter(place.get(start(one.at)) for one in events if _is(one, returning))
        least = 1 if shown.get("aggregationType") else shown.get("minimumOccurrences", 1)
        enough = {at for at, times in back.items() if times >= least}
        for at in {place[start(one.at)] for one in begun if start(one.at) in place}:
            came = {end - at for end in enough if end is not None and end - at > 0}
            yield (agent, value, at), _lags(shown, came), events


def _lags(shown: dict[str, Any], came: set[int]) -> set[int]:
    lags = {0} | came
    if brackets := shown.get("retentionCustomBrackets"):
        edges = [0, *(sum(brackets[: i + 1]) for i in range(len(brackets)))]
        spans = list(enumerate(pairwise(edges)))
        lags = {0} | {i + 1 for i, (a, b) in spans for lag in lags if a < lag <= b}
    else:
        lags = {lag for lag in lags if lag < shown.get("totalIntervals", 8)}
    return set(range(max(lags) + 1)) if shown.get("cumulative") else lags


def figures(node: dict[str, Any], dates: list[datetime], zone: str) -> dict[Any, Any]:
    """Return (value, place, lag) to the count and the sum."""
    shown = node["retentionFilter"]
    start = start_of(shown.get("period", "Day").lower(), zone)
    found: dict[Any, list[float]] = defaultdict(lambda: [0, 0.0])
    for (_, value, at), lags, events in behind(node, dates, zone):
        for lag in lags:
            found[value, at, lag][0] += 1
            if shown.get("aggregationType"):
                found[value, at, lag][1] += _sum(events, shown, start, dates, at, lag)
    return found


def _sum(
    events: list[Seen], shown: dict[str, Any], start: Any, dates: list[datetime], at: int, lag: int
) -> float:
    target, returning = shown["targetEntity"], shown["returningEntity"]
    if at + lag >= len(dates):
        return 0.0
    inside = [one for one in events if start(one.at) == dates[at + lag]]
    begun = [one for one in inside if _is(one, target)]
    counted = [one for one in inside if _is(one, returning)]
    if lag == 0:
        after = [one for one in counted if one.at > begun[0].at] if begun else []
        counted = begun + (after if target["id"] != returning["id"] else [])
    return sum(float(one.properties.get("cost_usd", 0)) for one in counted)
