"""What the management routes share: who may ask, pages, bodies, and PostHog's way of saying no."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nightpane.definitions import Definitions, Document
from nightpane.errors import StoreError
from nightpane.ids import deterministic_uuid
from nightpane.server.auth import require_personal_key
from nightpane.server.body import MIB
from nightpane.server.capture import both, intake, quiet_when_gone
from nightpane.server.errors import ApiRefusal
from nightpane.server.keys import Keys
from nightpane.store.json_text import dumps, loads

__all__ = [
    "USER",
    "Change",
    "check_project",
    "definitions_of",
    "document_of",
    "get",
    "invalid",
    "keys_of",
    "listing",
    "not_found",
    "paged",
    "route",
]

USER = {
    "id": 1,
    "uuid": deterministic_uuid("user"),
    "distinct_id": "local:internal:owner",
    "first_name": "local",
    "email": "owner@localhost",
}
"""The one user of a local server."""

_PAGE = 100
_MOST = 1_000
_BODY_LIMIT_BYTES = 4 * MIB

Answer = Callable[[Request], Any]
Change = Callable[[Request, dict[str, Any]], Any]


def route(path: str, **answers: Change) -> list[Route]:
    """Return a path's route: one function for each method, given the request and its JSON body.

    A function runs in a thread, behind the personal key, for this server's project only. It
    returns what is answered, or that with a status.
    """

    async def handler(request: Request) -> Response:
        require_personal_key(request)
        if "project" in request.path_params:
            check_project(request)
        body = {} if request.method in ("GET", "HEAD") else await _body(request)
        method = "GET" if request.method == "HEAD" else request.method
        try:
            answer = await asyncio.to_thread(answers[method.lower()], request, body)
        except StoreError as error:
            raise ApiRefusal(503, "server_error", "error", str(error)) from error
        answer, status = answer if isinstance(answer, tuple) else (answer, 200)
        return Response(dumps(answer), status_code=status, media_type="application/json")

    return both(path, quiet_when_gone(handler), [method.upper() for method in answers])


def get(path: str, answer: Answer) -> list[Route]:
    """Return the route of a path that is only read."""
    return route(path, get=lambda request, _body: answer(request))


def keys_of(request: Request) -> Keys:
    """Return the server's keys."""
    keys: Keys = request.app.state.keys
    return keys


def definitions_of(request: Request) -> Definitions:
    """Return the server's definitions."""
    definitions: Definitions = request.app.state.definitions
    return definitions


def document_of(request: Request, kind: str) -> Document:
    """Return the document that the path's ``id`` names. Raises ApiRefusal (404)."""
    text = request.path_params["id"]
    # A number that SQLite cannot hold names nothing.
    is_id = text.isdecimal() and len(text) < 19
    found = definitions_of(request).get(kind, int(text)) if is_id else None
    if found is None or found["deleted"]:
        raise not_found()
    return found


def check_project(request: Request) -> None:
    """Let the request pass when its path names this server's project. Raises ApiRefusal (404)."""
    if request.path_params["project"] not in ("@current", str(keys_of(request).project_id)):
        raise not_found()


def not_found() -> ApiRefusal:
    """Return the refusal of what is not there."""
    return ApiRefusal(404, "invalid_request", "not_found", "Not found.")


def invalid(attr: str | None, detail: str, *, code: str = "invalid_input") -> ApiRefusal:
    """Return the refusal of a field that cannot be accepted."""
    return ApiRefusal(400, "validation_error", code, detail, attr=attr)


def listing(results: list[Any]) -> dict[str, Any]:
    """Return a list that is one page."""
    return {"count": len(results), "next": None, "previous": None, "results": results}


def paged(request: Request, found: Sequence[Any], *, default: int = _PAGE) -> dict[str, Any]:
    """Return the page of a list that the request asks for, of ``default`` length unless it says.

    Raises ApiRefusal (400).
    """
    try:
        limit = min(max(int(request.query_params.get("limit", default)), 1), _MOST)
        offset = max(int(request.query_params.get("offset", 0)), 0)
    except ValueError as error:
        raise invalid(None, "limit and offset must be numbers", code="invalid") from error
    url = request.url.include_query_params
    more = offset + limit < len(found)
    return {
        "count": len(found),
        "next": str(url(limit=limit, offset=offset + limit)) if more else None,
        "previous": str(url(limit=limit, offset=max(offset - limit, 0))) if offset else None,
        "results": list(found[offset : offset + limit]),
    }


async def _body(request: Request) -> dict[str, Any]:
    raw = await intake(request).body(request, _BODY_LIMIT_BYTES)
    try:
        body = loads(raw) if raw.strip() else {}
    except ValueError as error:
        raise ApiRefusal(
            400, "invalid_request", "parse_error", f"JSON parse error - {error}"
        ) from error
    if not isinstance(body, dict):
        raise invalid("non_field_errors", "Invalid data. Expected a dictionary.", code="invalid")
    return body
