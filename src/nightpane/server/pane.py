"""The page: the digest behind "last night", and the definitions of its boards.

The page's script asks the query API for the boards' rows, so nothing here runs a board.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from nightpane import digest
from nightpane.boards import BOARDS, LISTS, ROUNDS, Board, Scope
from nightpane.definitions import Definitions
from nightpane.digest import Night, night_of
from nightpane.errors import ConfigError
from nightpane.server.auth import page as behind_token
from nightpane.server.auth import require_personal_key
from nightpane.server.kept_answers import Kept
from nightpane.server.page_files import HEADERS, html
from nightpane.server.query import InProcessQuery
from nightpane.store import Store

__all__ = ["answered", "asked_by", "last_zone", "routes", "scope_of"]

_KIND = "page"
_RANGES = {"7d": 7, "30d": 30, "90d": 90}
_AGENTS = """select properties.agent as agent
from events
where agent is not null
group by agent
order by max(timestamp) desc
limit 200"""


@behind_token
async def page(request: Request) -> Response:  # noqa: ARG001 (the page is the same for all)
    """Serve the page itself."""
    return html("index.html")


async def night_digest(request: Request) -> Response:
    """Serve the digest of ``night`` (a date), ``project``, ``client`` in the zone ``tz``."""
    require_personal_key(request)
    answer = await _kept(request, "digest")
    if answer.status_code == 200 and (zone := request.query_params.get("tz")):
        await run_in_threadpool(_keep_zone, request.app.state.definitions, zone)
    return answer


async def definitions(request: Request) -> Response:
    """Serve the boards and lists for a scope: what each asks, and the HogQL that answers it.

    Without ``night`` they are about the digest's. ``mark`` is the store's, read before all else.
    """
    require_personal_key(request)
    return await _kept(request, "boards")


async def _kept(request: Request, name: str) -> Response:
    state, given = request.app.state, request.query_params
    try:
        content = await run_in_threadpool(answered, state.kept, state.store, name, given)
    except ConfigError as error:
        return _refused(error)
    return Response(content, headers=HEADERS, media_type="application/json")


def answered(kept: Kept, store: Store, name: str, given: QueryParams) -> bytes:
    """Return the JSON of the page's ``digest`` or ``boards`` for its parameters, kept or made now.

    Raises ConfigError for a wrong parameter, and what a query raises.
    """
    mark = store.mark
    key = (name, f"{datetime.now(UTC):%Y-%m-%dT%H} {given}".encode())  # a new hour, a new night
    content = kept.get(mark, key)
    if content is None:
        made = {**_MAKE[name](store, given), "mark": mark}
        content = orjson.dumps(made)
        kept.put(mark, key, content)
    return content


def last_zone(definitions: Definitions) -> str | None:
    """Return the time zone of the browser that opened the page last, None before any did."""
    return next((str(page["zone"]) for page in definitions.list(_KIND)), None)


def _keep_zone(definitions: Definitions, zone: str) -> None:
    found = definitions.list(_KIND)
    if not found:
        definitions.create(_KIND, {"zone": zone})
    elif found[0]["zone"] != zone:
        definitions.update(_KIND, found[0]["id"], {"zone": zone})


def _digest(store: Store, given: QueryParams) -> dict[str, Any]:
    morning = digest.build(
        InProcessQuery(store),
        tz=_zone(given.get("tz")),
        night=_date(given.get("night")),
        project=given.get("project") or None,
        client=given.get("client") or None,
    )
    return digest.to_json(morning, with_rounds=True)


def _definitions(store: Store, given: QueryParams) -> dict[str, Any]:
    zone, date, now = _zone(given.get("tz")), _date(given.get("night")), datetime.now(UTC)
    newest = digest.newest(InProcessQuery(store), scope_of(given), now)
    return {"is_empty": newest is None, **asked_by(given, night_of(date or newest or now, zone))}


_MAKE: Mapping[str, Callable[[Store, QueryParams], dict[str, Any]]] = {
    "digest": _digest,
    "boards": _definitions,
}


def scope_of(given: QueryParams) -> Scope:
    """Return what the digest of a page looks at."""
    return Scope(project=given.get("project") or None, client=given.get("client") or None)


def asked_by(given: QueryParams, night: Night) -> dict[str, Any]:
    """Return what a page with these parameters asks, beside its digest. Raises ConfigError."""
    wide = _scope(given, night)
    lists = dict.fromkeys(LISTS, wide) | {ROUNDS.name: _of_rounds(given, wide, night)}
    return {
        "boards": [_entry(board, wide) for board in BOARDS.values()],
        "lists": [_paged(_entry(board, lists[name])) for name, board in LISTS.items()],
        "agents": {"query": _AGENTS, "values": {}},
    }


def _scope(given: QueryParams, night: Night) -> Scope:
    """Return what the boards look at: two dates, or a range that ends with the night shown."""
    start, end = _span(given, night)
    return Scope(
        project=given.get("project") or None,
        client=given.get("client") or None,
        run_id=given.get("run") or None,
        agent=given.get("agent") or None,
        start=start,
        end=end,
        timezone=given.get("tz") or None,
    )


def _span(given: QueryParams, night: Night) -> tuple[datetime | None, datetime | None]:
    first, last = _date(given.get("from"), "from"), _date(given.get("to"), "to")
    if first or last:
        zone = _zone(given.get("tz"))
        return (
            datetime.combine(first, time(), zone) if first else None,
            datetime.combine(last + timedelta(days=1), time(), zone) if last else None,
        )
    name = given.get("range") or "30d"
    if name not in (*_RANGES, "night", "all"):
        known = ", ".join((*_RANGES, "night", "all"))
        raise ConfigError(f"range {name!r} is not one of {known}")
    if name == "all":
        return None, None
    days = _RANGES.get(name)
    return (night.end - timedelta(days=days) if days else night.start), night.end


def _of_rounds(given: QueryParams, wide: Scope, night: Night) -> Scope:
    """Return what the list of rounds looks at: one run, the chosen dates, or the night."""
    if wide.run_id:
        return replace(wide, start=None, end=None)
    if given.get("from") or given.get("to"):
        return wide
    return replace(wide, start=night.start, end=night.end)


def _entry(board: Board, scope: Scope) -> dict[str, Any]:
    question = board.hogql(scope)
    return {
        "name": board.name,
        "slug": board.slug,
        "question": board.question,
        "description": board.description,
        "empty": board.empty,
        "source": board.source,
        "annotated": board.annotated,
        "display": board.display,
        "x": board.x,
        "y": board.y,
        "series": board.series,
        "query": question.query,
        "values": question.values,
        "text": question.text,
    }


def _paged(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the list of rounds as one that is read page by page: ``size`` rows after ``skip``."""
    if entry["name"] != ROUNDS.name:
        return entry
    query = entry["query"].rpartition("\nlimit ")[0] + "\nlimit {size} offset {skip}"
    return {**entry, "query": query, "values": {**entry["values"], "size": 51, "skip": 0}}


def _date(text: str | None, name: str = "night") -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ConfigError(f"{name} {text!r} is not a date: write it as 2026-03-08") from None


def _zone(name: str | None) -> tzinfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"tz {name!r} is not a time zone's name, such as Europe/Berlin") from None


def _refused(error: ConfigError) -> Response:
    body = {"type": "validation_error", "code": "invalid", "detail": str(error), "attr": None}
    return JSONResponse(body, status_code=400, headers=HEADERS)


routes: list[BaseRoute] = [
    Route("/", page, methods=["GET"]),
    Route("/pane/digest", night_digest, methods=["GET"]),
    Route("/pane/boards", definitions, methods=["GET"]),
]
