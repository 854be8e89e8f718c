"""``RetentionQuery``: of those who began in an interval, how many came back in each one after it.

What is read here is what is answered: a field that would change the figures and cannot be answered
is refused, never left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from nightpane.insights.breakdowns import Breakdown, read_breakdown
from nightpane.insights.dates import Period, calendar_step, floor, read_period
from nightpane.insights.question import Context
from nightpane.insights.reading import Fields, wrong
from nightpane.insights.series import Series

__all__ = ["FIRST_EVER", "FIRST_TIME", "Retention", "read_retention"]

FIRST_TIME, FIRST_EVER = "retention_first_time", "retention_first_ever_occurrence"
_TYPES = ("retention_recurring", FIRST_TIME, FIRST_EVER)
_PERIODS = ("Hour", "Day", "Week", "Month")
# PostHog's: 8 intervals when nothing is said of them, 7 when they are null.
_INTERVALS, _INTERVALS_WHEN_NULL = 8, 7
_MOST_INTERVALS = 1_000
_MOST_BRACKETS = 100
_DEFAULT = Series(order=0, attr="retentionFilter", event="$pageview")
_NOT_EVENTS = "only events are here: name the events of an action, one entity has one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """A retention query that was read.

    ``target`` is what one begins with and ``returning`` what counts as coming back. ``lookahead``
    is how many intervals each row shows, the one it begins in among them; ``brackets`` are the
    widths of those after it in intervals, one each when empty. ``figure`` is the aggregation
    (``sum`` or ``avg``) of ``figure_of`` (its HogQL), None when actors are counted.
    """

    target: Series
    returning: Series
    kind: str
    period: Period
    lookahead: int
    brackets: tuple[int, ...]
    is_cumulative: bool
    least: int
    figure: str | None
    figure_of: tuple[str, str]
    breakdown: Breakdown | None

    def starting(self, at: datetime | None) -> Retention:
        """Return the query with the start that all time has."""
        period = self.period.starting(at)
        return replace(self, period=period)


def read_retention(query: Fields, context: Context) -> Retention:
    """Return a ``RetentionQuery``. Raises InsightError naming the field that is wrong."""
    query.refuse("aggregation_group_type_index", why="there are no groups here.")
    shown = query.part("retentionFilter")
    if shown is None:
        raise wrong(query.at("retentionFilter"), "is required.")
    default = _INTERVALS_WHEN_NULL if "totalIntervals" in shown.given else _INTERVALS
    intervals = shown.whole("totalIntervals", most=_MOST_INTERVALS) or default
    brackets = _brackets(shown)
    cumulative = shown.flag("cumulative")
    figure, figure_of = _figure(shown)
    if figure and (cumulative or brackets):
        name = "cumulative" if cumulative else "retentionCustomBrackets"
        raise wrong(shown.at(name), f"cannot be together with aggregationType {figure!r}.")
    if shown.choice("timeWindowMode", ("strict_calendar_dates", "24_hour_windows")) not in (
        None,
        "strict_calendar_dates",
    ):
        raise wrong(shown.at("timeWindowMode"), "only 'strict_calendar_dates' is answered here.")
    interval = (shown.choice("period", _PERIODS, "Day") or "Day").lower()
    return Retention(
        target=_entity(shown, "targetEntity"),
        returning=_entity(shown, "returningEntity"),
        kind=shown.choice("retentionType", _TYPES, _TYPES[0]) or _TYPES[0],
        period=_period(query, interval, intervals, context),
        lookahead=len(brackets) + 1 if brackets else intervals,
        brackets=brackets,
        is_cumulative=cumulative,
        least=shown.whole("minimumOccurrences", most=1_000_000) or 1,
        figure=figure,
        figure_of=figure_of,
        breakdown=_breakdown(query),
    )


def _entity(shown: Fields, name: str) -> Series:
    given = shown.part(name)
    if given is None:
        return _DEFAULT
    if given.choice(
        "type", ("events", "actions", "data_warehouse", "new_entity", "groups")
    ) not in (
        None,
        "events",
    ):
        raise wrong(given.at("type"), f"{_NOT_EVENTS}.")
    if given.text("kind") not in (None, "EventsNode"):
        raise wrong(given.at("kind"), f"{_NOT_EVENTS}.")
    event = given.given.get("id")
    if event is not None and not isinstance(event, str):
        raise wrong(given.at("id"), f"must be the name of an event, not {event!r}.")
    return Series(order=0, attr=given.path, event=event, properties=given.given.get("properties"))


def _brackets(shown: Fields) -> tuple[int, ...]:
    given = shown.items("retentionCustomBrackets")
    if len(given) > _MOST_BRACKETS:
        raise wrong(shown.at("retentionCustomBrackets"), f"at most {_MOST_BRACKETS} brackets.")
    attr = shown.at("retentionCustomBrackets")
    at = Fields(dict(zip(map(str, range(len(given))), given, strict=True)), attr)
    found = [at.whole(str(i), least=1, most=_MOST_INTERVALS) for i in range(len(given))]
    if None in found:
        raise wrong(attr, "a bracket is a whole number of intervals.")
    return tuple(width for width in found if width is not None)


def _figure(shown: Fields) -> tuple[str | None, tuple[str, str]]:
    kind = shown.choice("aggregationType", ("count", "sum", "avg"), "count")
    of = shown.text("aggregationProperty") or ""
    place = shown.choice("aggregationPropertyType", ("event", "person"), "event") or "event"
    # PostHog too counts actors when no property is given.
    return (kind if kind != "count" and of else None), (place, of)


def _breakdown(query: Fields) -> Breakdown | None:
    found = read_breakdown(query)
    if found is None:
        return None
    attr = query.at("breakdownFilter")
    if len(found.parts) > 1:
        raise wrong(f"{attr}.breakdowns", "a retention is broken down by one property only.")
    if found.parts[0].bins:
        raise wrong(found.parts[0].attr, "a retention is not broken down by bins of a number.")
    return found


def _period(query: Fields, interval: str, intervals: int, context: Context) -> Period:
    """Return whole intervals, up to the one that the range ends in."""
    span: dict[str, Any] = dict((query.part("dateRange") or Fields({})).given)
    asked = Fields({"dateRange": span | {"date_from": span.get("date_from") or "all"}}, query.path)
    found = read_period(asked, interval, context.now, context.timezone)
    last = floor(found.end, interval)
    start = None if found.start is None else floor(found.start, interval)
    if not span.get("date_from"):
        start = calendar_step(last, interval, 1 - intervals)
    end = calendar_step(last, interval) - timedelta(microseconds=1)
    return replace(found, start=start, since=start, end=end)
