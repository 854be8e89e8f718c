"""``FunnelsQuery``: read. How far somebody came through steps, and how long each step took.

What PostHog accepts is accepted and what it refuses is refused, named by the field; its texts are
made in ``funnels_query``, ``funnels_walk`` and ``funnels_unordered``, its answers in
``funnels_result``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from nightpane.insights.breakdowns import Breakdown, read_breakdown
from nightpane.insights.dates import INTERVALS, Period, read_period, with_previous
from nightpane.insights.question import Context, expression
from nightpane.insights.reading import Fields, wrong
from nightpane.insights.series import Series, read_series

__all__ = ["Exclusion", "Funnel", "read_funnel"]

_MATHS = ("total", "first_time_for_user", "first_time_for_user_with_filters")
_ORDERS = ("ordered", "strict", "unordered")
_VIEWS = ("steps", "time_to_convert", "trends", "flow")
_ATTRIBUTIONS = ("first_touch", "last_touch", "all_events", "step")
_WINDOW_DAYS = 14
# PostHog's lengths: a month of a window is 31 days.
_UNITS_S = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_UNITS_S["month"] = 31 * 86_400
_LONGEST_S = 10 * 366 * 86_400
_MOST_BINS = 90


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Events that void an attempt when they come after step ``first`` and before ``last``."""

    series: Series
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """A funnel that was read. Steps are counted from 0, as in PostHog's fields.

    ``optional`` are the steps that may be left out, ``actor`` the expression that says who goes
    through (None is the person), ``first`` and ``last`` the steps that a conversion is between,
    and ``periods`` the one asked for and, when it is compared, the one before.
    """

    steps: tuple[Series, ...]
    optional: frozenset[int]
    exclusions: tuple[Exclusion, ...]
    order: str
    view: str
    window_us: int
    actor: str | None
    breakdown: Breakdown | None
    attribution: str
    attribution_step: int
    first: int
    last: int
    bins: int | None
    interval: str
    periods: tuple[Period, ...]

    @property
    def by_group(self) -> bool:
        """Say whether each value of the breakdown has its own events, whoever they are of."""
        breakdown = self.breakdown
        return breakdown is not None and (breakdown.is_cohort or self.attribution == "all_events")

    def starting(self, at: datetime | None) -> Funnel:
        """Return the funnel with the start that all time has."""
        return replace(self, periods=tuple(period.starting(at) for period in self.periods))


def read_funnel(query: Fields, context: Context) -> Funnel:
    """Return a ``FunnelsQuery``. Raises InsightError naming the field that is wrong."""
    shown = query.part("funnelsFilter") or Fields({}, query.at("funnelsFilter"))
    query.refuse("aggregation_group_type_index", why="there are no groups here.")
    query.whole("samplingFactor", most=1)
    query.flag("filterTestAccounts")
    shown.choice("funnelStepReference", ("total", "previous"))
    shown.choice("layout", ("horizontal", "vertical"))
    steps = read_series(query, maths=_MATHS)
    if len(steps) < 2:
        raise wrong(query.at("series"), "a funnel has at least two steps.")
    order = shown.choice("funnelOrderType", _ORDERS, "ordered") or "ordered"
    view = shown.choice("funnelVizType", _VIEWS, "steps") or "steps"
    interval = query.choice("interval", INTERVALS, "day") or "day"
    exclusions = _exclusions(shown, steps, order)
    optional = _optional(query, steps, order, view, exclusions)
    first, last = _range(shown, len(steps))
    attribution, attribution_step = _attribution(shown, order, len(steps))
    # A funnel's range begins where it says, not where an interval does.
    period = read_period(query, interval, context.now, context.timezone)
    return Funnel(
        steps=steps,
        optional=optional,
        exclusions=exclusions,
        order=order,
        view="steps" if view == "flow" else view,
        window_us=_window_us(shown),
        actor=_actor(shown),
        # PostHog's times to convert are those of everybody, whatever else is asked for.
        breakdown=None if view == "time_to_convert" else _breakdown(query),
        attribution=attribution,
        attribution_step=attribution_step,
        first=first,
        last=last,
        bins=_bins(shown),
        interval=interval,
        periods=with_previous(query, period),
    )


def _window_us(shown: Fields) -> int:
    count = shown.whole("funnelWindowInterval", least=1) or _WINDOW_DAYS
    unit = shown.choice("funnelWindowIntervalUnit", tuple(_UNITS_S), "day") or "day"
    length_s = count * _UNITS_S[unit]
    if length_s > _LONGEST_S:
        raise wrong(
            shown.at("funnelWindowInterval"), f"{count} {unit}s is more than the ten years allowed."
        )
    return length_s * 1_000_000


def _actor(shown: Fields) -> str | None:
    text = shown.text("funnelAggregateByHogQL")
    if text is None or text.strip() in ("", "person_id"):
        return None
    return expression(text, shown.at("funnelAggregateByHogQL"))


def _bins(shown: Fields) -> int | None:
    """Return how many bins are wanted, within PostHog's limits; None is by the figures."""
    given = shown.whole("binCount", least=-(2**31))
    return None if given is None else min(max(given, 1), _MOST_BINS)


def _range(shown: Fields, count: int) -> tuple[int, int]:
    first = shown.whole("funnelFromStep", most=count - 2) or 0
    last = shown.whole("funnelToStep", least=1, most=count - 1)
    if last is not None and first >= last:
        raise wrong(shown.at("funnelToStep"), "must be after funnelFromStep.")
    return first, count - 1 if last is None else last


def _attribution(shown: Fields, order: str, count: int) -> tuple[str, int]:
    kind = shown.choice("breakdownAttributionType", _ATTRIBUTIONS, "first_touch") or "first_touch"
    step = shown.whole("breakdownAttributionValue", most=count - 1) or 0
    if kind == "step" and order == "unordered" and step:
        raise wrong(
            shown.at("breakdownAttributionValue"),
            "an unordered funnel takes the breakdown from its first step only: 0.",
        )
    return kind, step


def _breakdown(query: Fields) -> Breakdown | None:
    """Return the breakdown; PostHog's funnels also take a list of properties in ``breakdown``."""
    fields = query.part("breakdownFilter")
    given = fields.given.get("breakdown") if fields else None
    several = isinstance(given, list) and len(given) > 1
    if fields is not None and several and fields.given.get("breakdown_type") != "cohort":
        kind = fields.given.get("breakdown_type") or "event"
        each = [{"property": name, "type": kind} for name in given or ()]
        changed = {**fields.given, "breakdowns": each, "breakdown": None}
        query = Fields({**query.given, "breakdownFilter": changed}, query.path)
    found = read_breakdown(query)
    if found is not None and any(part.bins for part in found.parts):
        raise wrong(query.at("breakdownFilter"), "a funnel is not broken down by bins.")
    return found


def _exclusions(shown: Fields, steps: tuple[Series, ...], order: str) -> tuple[Exclusion, ...]:
    found = []
    last_step = len(steps) - 1
    for series, node in zip(
        read_series(shown, name="exclusions", needed=False), shown.parts("exclusions"), strict=True
    ):
        first = node.whole("funnelFromStep", most=last_step - 1)
        last = node.whole("funnelToStep", most=last_step)
        if first is None or last is None:
            missing = "funnelFromStep" if first is None else "funnelToStep"
            raise wrong(node.at(missing), "an exclusion needs the steps it is between.")
        if first >= last:
            raise wrong(node.at("funnelToStep"), "must be after funnelFromStep.")
        if order == "unordered" and (first, last) != (0, last_step):
            raise wrong(
                node.at("funnelFromStep"),
                f"an unordered funnel excludes over all its steps: 0 to {last_step}.",
            )
        if any(_covers(step, series) for step in steps[first : last + 1]):
            raise wrong(node.path, "a step of the funnel cannot be excluded from it.")
        found.append(Exclusion(series, first, last))
    return tuple(found)


def _optional(
    query: Fields,
    steps: tuple[Series, ...],
    order: str,
    view: str,
    exclusions: tuple[Exclusion, ...],
) -> frozenset[int]:
    nodes = list(query.parts("series"))
    found = frozenset(i for i, node in enumerate(nodes) if node.flag("optionalInFunnel"))
    if not found:
        return found
    attr = nodes[min(found)].at("optionalInFunnel")
    if order == "unordered" or view in ("trends", "time_to_convert"):
        raise wrong(attr, "optional steps are for ordered and strict funnels shown as steps.")
    if 0 in found:
        raise wrong(attr, "the first step cannot be optional.")
    if exclusions:
        raise wrong(attr, "optional steps together with exclusions are not supported.")
    for i, (before, after) in enumerate(pairwise(steps)):
        if i in found and i + 1 not in found and _covers(after, before):
            raise wrong(attr, "an optional step cannot be the same as the required one after it.")
    return found


def _covers(one: Series, other: Series) -> bool:
    """Say whether the filters of one are among those of the other, and their events the same."""
    names = [(series.event, [node.event for node in series.nodes]) for series in (one, other)]
    return names[0] == names[1] and all(
        test in _filters(other.properties) for test in _filters(one.properties)
    )


def _filters(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given] if given else []
