"""Breakdowns: by one property or up to three, by cohorts, by bins of a number.

The largest values are shown and the others are one: PostHog's limit of 25 and its two labels, of
the others and of no value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nightpane.insights.filters import Filters, property_of
from nightpane.insights.question import Context, Values, expression
from nightpane.insights.reading import Fields, wrong

__all__ = ["NULL", "OTHER", "Breakdown", "Columns", "columns", "named", "read_breakdown"]

OTHER = "$$_posthog_breakdown_other_$$"
NULL = "$$_posthog_breakdown_null_$$"
_LIMIT = 25
_LIMIT_ON_A_MAP = 250
_MOST_PARTS = 3
_MOST_BINS = 1_000
_KINDS = ("event", "person", "session", "event_metadata", "hogql", "cohort")
_WHY_NOT = "groups, page elements and warehouses are not here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One property that is broken down by. ``cohorts`` are numbers, and "all" for everybody."""

    kind: str
    key: str
    attr: str
    bins: int | None = None
    is_url: bool = False
    cohorts: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """What a query is broken down by. ``several`` says that each value is a list, as PostHog's."""

    parts: tuple[Part, ...]
    several: bool
    limit: int
    hides_other: bool

    @property
    def is_cohort(self) -> bool:
        """Say whether it is by cohorts."""
        return self.parts[0].kind == "cohort"


@dataclass(frozen=True, slots=True)
class Columns:
    """What a breakdown adds to a SELECT.

    ``names`` are named expressions, ``shown`` the expressions of the columns ``b_0`` and so on, and
    ``bounds`` the least and largest numbers that bins lie between.
    """

    names: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    bounds: tuple[str, ...] = ()

    @property
    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return [f"b_{i}" for i in range(len(self.shown))]


def read_breakdown(query: Fields, *, display: str = "") -> Breakdown | None:
    """Return a query's ``breakdownFilter``, None without one. Raises InsightError."""
    fields = query.part("breakdownFilter")
    if fields is None:
        return None
    several = list(fields.parts("breakdowns"))
    given = fields.given.get("breakdown")
    if not several and given in (None, "", []):
        return None
    if len(several) > _MOST_PARTS:
        raise wrong(fields.at("breakdowns"), f"at most {_MOST_PARTS} breakdowns at once.")
    parts = [_part(one) for one in several] if several else [_single(fields, given)]
    limit = fields.whole("breakdown_limit", least=1, most=10_000)
    return Breakdown(
        parts=tuple(parts),
        several=bool(several),
        limit=limit or (_LIMIT_ON_A_MAP if display == "WorldMap" else _LIMIT),
        hides_other=fields.flag("breakdown_hide_other_aggregation"),
    )


def columns(breakdown: Breakdown | None, values: Values, filters: Filters) -> Columns:
    """Return what a SELECT needs to be broken down."""
    names: list[str] = []
    shown: list[str] = []
    bounds: list[str] = []
    for i, part in enumerate(breakdown.parts if breakdown else ()):
        if part.kind == "cohort":
            shown.append(_cohorts(part, values, filters))
            continue
        raw = _raw(part)
        if part.bins:
            bounds += [f"min(toFloat({raw})) as low_{i}", f"max(toFloat({raw})) as high_{i}"]
            names += _bins(raw, i, values.place(part.bins))
        else:
            names.append(f"toString({raw}) as raw_{i}")
        if part.is_url:
            names.append(f"trimRight(raw_{i}, '/?#') as url_{i}")
            shown.append(f"if(raw_{i} != '' and url_{i} = '', '/', nullIf(url_{i}, ''))")
        else:
            shown.append(f"nullIf(raw_{i}, '')")
    return Columns(tuple(names), tuple(shown), tuple(bounds))


def named(breakdown: Breakdown, value: Any, context: Context) -> tuple[Any, str]:
    """Return a value as PostHog gives it, and its label."""
    texts = [NULL if text is None else str(text) for text in value]
    if breakdown.several:
        return texts, "::".join(texts)
    text = texts[0]
    if not breakdown.is_cohort or text == OTHER:
        return text, text
    if text == "0":
        return "all", "all users"
    document = context.cohort(int(text)) or {}
    return int(text), str(document.get("name") or f"Cohort {text}")


def _part(fields: Fields) -> Part:
    kind = fields.text("type") or "event"
    if kind == "cohort":
        return _cohort_part(fields, [fields.given.get("property")])
    return Part(
        kind=_known(kind, fields.at("type")),
        key=_key(fields.given.get("property"), fields.at("property")),
        attr=fields.at("property"),
        bins=fields.whole("histogram_bin_count", least=1, most=_MOST_BINS),
        is_url=fields.flag("normalize_url"),
    )


def _single(fields: Fields, given: Any) -> Part:
    kind = fields.text("breakdown_type") or "event"
    if kind == "cohort":
        return _cohort_part(fields, given if isinstance(given, list) else [given])
    if isinstance(given, list):
        if len(given) != 1:
            raise wrong(fields.at("breakdown"), "use breakdowns for several properties.")
        given = given[0]
    return Part(
        kind=_known(kind, fields.at("breakdown_type")),
        key=_key(given, fields.at("breakdown")),
        attr=fields.at("breakdown"),
        bins=fields.whole("breakdown_histogram_bin_count", least=1, most=_MOST_BINS),
        is_url=fields.flag("breakdown_normalize_url"),
    )


def _cohort_part(fields: Fields, given: list[Any]) -> Part:
    attr = fields.at("breakdown")
    return Part(kind="cohort", key="", attr=attr, cohorts=tuple(given))


def _known(kind: str, attr: str) -> str:
    if kind not in _KINDS:
        raise wrong(attr, f"a breakdown by {kind!r} is not supported: {_WHY_NOT}.")
    return kind


def _key(given: Any, attr: str) -> str:
    if isinstance(given, int) and not isinstance(given, bool):
        return str(given)
    if not isinstance(given, str) or not given:
        raise wrong(attr, f"must be the name of a property, not {given!r}.")
    return given


def _raw(part: Part) -> str:
    if part.kind == "hogql":
        return expression(part.key, part.attr)
    return property_of(part.kind, part.key, part.attr)


def _cohorts(part: Part, values: Values, filters: Filters) -> str:
    """Return one row's cohorts, each as a row of its own: somebody can be in several."""
    tests = []
    for given in part.cohorts:
        if given in ("all", 0, "0"):
            tests.append("'0'")
            continue
        condition = filters.cohort(given, part.attr)
        tests.append(f"if({condition}, {values.place(str(int(given)))}, '')")
    return f"arrayJoin(arrayFilter(x -> x != '', [{', '.join(tests)}]))"


def _bins(raw: str, i: int, count: str) -> list[str]:
    """Return the names that lead to the text of a number's bin; the last bin is 0.01 wider."""
    return [
        f"toFloat({raw}) as number_{i}",
        f"(high_{i} - low_{i}) / {count} as width_{i}",
        f"if(width_{i} = 0, {count} - 1, floor((number_{i} - low_{i}) / width_{i})) as place_{i}",
        f"least(place_{i}, {count} - 1) as bin_{i}",
        f"if(bin_{i} = {count} - 1, 0.01, 0) as more_{i}",
        f"width_{i} * bin_{i} + low_{i} as from_{i}",
        f"from_{i} + width_{i} + more_{i} as to_{i}",
        f"[from_{i}, to_{i}] as ends_{i}",
        f"if(number_{i} is null, '', toString(ends_{i})) as raw_{i}",
    ]
