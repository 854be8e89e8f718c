"""PostHog's ``ExperimentMetric``, read and checked: which events count, and how they become values.

A name or a value out of a metric only ever becomes a placeholder's value or a quoted identifier; an
expression of HogQL is parsed on its own before it is put into a query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightpane.errors import ExperimentError
from nightpane.experiments.expressions import event_condition, field, split_math

__all__ = ["METRIC_TYPES", "Metric", "Source", "read_metric"]

METRIC_TYPES = ("mean", "funnel", "ratio")
MATHS = ("total", "sum", "min", "max", "avg", "unique_session", "hogql")
_MOST_STEPS = 10
_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_SECONDS |= {"month": 2_592_000}
_UNSUPPORTED = (
    "breakdownFilter",
    "lower_bound_percentile",
    "upper_bound_percentile",
    "ignore_zeros",
    "start_handling",
)


@dataclass(frozen=True, slots=True)
class Source:
    """Some events and what is made of them. ``event`` None stands for all events.

    ``condition`` is HogQL over an event; ``value`` HogQL of one event's value; ``aggregate`` is
    count, sum, min, max, avg or uniq.
    """

    event: str | None
    condition: str
    value: str
    aggregate: str

    @property
    def absent(self) -> float | None:
        """The value of a unit without such events: 0 for counts and sums, else none at all."""
        return 0 if self.aggregate in ("count", "sum", "uniq") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric: its sources (a mean has one, a ratio two, a funnel one for each step)."""

    metric_type: str
    sources: tuple[Source, ...]
    lower_is_better: bool
    window_s: int | None
    values: Mapping[str, Any]

    @property
    def best_of(self) -> bool:
        """Whether it takes the best (or worst) of a unit's events."""
        return self.metric_type == "mean" and self.sources[0].aggregate in ("min", "max")


def read_metric(given: Any) -> Metric:
    """Return a metric. Raises ExperimentError that names what is wrong, or is not supported."""
    if not isinstance(given, Mapping):
        raise _wrong("A metric must be an object.")
    if given.get("kind", "ExperimentMetric") != "ExperimentMetric":
        raise _wrong(f"Metric kind {given['kind']!r} is not supported: ExperimentMetric is.")
    kind = given.get("metric_type")
    if kind not in METRIC_TYPES:
        known = ", ".join(METRIC_TYPES)
        raise _wrong(f"metric_type {kind!r} is not supported: {known} are.")
    for name in _UNSUPPORTED:
        if given.get(name) not in (None, False, {}):
            raise _wrong(f"{name} is not supported: leave it out.")
    goal = given.get("goal") or "increase"
    if goal not in ("increase", "decrease"):
        raise _wrong(f'goal: "{goal}" is not a valid choice: increase, decrease are.')
    values: dict[str, Any] = {}
    return Metric(
        metric_type=kind,
        sources=_sources(kind, given, values),
        lower_is_better=goal == "decrease",
        window_s=_window(given),
        values=values,
    )


def _sources(kind: str, given: Mapping[str, Any], values: dict[str, Any]) -> tuple[Source, ...]:
    if kind == "mean":
        return (_source(given.get("source"), "source", values),)
    if kind == "ratio":
        names = ("numerator", "denominator")
        found = tuple(_source(given.get(name), name, values) for name in names)
        for name, source in zip(names, found, strict=True):
            if source.absent is None:
                raise _wrong(f"{name}: a ratio is of totals and sums, not of {source.aggregate}.")
        return found
    if given.get("funnel_order_type", "ordered") != "ordered":
        raise _wrong(f"funnel_order_type {given['funnel_order_type']!r} is not supported.")
    series = given.get("series")
    if not isinstance(series, list) or not 1 <= len(series) <= _MOST_STEPS:
        raise _wrong(f"series: a funnel has from 1 to {_MOST_STEPS} steps.")
    return tuple(_step(node, values) for node in series)


def _step(node: Any, values: dict[str, Any]) -> Source:
    return _source({**node, "math": "total"} if isinstance(node, Mapping) else node, "step", values)


def _source(node: Any, name: str, values: dict[str, Any]) -> Source:
    if not isinstance(node, Mapping):
        raise _wrong(f"{name}: This field is required.")
    if node.get("kind", "EventsNode") != "EventsNode":
        raise _wrong(f"{name}: {node['kind']!r} is not supported: EventsNode is.")
    event = node.get("event")
    if event is not None and not isinstance(event, str):
        raise _wrong(f"{name}: event must be a text, or null for all events.")
    math = node.get("math") or "total"
    if math not in MATHS:
        raise _wrong(f"{name}: math {math!r} is not supported: {', '.join(MATHS)} are.")
    value, aggregate = _math(node, math, name)
    return Source(event, event_condition(event, node.get("properties"), values), value, aggregate)


def _math(node: Mapping[str, Any], math: str, name: str) -> tuple[str, str]:
    if math == "total":
        return "1", "count"
    if math == "unique_session":
        return "properties.$session_id", "uniq"
    if math == "hogql":
        return split_math(node.get("math_hogql"))
    key = node.get("math_property")
    if not isinstance(key, str) or not key:
        raise _wrong(f"{name}: math_property is required for {math}.")
    if (node.get("math_property_type") or "event_properties") != "event_properties":
        raise _wrong(f"{name}: math_property_type {node['math_property_type']!r} is not supported.")
    return f"toFloat({field(key)})", math


def _window(given: Mapping[str, Any]) -> int | None:
    size = given.get("conversion_window")
    if size is None:
        return None
    unit = given.get("conversion_window_unit") or "hour"
    if isinstance(size, bool) or not isinstance(size, int) or size <= 0:
        raise _wrong(f"conversion_window must be a whole number above 0, not {size!r}.")
    if unit not in _SECONDS:
        raise _wrong(f"conversion_window_unit {unit!r} is not one of {', '.join(_SECONDS)}.")
    return size * _SECONDS[unit]


def _wrong(text: str) -> ExperimentError:
    return ExperimentError(text, attr="metric")
