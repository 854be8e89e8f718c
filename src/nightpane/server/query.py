"""PostHog's query API: ``/api/(projects|environments)/{id}/query/``.

HogQL is answered at once, whatever ``refresh`` or ``async`` ask: nothing here is slow enough for a
queue. A kind of query that is not known is a validation error, as in PostHog.
"""

from __future__ import annotations

import functools
import json
import re
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from nightpane import hogql, insights
from nightpane.definitions import Definitions
from nightpane.errors import HogQLError, QueryLimitError, StoreError
from nightpane.server.absent import check_kind
from nightpane.server.auth import require_personal_key
from nightpane.server.body import MIB, read_body
from nightpane.server.errors import ApiRefusal, CaptureRefusal, JsonResponse, api_error
from nightpane.server.experiments import answer_exposures, answer_query
from nightpane.server.hogql_run import InProcessQuery, compile_for, explain, run_hogql
from nightpane.server.insights import answer_insight
from nightpane.store import Store

__all__ = ["KINDS", "InProcessQuery", "answer_node", "as_json", "routes", "run_hogql", "unwrap"]

_BODY_BYTES = 2 * MIB
_BODY_S = 30.0
_AT_ONCE = 8
_WAITING = 64
_KEPT_QUERIES = 16
_KEPT_ROWS = 5_000
_WRAPPERS = ("InsightVizNode", "DataVisualizationNode", "DataTableNode")
_TIMES = re.compile(r"Code: (\d+)\.")


async def ask(request: Request) -> Response:
    """Answer ``POST …/query/``."""
    require_personal_key(request)
    _check_project(request)
    body = await _body(request)
    node = unwrap(body.get("query"))
    state = request.app.state
    limiter = _limiter(state)
    if limiter.statistics().tasks_waiting >= _WAITING:
        raise _busy(f"{_WAITING} queries are waiting already")
    work = functools.partial(answer_node, state.store, state.definitions, node, body)
    try:
        answer = await anyio.to_thread.run_sync(work, limiter=limiter)
    except HogQLError as error:
        return _refused(error, str(node.get("query") or ""))
    except QueryLimitError as error:
        return _limited(error)
    except StoreError as error:
        detail = f"ClickHouse error while executing query. {explain(error)}"
        return api_error(500, "server_error", "error", detail)
    _remember(state, body.get("client_query_id"), answer)
    return as_json(answer)


async def status(request: Request) -> Response:
    """Answer ``GET …/query/{id}/``: the result of a query asked under that client_query_id."""
    require_personal_key(request)
    _check_project(request)
    found = _log(request.app.state).get(request.path_params["query_id"])
    if found is None:
        raise ApiRefusal(404, "invalid_request", "not_found", "Not found.")
    return as_json({"query_status": found})


async def cancel(request: Request) -> Response:
    """Answer ``DELETE …/query/{id}/``: queries are answered at once, so there is none to cancel."""
    require_personal_key(request)
    _check_project(request)
    _log(request.app.state).pop(request.path_params["query_id"], None)
    return as_json({"message": "Query cancelled"})


def answer_node(
    store: Store, definitions: Definitions, node: Mapping[str, Any], body: Mapping[str, Any]
) -> dict[str, Any]:
    """Return PostHog's response to a bare query node; ``body`` has the request's overrides.

    Raises ApiRefusal (400), HogQLError, QueryLimitError and StoreError.
    """
    answers = _KINDS.get(str(node.get("kind")))
    if answers is None:
        return _answer(store, node, body)
    chosen = {name: body[name] for name in ("filters_override",) if body.get(name)}
    return answers(store, definitions, {**node, **chosen})


def _answer(store: Store, node: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    kind = node.get("kind")
    if kind == "HogQLMetadata":
        return _metadata(store, node)
    check_kind(kind)
    if kind != "HogQLQuery":
        raise ApiRefusal(
            400,
            "validation_error",
            "invalid",
            f"Unsupported query kind: {kind!r}. HogQLQuery, HogQLMetadata, "
            f"{', '.join(_KINDS)} are answered here.",
            attr="query",
        )
    query = node.get("query")
    if not isinstance(query, str):
        raise ApiRefusal(
            400, "validation_error", "required", "This field is required.", attr="query"
        )
    filters = {**_mapping(node, "filters"), **_mapping(body, "filters_override")}
    variables = {**_mapping(node, "variables"), **_mapping(body, "variables_override")}
    return run_hogql(store, query, _mapping(node, "values"), variables=variables, filters=filters)


def _metadata(store: Store, node: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an editor wants to know of a query that is not run."""
    query = str(node.get("query") or "")
    language = str(node.get("language") or "hogQL")
    lead, tail = ("SELECT ", "\nFROM events") if language == "hogQLExpr" else ("", "")
    values = _mapping(node, "values")
    errors: list[dict[str, Any]] = []
    tables: list[str] = []
    try:
        compiled = compile_for(
            store, f"{lead}{query}{tail}", values, filters=_mapping(node, "filters")
        )
        tables = list(compiled.tables)
    except HogQLError as error:
        places = [
            None if at is None else min(max(at - len(lead), 0), len(query))
            for at in (error.start, error.end)
        ]
        errors.append({"message": error.message, "start": places[0], "end": places[1]})
    return {
        "query": query,
        "isValid": not errors,
        "isUsingIndices": "undecisive",
        "errors": errors,
        "warnings": [],
        "notices": [],
        "table_names": tables,
    }


async def _body(request: Request) -> Mapping[str, Any]:
    try:
        raw = await read_body(request, _BODY_BYTES, _BODY_S)
        body = orjson.loads(raw)
    except CaptureRefusal as error:
        kind = "validation_error" if error.status < 500 else "server_error"
        raise ApiRefusal(error.status, kind, error.tag or "invalid", str(error)) from error
    except orjson.JSONDecodeError as error:
        raise ApiRefusal(
            400, "validation_error", "parse_error", f"JSON parse error - {error}"
        ) from error
    if not isinstance(body, dict):
        raise ApiRefusal(400, "validation_error", "invalid", "The body must be a JSON object.")
    return body


def unwrap(node: Any) -> Mapping[str, Any]:
    """Return the node inside the ones that only say how to draw it. Raises ApiRefusal (400)."""
    for _ in range(4):
        if not isinstance(node, dict):
            break
        if node.get("kind") not in _WRAPPERS:
            return node
        node = node.get("source")
    raise ApiRefusal(
        400,
        "validation_error",
        "required",
        'A query is required, such as {"kind": "HogQLQuery", "query": "SELECT 1"}.',
        attr="query",
    )


def _mapping(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = holder.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ApiRefusal(400, "validation_error", "invalid", f"{key} must be an object.", attr=key)
    return value


def _check_project(request: Request) -> None:
    # There is one project, so whatever number a client was set up with means that one.
    given = request.path_params["project_id"]
    if given != "@current" and not given.isdigit():
        raise ApiRefusal(404, "invalid_request", "not_found", "Project not found.")


def _refused(error: HogQLError, query: str) -> Response:
    detail = error.message
    extra = None
    if error.start is not None:
        line, column = hogql.position(query, error.start)
        detail += f" (line {line}, column {column})"
        end = error.end if error.end is not None else error.start
        extra = {"start": error.start, "end": end, "line": line, "column": column}
    body = {
        "type": "validation_error",
        "code": error.code,
        "detail": detail,
        "attr": None,
        "extra": extra,
    }
    return JsonResponse(body, status_code=400)


def _limited(error: QueryLimitError) -> Response:
    code = _TIMES.search(str(error))
    number = int(code.group(1)) if code else 0
    if not number:
        raise _busy(str(error)) from error
    if number in (159, 160, 394):
        text = "Query has hit the max execution time before completing."
        return api_error(
            504, "server_error", "query_timeout", f"{text} Narrow its time range or ask for less."
        )
    if number == 241:
        text = "Query has reached the max memory limit before completing."
        return api_error(
            504, "server_error", "query_memory_limit", f"{text} Group by less, or select less."
        )
    return api_error(400, "validation_error", "query_limit", explain(error))


def _busy(why: str) -> ApiRefusal:
    return ApiRefusal(
        429, "throttled_error", "throttled", f"{why}: try again", headers={"Retry-After": "2"}
    )


def _limiter(state: Any) -> anyio.CapacityLimiter:
    limiter: anyio.CapacityLimiter | None = getattr(state, "query_limiter", None)
    if limiter is None:
        limiter = state.query_limiter = anyio.CapacityLimiter(_AT_ONCE)
    return limiter


def _log(state: Any) -> OrderedDict[str, dict[str, Any]]:
    log: OrderedDict[str, dict[str, Any]] | None = getattr(state, "query_log", None)
    if log is None:
        log = state.query_log = OrderedDict()
    return log


def _remember(state: Any, query_id: Any, answer: dict[str, Any]) -> None:
    """Keep a small result for whoever asks for it again by its id, and put its status in it."""
    known = isinstance(query_id, str) and bool(query_id)
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    found = {
        "id": query_id if known else str(uuid.uuid4()),
        "team_id": state.keys.project_id,
        "complete": True,
        "error": False,
        "error_message": None,
        "results": None,
        "start_time": now,
        "end_time": now,
        "expiration_time": None,
        "query_async": False,
        "query_progress": None,
        "labels": None,
        "insight_id": None,
        "task_id": None,
        "pickup_time": None,
    }
    if known and len(answer.get("results") or ()) <= _KEPT_ROWS:
        log = _log(state)
        log[str(query_id)] = {**found, "results": answer}
        log.move_to_end(str(query_id))
        while len(log) > _KEPT_QUERIES:
            log.popitem(last=False)
    if "results" in answer and known:
        answer["query_status"] = found


def as_json(content: object) -> Response:
    """Return a response with the JSON of the content, integers of any size in it."""
    try:
        return JsonResponse(content)
    except TypeError:
        # An integer beyond 64 bits, which the fast writer does not take.
        text = json.dumps(content, ensure_ascii=False, allow_nan=False)
        return Response(text, media_type="application/json")


def _both(path: str, handler: Callable[[Request], Any], method: str) -> list[BaseRoute]:
    return [
        Route(f"/api/{scope}/{{project_id:str}}/query{path}{slash}", handler, methods=[method])
        for scope in ("projects", "environments")
        for slash in ("", "/")
    ]


_KINDS: dict[str, Callable[[Store, Definitions, Mapping[str, Any]], dict[str, Any]]] = {
    "ExperimentQuery": answer_query,
    "ExperimentExposureQuery": answer_exposures,
    **dict.fromkeys(insights.KINDS, answer_insight),
}
KINDS = ("HogQLQuery", *_KINDS)
"""Every kind of query that gives rows or results here."""

routes: list[BaseRoute] = [
    *_both("", ask, "POST"),
    *_both("/{query_id:str}", status, "GET"),
    *_both("/{query_id:str}", cancel, "DELETE"),
]
