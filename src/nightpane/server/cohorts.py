"""The management API of cohorts: by properties, which any client evaluates, or by their members.

What somebody did (behavioural filters) is not evaluated here and refused, rather than matched with
nobody.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from nightpane.definitions import Document
from nightpane.server import flag_rules
from nightpane.server.errors import ApiRefusal
from nightpane.server.flag_state import FlagState
from nightpane.server.rest import USER, definitions_of, document_of, invalid, paged, route
from nightpane.store import Store

__all__ = ["routes"]

_KIND = "cohort"
_MOST_MEMBERS = 100_000


def _list(request: Request, _body: dict[str, Any]) -> Any:
    search = request.query_params.get("search", "").lower()
    found = [one for one in definitions_of(request).list(_KIND) if search in one["name"].lower()]
    found.sort(key=lambda cohort: cohort["id"], reverse=True)
    return paged(request, [_shown(cohort) for cohort in found])


def _create(request: Request, body: dict[str, Any]) -> Any:
    accepted = _accepted(request, body, None)
    if not accepted.get("name"):
        raise invalid("name", "This field is required.", code="required")
    defaults = {"description": "", "is_static": False, "filters": {}, "groups": []}
    members = _members(request, body)
    if any(members.values()) and not accepted.get("is_static"):
        raise invalid("is_static", "Only a static cohort has a list of members.")
    document = {**defaults, **accepted, "created_by": USER, "members": _lists(members)}
    return _shown(definitions_of(request).create(_KIND, document)), 201


def _get(request: Request, _body: dict[str, Any]) -> Any:
    return _shown(document_of(request, _KIND))


def _change(request: Request, body: dict[str, Any]) -> Any:
    cohort = document_of(request, _KIND)
    changes = _accepted(request, body, cohort)
    with definitions_of(request).transaction():
        if changes.get("deleted"):
            _check_unneeded(request, str(cohort["id"]))
        return _shown(definitions_of(request).update(_KIND, cohort["id"], changes))


def _add(request: Request, body: dict[str, Any]) -> Any:
    return _edit(request, body, frozenset.union)


def _remove(request: Request, body: dict[str, Any]) -> Any:
    return _edit(request, body, frozenset.difference)


def _edit(
    request: Request,
    body: dict[str, Any],
    how: Callable[[frozenset[str], frozenset[str]], frozenset[str]],
) -> Any:
    """Change the members by those of the body."""
    changed = _members(request, body)
    with definitions_of(request).transaction():
        cohort = _static(request)
        members = {
            name: how(frozenset(ids), changed[name]) for name, ids in cohort["members"].items()
        }
        if len(members["persons"]) > _MOST_MEMBERS:
            raise invalid(None, f"A static cohort holds {_MOST_MEMBERS:,} persons at most.")
        changes = {"members": _lists(members)}
        return _shown(definitions_of(request).update(_KIND, cohort["id"], changes))


def _persons(request: Request, _body: dict[str, Any]) -> Any:
    members = document_of(request, _KIND)["members"]["persons"]
    return paged(request, [{"id": one, "uuid": one} for one in members])


def _static(request: Request) -> Document:
    cohort = document_of(request, _KIND)
    if not cohort["is_static"]:
        raise invalid("is_static", "Only a static cohort has a list of members.")
    return cohort


def _accepted(request: Request, body: Mapping[str, Any], cohort: Document | None) -> dict[str, Any]:
    """Return what a body sets of a cohort. Raises ApiRefusal (400)."""
    accepted: dict[str, Any] = {}
    kinds = {"name": str, "description": str, "is_static": bool, "deleted": bool, "filters": dict}
    for name, kind in {**kinds, "groups": list}.items():
        if name in body:
            if not isinstance(body[name], kind):
                raise invalid(name, f"Not a valid {kind.__name__}.", code="invalid")
            accepted[name] = body[name]
    if cohort is not None and accepted.get("is_static", cohort["is_static"]) != cohort["is_static"]:
        raise invalid("is_static", "A cohort cannot become static, or stop to be.")
    if accepted.get("groups"):
        raise invalid("groups", "Groups are PostHog's old form: use filters.properties.")
    if "filters" in accepted:
        _check_filters(request, accepted["filters"], cohort)
    return accepted


def _check_filters(request: Request, filters: dict[str, Any], cohort: Document | None) -> None:
    flags = _state(request).ready().flags
    group = filters.get("properties") or {}
    flag_rules.check_group(group, flags)
    if cohort is None:
        return
    own = str(cohort["id"])
    seen: set[str] = set()
    waiting = list(flag_rules.cohorts_in(group))
    while waiting:
        one = waiting.pop()
        if one == own:
            raise invalid("filters", "Cohorts cannot depend on themselves: circular reference.")
        if one not in seen:
            seen.add(one)
            waiting += flag_rules.cohorts_in(flags.cohorts.get(one) or {})


def _members(request: Request, body: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Return whom a body names: persons, and the distinct ids they were named by."""
    store: Store = request.app.state.store
    named: dict[str, list[str]] = {}
    for name in ("distinct_ids", "person_ids", "_create_static_person_ids"):
        listed = body.get(name) or []
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            raise invalid(name, "Not a valid list of ids.", code="invalid")
        if len(listed) > _MOST_MEMBERS:
            raise invalid(name, f"A static cohort holds {_MOST_MEMBERS:,} persons at most.")
        named[name] = listed
    distinct_ids = named.pop("distinct_ids")
    persons = {_uuid(name, one) for name, listed in named.items() for one in listed}
    persons |= {store.person_id(one) for one in distinct_ids}
    return {"distinct_ids": frozenset(distinct_ids), "persons": frozenset(persons)}


def _lists(members: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    return {name: sorted(ids) for name, ids in members.items()}


def _uuid(name: str, text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise invalid(name, f"{text!r} is not a person's UUID.", code="invalid") from error


def _check_unneeded(request: Request, cohort_id: str) -> None:
    flags = _state(request).ready().flags
    using = [
        f"cohort {other}"
        for other, group in flags.cohorts.items()
        if cohort_id in flag_rules.cohorts_in(group)
    ]
    using += [
        f"flag {key}"
        for key, flag in flags.flags.items()
        if any(
            one.get("type") == "cohort" and str(one.get("value")) == cohort_id
            for one in flag_rules.filters_of(flag)
        )
    ]
    if using:
        raise ApiRefusal(
            400,
            "validation_error",
            "cohort_in_use",
            f"This cohort is used in {', '.join(using)}: take it out there first.",
        )


def _shown(cohort: Document) -> dict[str, Any]:
    shown = {name: value for name, value in cohort.items() if name != "members"}
    return {
        **shown,
        "count": len(cohort["members"]["persons"]) if cohort["is_static"] else None,
        "is_calculating": False,
        "errors_calculating": 0,
        "last_calculation": None,
        "cohort_type": "static" if cohort["is_static"] else None,
    }


def _state(request: Request) -> FlagState:
    state: FlagState = request.app.state.flags
    return state


routes: list[Route] = []
for _kind in ("projects", "environments"):
    _cohorts = f"/api/{_kind}/{{project}}/cohorts/"
    _one = _cohorts + "{id}/"
    routes += [
        *route(_cohorts, get=_list, post=_create),
        *route(_one, get=_get, patch=_change, put=_change),
        *route(_one + "persons/", get=_persons),
        *route(_one + "add_persons_to_static_cohort/", patch=_add, post=_add),
        *route(_one + "remove_person_from_static_cohort/", patch=_remove, post=_remove),
    ]
