"""The HogQL console: its page, the names it completes, and a query's answer as Parquet.

What a reader writes reaches the store as the query API's queries do, compiled against the same
allow-list and under the same limits; no SQL of a reader's is ever passed on.
"""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from nightpane import hogql
from nightpane.errors import HogQLError, QueryLimitError, StoreError
from nightpane.server.auth import page as behind_token
from nightpane.server.auth import require_personal_key
from nightpane.server.body import MIB, read_body
from nightpane.server.errors import ApiRefusal, CaptureRefusal
from nightpane.server.hogql_run import explain, parquet
from nightpane.server.page_files import HEADERS, html
from nightpane.server.rest import get, invalid
from nightpane.store import Store
from nightpane.store.json_text import loads

__all__ = ["routes"]

_BODY_BYTES = MIB
_BODY_S = 30.0


@behind_token
async def page(request: Request) -> Response:  # noqa: ARG001 (the page is the same for all)
    """Serve the console."""
    return html("console.html")


def _names(request: Request) -> dict[str, Any]:
    """Return what a query can name: tables with their columns, functions, events, properties."""
    store: Store = request.app.state.store
    events = store.read(
        "SELECT event FROM nightpane.events GROUP BY event ORDER BY count() DESC LIMIT 1000"
    )
    return {
        "tables": hogql.tables(),
        "functions": hogql.function_names(),
        "events": [name for (name,) in events.rows],
        "properties": sorted(store.property_types),
    }


async def export(request: Request) -> Response:
    """Answer ``POST /pane/parquet``: the rows of a HogQL query, at most as many as the API gives.

    Raises ApiRefusal: 400 for a query that is refused, 504 for one that reached a limit.
    """
    require_personal_key(request)
    store: Store = request.app.state.store
    query = await _query(request)
    try:
        content = await anyio.to_thread.run_sync(parquet, store, query)
    except HogQLError as error:
        raise invalid("query", error.message) from error
    except QueryLimitError as error:
        raise ApiRefusal(504, "server_error", "query_limit", explain(error)) from error
    except StoreError as error:
        raise invalid("query", explain(error)) from error
    return Response(
        content,
        media_type="application/vnd.apache.parquet",
        headers={**HEADERS, "Content-Disposition": 'attachment; filename="query.parquet"'},
    )


async def _query(request: Request) -> str:
    try:
        body = loads(await read_body(request, _BODY_BYTES, _BODY_S))
    except (CaptureRefusal, ValueError) as error:
        raise invalid("query", f"The body cannot be read: {error}") from error
    query = body.get("query") if isinstance(body, dict) else None
    if not isinstance(query, str) or not query.strip():
        raise invalid("query", "This field is required.")
    return query


routes: list[BaseRoute] = [
    Route("/console", page, methods=["GET"]),
    Route("/pane/parquet", export, methods=["POST"]),
    *get("/pane/names/", _names),
]
