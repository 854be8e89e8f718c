"""The management API of feature flags: what PostHog's own answers, for what a local project has.

A flag is a document of PostHog's shape, kept as it was sent. Deleting one marks it; its key may be
used again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from nightpane.definitions import Document
from nightpane.flags import FlagSet
from nightpane.server import flag_rules
from nightpane.server.errors import ApiRefusal
from nightpane.server.flag_state import FlagState, Ready
from nightpane.server.flags import evaluate, record
from nightpane.server.rest import (
    USER,
    definitions_of,
    document_of,
    invalid,
    paged,
    route,
)

__all__ = ["create_flag", "no_delete", "routes"]

_KIND = "flag"
_EMPTY_FILTERS: dict[str, Any] = {
    "groups": [{"properties": [], "rollout_percentage": 0}],
    "payloads": {},
    "multivariate": None,
}
# What may be written, the type it must have, and what it is when nobody says.
_FIELDS: dict[str, tuple[tuple[type, ...], Any]] = {
    "name": ((str,), ""),
    "active": ((bool,), True),
    "archived": ((bool,), False),
    "deleted": ((bool,), False),
    "tags": ((list,), []),
    "ensure_experience_continuity": ((bool, type(None)), False),
    "evaluation_runtime": ((str,), "all"),
    "evaluation_contexts": ((list,), []),
    "evaluation_tags": ((list,), []),
    "bucketing_identifier": ((str, type(None)), None),
    "is_remote_configuration": ((bool, type(None)), False),
    "has_encrypted_payloads": ((bool, type(None)), False),
    "rollback_conditions": ((list, type(None)), None),
    "performed_rollback": ((bool, type(None)), False),
    "analytics_dashboards": ((list,), []),
    "creation_context": ((str,), "feature_flags"),
}
_CHOICES = {
    "evaluation_runtime": ("all", "client", "server"),
    "bucketing_identifier": ("distinct_id", "device_id", None),
}


def _list(request: Request, _body: dict[str, Any]) -> Any:
    query = request.query_params
    ready = _ready(request)
    found = [
        flag
        for flag in definitions_of(request).list(_KIND)
        if _is_asked_for(flag, query, flag["key"] in ready.experiments)
    ]
    found.sort(key=lambda flag: flag["id"], reverse=True)
    return paged(request, [_shown(request, flag) for flag in found])


def _is_asked_for(flag: Document, query: Mapping[str, str], in_experiment: bool) -> bool:
    search = query.get("search", "").lower()
    if search and search not in f"{flag['key']}\n{flag['name']}".lower():
        return False
    active = query.get("active", "").lower()
    if active in ("true", "false") and flag["active"] is not (active == "true"):
        return False
    if flag["archived"] is not (query.get("archived", "").lower() == "true"):
        return False
    kind = query.get("type")
    has_variants = bool((flag["filters"].get("multivariate") or {}).get("variants"))
    return (
        kind not in ("boolean", "multivariant", "experiment", "remote_config")
        or {
            "boolean": not has_variants and not flag["is_remote_configuration"],
            "multivariant": has_variants,
            "experiment": in_experiment,
            "remote_config": bool(flag["is_remote_configuration"]),
        }[kind]
    )


def _create(request: Request, body: dict[str, Any]) -> Any:
    return _shown(request, create_flag(request, body)), 201


def create_flag(request: Request, body: Mapping[str, Any]) -> Document:
    """Keep a new flag and return its document. Raises ApiRefusal (400)."""
    key = flag_rules.check_key(body.get("key"))
    document = {name: default for name, (_, default) in _FIELDS.items()}
    document |= {"key": key, "filters": body.get("filters", _EMPTY_FILTERS)}
    document |= _accepted(body) | {"created_by": USER, "last_modified_by": USER}
    with definitions_of(request).transaction():
        _check_free(request, key, None)
        flag_rules.check_filters(document["filters"], _ready(request).flags, key)
        return definitions_of(request).create(_KIND, document)


def _get(request: Request, _body: dict[str, Any]) -> Any:
    return _shown(request, document_of(request, _KIND))


def _change(request: Request, body: dict[str, Any]) -> Any:
    flag = document_of(request, _KIND)
    changes = _accepted(body)
    for name in ("key", "filters"):
        if name in body:
            changes[name] = body[name]
    key = flag_rules.check_key(changes.get("key", flag["key"]))
    with definitions_of(request).transaction():
        flag = document_of(request, _KIND)
        if isinstance(body.get("version"), int) and body["version"] != flag["version"]:
            raise ApiRefusal(
                409,
                "validation_error",
                "conflict",
                f"The feature flag is at version {flag['version']} and was changed since version "
                f"{body['version']}: read it again and change that.",
            )
        if key != flag["key"]:
            _check_no_experiment(request, flag, "rename this feature flag")
            _check_free(request, key, flag["id"])
        if "filters" in changes:
            flag_rules.check_filters(changes["filters"], _ready(request).flags, flag["key"])
        if changes.get("deleted"):
            _check_unneeded(request, flag)
        changed = definitions_of(request).update(
            _KIND, flag["id"], changes | {"last_modified_by": USER}
        )
    return _shown(request, changed)


def no_delete(_request: Request, _body: dict[str, Any]) -> Any:
    """Refuse to throw a document away, in PostHog's words. Raises ApiRefusal (405)."""
    raise ApiRefusal(
        405,
        "invalid_request",
        "method_not_allowed",
        'Hard delete of this model is not allowed. Use a patch API call to set "deleted" to true.',
    )


def _setting(**changes: Any) -> Any:
    """Return the action that makes a change without being told more."""
    return lambda request, _body: _change(request, changes)


def _dependents(request: Request, _body: dict[str, Any]) -> Any:
    return [
        {"id": flag["id"], "key": flag["key"], "name": flag["name"]}
        for flag in _dependent(_ready(request).flags, document_of(request, _KIND))
    ]


def _status(request: Request, _body: dict[str, Any]) -> Any:
    flag = document_of(request, _KIND)
    if not flag["active"]:
        return {"status": "INACTIVE", "reason": "Flag is disabled"}
    return {"status": "ACTIVE", "reason": "Flag is enabled"}


def _test(request: Request, body: dict[str, Any]) -> Any:
    flag = document_of(request, _KIND)
    if not body.get("distinct_id"):
        raise invalid("distinct_id", "This field is required.", code="required")
    ready = _ready(request)
    asked = {**body, "flag_keys": [flag["key"]]}
    result = evaluate(ready, request.app.state.store, asked)[flag["key"]]
    return record(ready, flag["key"], result)


def _bulk_delete(request: Request, body: dict[str, Any]) -> Any:
    ids = body.get("ids")
    if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
        raise invalid("ids", "A list of flag ids is required.", code="required")
    deleted, errors = [], []
    for one in ids:
        flag = definitions_of(request).get(_KIND, one)
        try:
            if flag is None or flag["deleted"]:
                raise invalid("ids", "Flag not found")
            _check_unneeded(request, flag)
            definitions_of(request).delete(_KIND, one)
            deleted.append({"id": one, "key": flag["key"]})
        except ApiRefusal as refusal:
            errors.append({"id": one, "reason": refusal.detail})
    return {"deleted": deleted, "errors": errors}


def _accepted(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a body sets of a flag's plain fields. Raises ApiRefusal (400)."""
    accepted = {name: value for name, value in body.items() if name in _FIELDS}
    for name, value in accepted.items():
        kinds, _ = _FIELDS[name]
        if not isinstance(value, kinds):
            expected = {bool: "boolean", str: "string", list: "list"}[kinds[0]]
            raise invalid(name, f"Not a valid {expected}.", code="invalid")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise invalid(name, f'"{value}" is not a valid choice.', code="invalid_choice")
    if accepted.get("has_encrypted_payloads"):
        raise invalid("has_encrypted_payloads", "A local server does not encrypt payloads.")
    return accepted


def _check_free(request: Request, key: str, own_id: int | None) -> None:
    if any(
        flag["key"] == key and flag["id"] != own_id for flag in definitions_of(request).list(_KIND)
    ):
        raise invalid("key", "There is already a feature flag with this key.", code="unique")


def _check_unneeded(request: Request, flag: Document) -> None:
    _check_no_experiment(request, flag, "delete this feature flag")
    needing = [one["key"] for one in _dependent(_ready(request).flags, flag)]
    if needing:
        raise invalid(
            None,
            "Cannot delete this feature flag because other flags depend on it: "
            f"{', '.join(needing)}.",
        )


def _check_no_experiment(request: Request, flag: Document, what: str) -> None:
    ids = [str(one["id"]) for one in _experiments(request, flag) if not one.get("end_date")]
    if ids:
        raise invalid(
            None,
            f"Cannot {what}: it is linked to experiments that have not ended, with ID(s) "
            f"{', '.join(ids)}.",
        )


def _experiments(request: Request, flag: Document) -> list[Document]:
    experiments = definitions_of(request).list("experiment")
    return [one for one in experiments if one.get("feature_flag_key") == flag["key"]]


def _dependent(flags: FlagSet, flag: Document) -> list[Mapping[str, Any]]:
    names = (flag["key"], str(flag["id"]))
    return [
        other
        for other in flags.flags.values()
        if any(
            one.get("type") == "flag" and str(one.get("key")) in names
            for one in flag_rules.filters_of(other)
        )
    ]


def _shown(request: Request, flag: Document) -> dict[str, Any]:
    groups = flag["filters"].get("groups") or []
    shares = [one.get("rollout_percentage") for one in groups]
    simple = len(groups) == 1 and not groups[0].get("properties")
    return {
        **flag,
        "experiment_set": [one["id"] for one in _experiments(request, flag)],
        "surveys": None,
        "features": None,
        "usage_dashboard": None,
        "can_edit": True,
        "user_access_level": "manager",
        "status": "ACTIVE" if flag["active"] else "INACTIVE",
        "is_simple_flag": simple,
        "rollout_percentage": (100 if shares[0] is None else shares[0]) if simple else None,
    }


def _ready(request: Request) -> Ready:
    state: FlagState = request.app.state.flags
    return state.ready()


routes: list[Route] = []
for _kind in ("projects", "environments"):
    _flags = f"/api/{_kind}/{{project}}/feature_flags/"
    _one = _flags + "{id}/"
    routes += [
        *route(_flags, get=_list, post=_create),
        *route(_flags + "bulk_delete/", post=_bulk_delete),
        *route(_one, get=_get, patch=_change, put=_change, delete=no_delete),
        *route(_one + "enable/", post=_setting(active=True)),
        *route(_one + "disable/", post=_setting(active=False)),
        *route(_one + "archive/", post=_setting(archived=True, active=False)),
        *route(_one + "unarchive/", post=_setting(archived=False)),
        *route(_one + "status/", get=_status),
        *route(_one + "dependent_flags/", get=_dependents),
        *route(_one + "test_evaluation/", post=_test),
    ]
