"""The series of an insight: which events each one counts, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nightpane.insights.filters import Filters
from nightpane.insights.question import Values
from nightpane.insights.reading import Fields, wrong

__all__ = ["MATHS_OF_ACTORS", "MATHS_OF_PROPERTIES", "Series", "read_series"]

_SIMPLE = ("total", "dau", "unique_session", "unique_group", "hogql")
_FIRST = ("first_time_for_user", "first_matching_event_for_user")
_ACTIVE = ("weekly_active", "monthly_active")
MATHS_OF_PROPERTIES = {"sum": "sum", "avg": "avg", "min": "min", "max": "max"}
MATHS_OF_PROPERTIES |= {
    name: f"quantile({level})"
    for name, level in (("median", 0.5), ("p75", 0.75), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99))
}
MATHS_OF_ACTORS = {
    f"{name}_count_per_actor": call for name, call in MATHS_OF_PROPERTIES.items() if name != "sum"
}
_MATHS = (*_SIMPLE, *_FIRST, *_ACTIVE, *MATHS_OF_PROPERTIES, *MATHS_OF_ACTORS)
_NOT_HERE = {
    "ActionsNode": "there are no actions here: name the action's events in an EventsNode",
    "DataWarehouseNode": "there is no data warehouse here",
}
_MOST_SERIES = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series. ``event`` is None for all events; ``nodes`` are the members of a GroupNode."""

    order: int
    attr: str
    event: str | None = None
    name: str | None = None
    custom_name: str | None = None
    properties: Any = None
    nodes: tuple[Series, ...] = field(default=())
    math: str | None = None
    math_property: str | None = None
    math_property_type: str | None = None
    math_hogql: str | None = None
    math_group_type_index: int | None = None

    @property
    def label(self) -> str | None:
        """Return what PostHog calls the series, None for all events."""
        if not self.nodes:
            return self.event
        named = self.custom_name or self.name
        return named or " or ".join(node.event or "All events" for node in self.nodes)

    def event_condition(self, values: Values) -> str | None:
        """Return the condition of the event's name alone, None for all events."""
        if not self.nodes:
            return None if self.event is None else f"event = {values.place(self.event)}"
        names = [node.event for node in self.nodes]
        if None in names:
            return None
        return f"event in {values.place(names)}"

    def condition(self, values: Values, filters: Filters) -> list[str]:
        """Return what its events must be: name, properties, and one member of a group."""
        name = self.event_condition(values)
        own = filters.of(self.properties, f"{self.attr}.properties")
        found = [test for test in (name, own) if test is not None]
        if any(node.properties for node in self.nodes):
            members = [" and ".join(node.condition(values, filters)) for node in self.nodes]
            if all(members):
                found.append(f"(({') or ('.join(members)}))")
        return found


def read_series(
    query: Fields,
    *,
    needed: bool = True,
    name: str = "series",
    maths: Sequence[str] = _MATHS,
) -> tuple[Series, ...]:
    """Return the series in a field of a query, at most 26. Raises InsightError."""
    nodes = enumerate(query.parts(name))
    found = tuple(_read(node, order, maths) for order, node in nodes)
    if needed and not found:
        raise wrong(query.at(name), "at least one series is required.")
    if len(found) > _MOST_SERIES:
        raise wrong(query.at(name), f"{len(found)} series: at most {_MOST_SERIES} are shown.")
    return found


def _read(node: Fields, order: int, maths: Sequence[str]) -> Series:
    kind = node.text("kind") or "EventsNode"
    if kind in _NOT_HERE:
        raise wrong(node.at("kind"), f"{kind} is not supported: {_NOT_HERE[kind]}.")
    if kind not in ("EventsNode", "GroupNode"):
        raise wrong(node.at("kind"), f"{kind!r} is not a series: EventsNode and GroupNode are.")
    members: tuple[Series, ...] = ()
    if kind == "GroupNode":
        members = tuple(_read(one, order, maths) for one in node.parts("nodes"))
        if not members or node.choice("operator", ("OR", "AND"), "OR") != "OR":
            raise wrong(node.at("nodes"), "a GroupNode is one or more events joined by OR.")
    series = Series(
        order=order,
        attr=node.path,
        event=node.text("event") if kind == "EventsNode" else None,
        name=node.text("name"),
        custom_name=node.text("custom_name"),
        properties=_properties(node),
        nodes=members,
        math=node.choice("math", maths),
        math_property=node.text("math_property"),
        math_property_type=node.text("math_property_type"),
        math_hogql=node.text("math_hogql"),
        math_group_type_index=node.whole("math_group_type_index", most=4),
    )
    _check(series, node.at("math"))
    return series


def _properties(node: Fields) -> Any:
    """Return a node's filters: its own, and those it is fixed to."""
    own, fixed = node.given.get("properties"), node.given.get("fixedProperties")
    if not own or not fixed:
        return own or fixed
    return {"type": "AND", "values": [_listed(own), _listed(fixed)]}


def _listed(given: Any) -> Any:
    return given if isinstance(given, dict) else {"type": "AND", "values": given}


def _check(series: Series, attr: str) -> None:
    needed = {"hogql": "math_hogql", "unique_group": "math_group_type_index"}
    needed |= dict.fromkeys(MATHS_OF_PROPERTIES, "math_property")
    name = needed.get(series.math or "")
    if name and getattr(series, name) is None:
        raise wrong(attr, f"{series.math!r} needs {name}.")
