"""Answers of the page's queries, kept until an event arrives: a page opened again asks no more.

An answer is only as good as the store it was read from: each is kept with the store's mark, which
changes before an event is acknowledged, and is given again only while that is the same.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from nightpane.server.auth import require_personal_key
from nightpane.server.errors import JsonResponse
from nightpane.server.query import ask

__all__ = ["Kept", "routes", "rows_key"]

_MOST = 256
_MOST_BYTES = 512 * 1024

Key = tuple[str, bytes]


class Kept:
    """Contents by key, the latest used ones, all of one state of the store."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mark: object = None
        self._found: OrderedDict[Key, bytes] = OrderedDict()

    def get(self, mark: object, key: Key) -> bytes | None:
        """Return the content kept for a key, None when there is none of this state."""
        with self._lock:
            if mark != self._mark or key not in self._found:
                return None
            self._found.move_to_end(key)
            return self._found[key]

    def put(self, mark: object, key: Key, content: bytes) -> None:
        """Keep a content unless it is large; those of another state go."""
        if len(content) > _MOST_BYTES:
            return
        with self._lock:
            if mark != self._mark:
                self._found.clear()
                self._mark = mark
            self._found[key] = content
            while len(self._found) > _MOST:
                self._found.popitem(last=False)


def rows_key(query: str, values: Mapping[str, Any]) -> Key:
    """Return the key of a question's rows."""
    return "rows", orjson.dumps([query, values], option=orjson.OPT_SORT_KEYS)


async def rows(request: Request) -> Response:
    """Answer as ``POST …/query/`` does, from what is kept when nothing has arrived since."""
    require_personal_key(request)
    key = _asked(await request.body()) if _is_small(request) else None
    if key is None:
        return await ask(request)
    kept, mark = request.app.state.kept, request.app.state.store.mark
    content = kept.get(mark, key)
    if content is not None:
        return Response(content, media_type="application/json")
    answer = await ask(request)
    if answer.status_code == 200:
        kept.put(mark, key, bytes(answer.body))
    return answer


def _asked(raw: bytes) -> Key | None:
    """Return the key of what a body asks, None when it asks for more than a question's rows."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None  # refused where it is read in full
    match body:
        case {"query": {"kind": "HogQLQuery", "query": str(query), **more}, **others}:
            values: Any = more.pop("values", {})
            is_all = isinstance(values, dict) and not more and not others
            return rows_key(query, values) if is_all else None
        case _:
            return None


async def mark(request: Request) -> Response:
    """Serve what changes whenever an event arrives."""
    require_personal_key(request)
    return JsonResponse({"mark": request.app.state.store.mark})


def _is_small(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    return length.isdecimal() and int(length) < _MOST_BYTES


routes: list[BaseRoute] = [
    Route("/pane/rows/{project_id:str}", rows, methods=["POST"]),
    Route("/pane/mark", mark, methods=["GET"]),
]
