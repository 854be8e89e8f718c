"""What a flag's document must be, and what can be read off it: PostHog's rules, without a server.

A flag that is refused here could not be evaluated the same way everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from nightpane.flags import FlagSet
from nightpane.flags.patterns import check as check_pattern
from nightpane.flags.properties import OPERATORS
from nightpane.server.errors import ApiRefusal
from nightpane.server.rest import invalid

__all__ = [
    "check_filters",
    "check_group",
    "check_key",
    "cohort_group",
    "cohorts_in",
    "dependencies",
    "filters_of",
    "local_flag",
    "uses_groups",
]

Document = Mapping[str, Any]

_KEY = re.compile(r"[A-Za-z0-9_-]{1,400}")
_RUNTIMES = ("all", "client", "server")
_MOST_NESTED = 10
_LOCAL = (
    *("id", "key", "name", "active", "deleted", "version", "ensure_experience_continuity"),
    *("bucketing_identifier", "evaluation_runtime", "evaluation_contexts"),
)


def check_key(key: Any) -> str:
    """Return a flag's key. Raises ApiRefusal (400) for what cannot be one."""
    if key is None or key == "":
        raise invalid("key", "This field is required.", code="required")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise invalid(
            "key",
            "Only letters, numbers, hyphens (-) & underscores (_) are allowed.",
            code="invalid_key",
        )
    return key


def check_filters(filters: Any, flags: FlagSet, own_key: str) -> None:
    """Let a flag's filters pass. Raises ApiRefusal (400) saying what in them is wrong.

    ``flags`` are the project's, for the cohorts and flags that conditions name; ``own_key`` is the
    flag's, which must not depend on itself.
    """
    if not isinstance(filters, dict):
        raise _refused("Filters must be an object.")
    variants = _check_variants(filters.get("multivariate"))
    groups = filters.get("groups", [])
    for listed in (groups, filters.get("super_groups") or []):
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise _refused("Condition groups must be a list of objects.")
        for group in listed:
            _check_percentage(group.get("rollout_percentage"), optional=True)
            for one in _listed(group.get("properties"), "properties"):
                _check_filter(one, flags)
    for group in groups:
        if group.get("variant") and group["variant"] not in variants:
            raise _refused(f"The variant override {group['variant']!r} is not one of its variants.")
    _check_payloads(filters.get("payloads"), variants)
    _check_holdout(filters.get("holdout"))
    _check_circle(filters, flags, own_key)


def check_group(group: Any, flags: FlagSet, nested: int = 0) -> None:
    """Let a cohort's property group pass. Raises ApiRefusal (400)."""
    if group == {} and nested == 0:
        return
    if not isinstance(group, dict) or group.get("type") not in ("AND", "OR"):
        raise _refused("A property group must be an object of type AND or OR.")
    if nested > _MOST_NESTED:
        raise _refused(f"Property groups may be nested {_MOST_NESTED} deep.")
    for one in _listed(group.get("values"), "values"):
        if "values" in one or one.get("type") in ("AND", "OR"):
            check_group(one, flags, nested + 1)
        else:
            _check_filter(one, flags)


def cohort_group(cohort: Document) -> Any:
    """Return the property group that decides who is in a cohort."""
    return (cohort.get("filters") or {}).get("properties") or {}


def cohorts_in(group: Any) -> Iterator[str]:
    """Yield the ids of the cohorts that a cohort's property group names."""
    for one in group.get("values") or []:
        if "values" in one:
            yield from cohorts_in(one)
        elif one.get("type") == "cohort":
            yield str(one.get("value"))


def filters_of(flag: Document) -> Iterator[Mapping[str, Any]]:
    """Yield every property filter of a flag's conditions."""
    filters = flag.get("filters") or {}
    for group in [*(filters.get("groups") or []), *(filters.get("super_groups") or [])]:
        yield from group.get("properties") or []


def uses_groups(flag: Document) -> bool:
    """Tell whether a flag is, or has a condition, about groups rather than persons."""
    filters = flag.get("filters") or {}
    return any(
        one.get("aggregation_group_type_index") is not None
        for one in [filters, *(filters.get("groups") or [])]
    )


def dependencies(flag: Document, flags: FlagSet) -> list[str]:
    """Return the keys of the flags a flag depends on, each after those it depends on itself."""
    ordered: list[str] = []

    def visit(one: Document, under_way: frozenset[str]) -> None:
        for named in filters_of(one):
            found = flags.find(named.get("key")) if named.get("type") == "flag" else None
            if found is None or found["key"] in under_way:
                continue
            visit(found, under_way | {found["key"]})
            if found["key"] not in ordered:
                ordered.append(found["key"])

    visit(flag, frozenset({str(flag["key"])}))
    return ordered


def local_flag(flag: Document, flags: FlagSet, experiments: frozenset[str]) -> dict[str, Any]:
    """Return a flag as clients evaluate it: dependencies by key, with the order to evaluate in."""
    filters = dict(flag.get("filters") or {})
    filters["groups"] = [
        {**group, "properties": [_local(one, flags) for one in group.get("properties") or []]}
        for group in filters.get("groups") or []
    ]
    shown = {name: flag[name] for name in _LOCAL if name in flag}
    return {**shown, "filters": filters, "has_experiment": flag["key"] in experiments}


def _local(one: Document, flags: FlagSet) -> Document:
    found = flags.find(one.get("key")) if one.get("type") == "flag" else None
    if found is None:
        return one
    chain = [*dependencies(found, flags), found["key"]]
    return {**one, "key": found["key"], "dependency_chain": chain}


def _check_variants(multivariate: Any) -> list[str]:
    if not multivariate:
        return []
    variants = (
        _listed(multivariate.get("variants"), "variants") if isinstance(multivariate, dict) else []
    )
    for one in variants:
        if not isinstance(one.get("key"), str) or not _KEY.fullmatch(one["key"]):
            raise _refused(f"The variant key {one.get('key')!r} is not allowed.")
        _check_percentage(one.get("rollout_percentage"), optional=False)
    keys = [one["key"] for one in variants]
    if len(set(keys)) < len(keys):
        raise _refused("Invalid variant definitions: Variant keys must be unique.")
    if variants and abs(sum(one["rollout_percentage"] for one in variants) - 100) > 1e-6:
        raise _refused("Invalid variant definitions: Variant rollout percentages must sum to 100.")
    return keys


def _check_percentage(share: Any, *, optional: bool) -> None:
    if share is None and optional:
        return
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 100:
        raise _refused(f"A rollout percentage must be a number from 0 to 100, not {share!r}.")


def _check_filter(one: Any, flags: FlagSet) -> None:
    kind, value = one.get("type"), one.get("value")
    operator = one.get("operator") or "exact"
    if kind == "cohort":
        if str(value) not in flags.cohorts and str(value) not in flags.static_cohorts:
            raise invalid(
                "filters",
                f"Cohort with id {value} does not exist",
                code="cohort_does_not_exist",
            )
    elif kind == "flag":
        if operator != "flag_evaluates_to" or value is None:
            raise _refused("A flag dependency needs the operator 'flag_evaluates_to' and a value.")
        if flags.find(one.get("key")) is None:
            raise _refused(f"Flag dependency references non-existent flag {one.get('key')!r}")
    elif kind not in (None, "person", "group"):
        raise _refused(f"Filters of type {kind!r} cannot be evaluated here: use person or group.")
    else:
        if operator not in OPERATORS:
            raise _refused(f"The operator {operator!r} is not known.")
        if not isinstance(one.get("key"), str):
            raise _refused("A property filter needs a key.")
        if operator in ("regex", "not_regex") and (wrong := check_pattern(str(value))):
            raise _refused(f"{value!r} cannot be used: {wrong}")


def _check_payloads(payloads: Any, variants: list[str]) -> None:
    if not payloads:
        return
    if not isinstance(payloads, dict):
        raise _refused("Payloads must be an object.")
    if not set(payloads) <= set(variants or ["true"]):
        what = "match a variant key for multivariate flags" if variants else "be 'true'"
        raise _refused(f"Payload keys must {what}.")
    for key, payload in payloads.items():
        try:
            if isinstance(payload, str):
                orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise _refused(f"The payload of {key!r} is not valid JSON: {error}") from error


def _check_holdout(holdout: Any) -> None:
    if not holdout:
        return
    if not isinstance(holdout, dict) or holdout.get("id") is None:
        raise _refused("A holdout must be an object with an id.")
    _check_percentage(holdout.get("exclusion_percentage"), optional=True)


def _check_circle(filters: Document, flags: FlagSet, own_key: str) -> None:
    named = [
        flags.find(one.get("key"))
        for one in filters_of({"filters": filters})
        if one.get("type") == "flag"
    ]
    reached = {
        key
        for flag in named
        if flag is not None
        for key in [flag["key"], *dependencies(flag, flags)]
    }
    if own_key in reached:
        raise _refused(f"The flag {own_key!r} would depend on itself: circular dependency.")


def _listed(values: Any, what: str) -> list[dict[str, Any]]:
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
        raise _refused(f"{what} must be a list of objects.")
    return values


def _refused(detail: str) -> ApiRefusal:
    return invalid("filters", detail)
