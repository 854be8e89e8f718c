"""Whether a property of a person or group fits a filter: PostHog's operators.

What the official SDKs decide locally is decided alike here. What they leave to the server is
decided as its flag service does: a property not set fits the negative operators only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from nightpane.flags import patterns, semver
from nightpane.flags.dates import parse_date, parse_limit
from nightpane.flags.model import Context, UnknownError
from nightpane.flags.values import ascii_lower, is_truth, number, text, truth

__all__ = ["OPERATORS", "fits"]

Filter = Mapping[str, Any]


def fits(
    one: Filter, properties: Mapping[str, Any], context: Context, matching_version: int = 1
) -> bool:
    """Tell whether the properties fit a filter. Raises UnknownError when that cannot be told."""
    operator = one.get("operator") or "exact"
    key, wanted = str(one.get("key")), one.get("value")
    if operator not in OPERATORS:
        raise UnknownError(f"the operator {operator!r} is not known")
    if key not in properties:
        if not context.complete:
            raise UnknownError(f"the property {key!r} is not given")
        return operator in _NEGATIVE
    if operator in ("is_set", "is_not_set"):
        return bool(operator == "is_set")
    given = properties[key]
    if operator in ("exact", "is_not"):
        return _exact(wanted, given, matching_version) == (operator == "exact")
    if operator in _TEXTS:
        test, positive = _TEXTS[operator]
        return test(ascii_lower(given), wanted) is positive
    if operator in ("regex", "not_regex"):
        found = patterns.search(text(wanted), text(given))
        return found is not None and found is (operator == "regex")
    if operator in _NUMBERS:
        return _numeric(operator, wanted, given)
    if given is None:
        return False
    if operator in _DATES:
        return _date(operator, wanted, given, context)
    return _version(operator, wanted, given, context)


def _exact(wanted: Any, given: Any, matching_version: int) -> bool:
    if wanted == []:
        return truth(given)
    if matching_version != 2 and is_truth(wanted):
        return truth(wanted) == truth(given)
    found = text(given).lower()
    candidates = wanted if isinstance(wanted, list) else [wanted]
    return any(text(candidate).lower() == found for candidate in candidates)


def _contains(given: str, wanted: Any) -> bool:
    return ascii_lower(wanted) in given


def _contains_any(given: str, wanted: Any) -> bool:
    return any(ascii_lower(one) in given for one in _listed(wanted))


def _starts(given: str, wanted: Any) -> bool:
    return given.startswith(ascii_lower(wanted))


def _ends(given: str, wanted: Any) -> bool:
    return given.endswith(ascii_lower(wanted))


def _listed(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def _numeric(operator: str, wanted: Any, given: Any) -> bool:
    limits = [number(one) for one in _listed(wanted)]
    expected = 2 if operator in ("between", "not_between") else 1
    if len(limits) != expected or None in limits:
        raise UnknownError(f"{operator} cannot compare with {wanted!r}")
    found = number(given)
    return found is not None and _NUMBERS[operator](found, *limits)


def _date(operator: str, wanted: Any, given: Any, context: Context) -> bool:
    try:
        limit = parse_limit(text(wanted), context.now)
    except ValueError as error:
        raise UnknownError(f"{wanted!r} is no date") from error
    try:
        if not isinstance(given, str):
            raise ValueError("no text")
        found = parse_date(given, context.now)
    except ValueError as error:
        return _unusable(given, "date", error, context)
    return _DATES[operator](found, limit)


def _version(operator: str, wanted: Any, given: Any, context: Context) -> bool:
    try:
        ranged = operator in _RANGES
        low, high = semver.bounds(operator, wanted) if ranged else (semver.parse(wanted), (0, 0, 0))
    except ValueError as error:
        raise UnknownError(f"{wanted!r} is no version for {operator}") from error
    try:
        found = semver.parse(given)
    except ValueError as error:
        return _unusable(given, "version", error, context)
    return low <= found < high if ranged else _VERSIONS[operator](found, low)


def _unusable(given: Any, what: str, error: ValueError, context: Context) -> bool:
    if context.complete:
        return False
    raise UnknownError(f"the value {given!r} is no {what}") from error


_TEXTS: dict[str, tuple[Callable[[str, Any], bool], bool]] = {
    "icontains": (_contains, True),
    "not_icontains": (_contains, False),
    "icontains_multi": (_contains_any, True),
    "not_icontains_multi": (_contains_any, False),
    "starts_with": (_starts, True),
    "not_starts_with": (_starts, False),
    "ends_with": (_ends, True),
    "not_ends_with": (_ends, False),
}
_NUMBERS: dict[str, Callable[..., bool]] = {
    "gt": lambda found, limit: found > limit,
    "gte": lambda found, limit: found >= limit,
    "lt": lambda found, limit: found < limit,
    "lte": lambda found, limit: found <= limit,
    "between": lambda found, low, high: low <= found <= high,
    "not_between": lambda found, low, high: not low <= found <= high,
}
_DATES: dict[str, Callable[[datetime, datetime], bool]] = {
    "is_date_before": lambda found, limit: found < limit,
    "is_date_after": lambda found, limit: found > limit,
    "is_date_exact": lambda found, limit: found == limit,
}
_VERSIONS: dict[str, Callable[[semver.Version, semver.Version], bool]] = {
    "semver_eq": lambda found, limit: found == limit,
    "semver_neq": lambda found, limit: found != limit,
    "semver_gt": lambda found, limit: found > limit,
    "semver_gte": lambda found, limit: found >= limit,
    "semver_lt": lambda found, limit: found < limit,
    "semver_lte": lambda found, limit: found <= limit,
}
_RANGES = frozenset({"semver_tilde", "semver_caret", "semver_wildcard"})
_NEGATIVE = frozenset(
    {
        *("is_not", "is_not_set", "not_icontains", "not_icontains_multi", "not_regex"),
        *("not_starts_with", "not_ends_with", "not_between"),
    }
)

OPERATORS = frozenset(
    {
        *("exact", "is_not", "is_set", "is_not_set", "regex", "not_regex"),
        *(_TEXTS.keys() | _NUMBERS.keys() | _DATES.keys() | _VERSIONS.keys() | _RANGES),
    }
)
"""Every operator a property's filter may have."""
