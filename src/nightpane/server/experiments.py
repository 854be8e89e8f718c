"""Experiments: PostHog's management routes, and its two kinds of query on them.

An experiment and its flag are definitions; its results are worked out from events when asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from nightpane.definitions import Definitions, Document
from nightpane.errors import ExperimentError
from nightpane.experiments.design import answer, exposures
from nightpane.experiments.document import (
    KIND,
    changes,
    find_metric,
    new,
    status,
    variants_of,
)
from nightpane.server.errors import ApiRefusal
from nightpane.server.feature_flags import create_flag, no_delete
from nightpane.server.flag_rules import check_key
from nightpane.server.hogql_run import run_hogql
from nightpane.server.rest import (
    USER,
    definitions_of,
    document_of,
    invalid,
    paged,
    route,
)
from nightpane.store import Store

__all__ = ["answer_exposures", "answer_query", "routes"]

_FLAG = "flag"
_EVEN_SPLIT = [
    {"key": "control", "name": "Control", "rollout_percentage": 50},
    {"key": "test", "name": "Test", "rollout_percentage": 50},
]


def answer_query(store: Store, definitions: Definitions, node: Mapping[str, Any]) -> dict[str, Any]:
    """Return PostHog's response to an ``ExperimentQuery``. Raises ApiRefusal (400, 404)."""
    document, flag = _asked(definitions, node)
    try:
        metric = node.get("metric") or find_metric(document, node.get("metric_uuid"))
        return answer(document, flag, metric, lambda query, values: run_hogql(store, query, values))
    except ExperimentError as error:
        raise _refused(error) from error


def answer_exposures(
    store: Store, definitions: Definitions, node: Mapping[str, Any]
) -> dict[str, Any]:
    """Return PostHog's response to an ``ExperimentExposureQuery``. Raises ApiRefusal (400, 404)."""
    document, flag = _asked(definitions, node)
    try:
        return exposures(document, flag, lambda query, values: run_hogql(store, query, values))
    except ExperimentError as error:
        raise _refused(error) from error


def _asked(definitions: Definitions, node: Mapping[str, Any]) -> tuple[Document, Document]:
    """Return a query's experiment, with what the query says instead, and its flag."""
    experiment_id = node.get("experiment_id")
    if isinstance(experiment_id, bool) or not isinstance(experiment_id, int):
        raise invalid("experiment_id", "This field is required.", code="required")
    document = definitions.get(KIND, experiment_id)
    if document is None or document["deleted"]:
        raise invalid("experiment_id", f"Experiment with id {experiment_id} not found.")
    said = {name: node[name] for name in ("exposure_criteria",) if node.get(name)}
    return {**document, **said}, _flag_of(definitions, document)


def _list(request: Request) -> dict[str, Any]:
    definitions = definitions_of(request)
    query = request.query_params
    search, wanted = query.get("search", "").lower(), query.get("status")
    archived = query.get("archived", "false").lower() == "true"
    found = [
        one
        for one in reversed(definitions.list(KIND))
        if search in one["name"].lower()
        and wanted in (None, "all", status(one))
        and one["archived"] is archived
        and query.get("feature_flag_key") in (None, one["feature_flag_key"])
    ]
    page = paged(request, found)
    return {**page, "results": [_shown(definitions, one) for one in page["results"]]}


def _create(request: Request, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    definitions = definitions_of(request)
    try:
        with definitions.transaction():
            flag = _link_flag(request, body)
            document = definitions.create(KIND, {**new(body, flag), "created_by": USER})
            if status(document) == "running":
                _set_flag(request, document, {"active": True})
    except ExperimentError as error:
        raise _refused(error) from error
    return _shown(definitions, document), 201


def _read(request: Request, _body: dict[str, Any]) -> dict[str, Any]:
    return _shown(definitions_of(request), document_of(request, KIND))


def _patch(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    document = document_of(request, KIND)
    try:
        changed = changes(document, body)
    except ExperimentError as error:
        raise _refused(error) from error
    with definitions_of(request).transaction():
        if status(document) == "draft" and changed.get("start_date"):
            _set_flag(request, document, {"active": True})
        return _change(request, document, changed)


def _launch(request: Request, _body: dict[str, Any]) -> dict[str, Any]:
    document = _in_state(request, "Experiment has already been launched.", "draft")
    with definitions_of(request).transaction():
        _set_flag(request, document, {"active": True})
        return _change(request, document, {"start_date": _now()})


def _pause(request: Request, _body: dict[str, Any]) -> dict[str, Any]:
    document = _in_state(request, "Only a running experiment can be paused.", "running")
    with definitions_of(request).transaction():
        _set_flag(request, document, {"active": False})
        return _change(request, document, {"paused": True})


def _resume(request: Request, _body: dict[str, Any]) -> dict[str, Any]:
    document = _in_state(request, "Only a paused experiment can be resumed.", "paused")
    with definitions_of(request).transaction():
        _set_flag(request, document, {"active": True})
        return _change(request, document, {"paused": False})


def _end(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    document = _in_state(request, "Experiment is not running.", "running", "paused")
    return _change(request, document, _ending(document, body))


def _reset(request: Request, _body: dict[str, Any]) -> dict[str, Any]:
    document = _in_state(request, "Experiment is already a draft.", "running", "paused", "stopped")
    cleared = dict.fromkeys(("start_date", "end_date", "conclusion", "conclusion_comment"))
    return _change(request, document, {**cleared, "archived": False, "paused": False})


def _archive(request: Request, _body: dict[str, Any]) -> dict[str, Any]:
    why = "Experiment must be ended before it can be archived."
    return _change(request, _in_state(request, why, "stopped"), {"archived": True})


def _ship(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    """Give everybody one variant: a first condition that all match. Ends a running experiment."""
    document = document_of(request, KIND)
    definitions = definitions_of(request)
    flag = _flag_of(definitions, document)
    key = body.get("variant_key")
    if key not in variants_of(flag):
        raise invalid("variant_key", f"{key!r} is not a variant of the flag.")
    everybody = {"properties": [], "rollout_percentage": 100, "variant": key}
    filters = {**flag["filters"], "groups": [everybody, *(flag["filters"].get("groups") or [])]}
    with definitions.transaction():
        definitions.update(_FLAG, flag["id"], {"filters": filters, "active": True})
        running = status(document) in ("running", "paused")
        return _change(request, document, _ending(document, body) if running else {})


def _ending(document: Document, body: Mapping[str, Any]) -> dict[str, Any]:
    said = {k: body[k] for k in ("conclusion", "conclusion_comment") if k in body}
    try:
        return {**changes(document, said), "end_date": _now(), "paused": False}
    except ExperimentError as error:
        raise _refused(error) from error


def _in_state(request: Request, why: str, *wanted: str) -> Document:
    document = document_of(request, KIND)
    if status(document) not in wanted:
        raise invalid(None, f"{why} It is {status(document)}.")
    return document


def _change(request: Request, document: Document, changed: dict[str, Any]) -> dict[str, Any]:
    definitions = definitions_of(request)
    return _shown(definitions, definitions.update(KIND, document["id"], changed))


def _set_flag(request: Request, document: Document, changed: dict[str, Any]) -> None:
    definitions = definitions_of(request)
    definitions.update(_FLAG, _flag_of(definitions, document)["id"], changed)


def _link_flag(request: Request, body: Mapping[str, Any]) -> Document:
    """Return the flag of a new experiment: the one there is, or a new one, off until launch."""
    definitions = definitions_of(request)
    key = body.get("feature_flag_key")
    if not key:
        raise invalid("feature_flag_key", "This field is required.", code="required")
    found = _find_flag(definitions, check_key(key))
    if found is not None:
        variants_of(found)
        return found
    given = body.get("feature_flag") or {}
    parameters = body.get("parameters") or {}
    if not isinstance(given, dict) or not isinstance(parameters, dict):
        raise invalid("feature_flag", "This field must be an object.")
    split = {
        "groups": [{"properties": [], "rollout_percentage": 100}],
        "multivariate": {"variants": parameters.get("feature_flag_variants") or _EVEN_SPLIT},
        "payloads": {},
    }
    made = create_flag(
        request,
        {
            "name": f"Feature Flag for Experiment {body.get('name')}",
            "filters": split,
            **given,
            "key": key,
            "active": False,
            "creation_context": "experiments",
        },
    )
    variants_of(made)
    return made


def _find_flag(definitions: Definitions, key: str) -> Document | None:
    return next((one for one in definitions.list(_FLAG) if one["key"] == key), None)


def _flag_of(definitions: Definitions, document: Mapping[str, Any]) -> Document:
    flag = _find_flag(definitions, document["feature_flag_key"])
    if flag is None:
        raise invalid(
            "feature_flag_key",
            f"The flag {document['feature_flag_key']!r} of this experiment is deleted.",
        )
    return flag


def _shown(definitions: Definitions, document: Document) -> dict[str, Any]:
    flag = _find_flag(definitions, document["feature_flag_key"])
    return {**document, "status": status(document), "feature_flag": flag}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _refused(error: ExperimentError) -> ApiRefusal:
    return invalid(error.attr, str(error))


_ACTIONS = {
    "launch": _launch,
    "pause": _pause,
    "resume": _resume,
    "end": _end,
    "reset": _reset,
    "archive": _archive,
    "ship_variant": _ship,
}

routes: list[Route] = []
for _scope in ("projects", "environments"):
    _at = f"/api/{_scope}/{{project}}/experiments/"
    routes += route(_at, get=lambda request, _body: _list(request), post=_create)
    routes += route(f"{_at}{{id}}/", get=_read, patch=_patch, delete=no_delete)
    for _name, _action in _ACTIONS.items():
        routes += route(f"{_at}{{id}}/{_name}/", post=_action)
