"""The page of one round, and what it asks: the round's tree, and its events in full.

All of it is read by HogQL through the query API's own way. The page's policy is the pane's.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from nightpane import replay
from nightpane.server.auth import page as behind_token
from nightpane.server.auth import require_personal_key
from nightpane.server.errors import JsonResponse, api_error
from nightpane.server.page_files import HEADERS, html
from nightpane.server.query import InProcessQuery

__all__ = ["routes"]

_MAX_UUIDS = 20


@behind_token
async def page(request: Request) -> Response:  # noqa: ARG001 (the page is the same for all)
    """Serve the page of a round."""
    return html("round.html")


async def tree(request: Request) -> Response:
    """Serve the round's trace as JSON; of one that has no event, ``nodes`` that is empty."""
    require_personal_key(request)
    round_id = request.path_params["round_id"]
    return await run_in_threadpool(_tree, request.app.state.store, round_id)


def _tree(store: Any, round_id: str) -> Response:
    trace = replay.read_round(InProcessQuery(store), round_id)
    if trace is None:
        return JsonResponse({"nodes": []}, headers=HEADERS)
    return JsonResponse(replay.to_json(trace), headers=HEADERS)


async def mark(request: Request) -> Response:
    """Serve the number of the round's events, which changes when one arrives."""
    require_personal_key(request)
    query = InProcessQuery(request.app.state.store)
    count = await run_in_threadpool(replay.count_events, query, request.path_params["round_id"])
    return JsonResponse({"events": count}, headers=HEADERS)


async def contents(request: Request) -> Response:
    """Serve events in full: those with a ``uuid``, at the time ``at`` or within a day of it."""
    require_personal_key(request)
    uuids = request.query_params.getlist("uuid")[:_MAX_UUIDS]
    try:
        at = datetime.fromisoformat(request.query_params.get("at") or "")
    except ValueError:
        return api_error(400, "validation_error", "invalid", "at is not a time in ISO 8601")
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    rows = await run_in_threadpool(
        replay.read_contents,
        InProcessQuery(request.app.state.store),
        uuids,
        since=at - timedelta(days=1),
        until=at + timedelta(days=1),
    )
    for row in rows:
        if isinstance(row["properties"], str):
            row["properties"] = json.loads(row["properties"])
    return JsonResponse({"events": rows}, headers=HEADERS)


routes: list[BaseRoute] = [
    Route("/round/{round_id}", page, methods=["GET"]),
    Route("/pane/round/{round_id}", tree, methods=["GET"]),
    Route("/pane/round/{round_id}/mark", mark, methods=["GET"]),
    Route("/pane/round/{round_id}/contents", contents, methods=["GET"]),
]
