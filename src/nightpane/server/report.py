"""The trace optimizer's latest report, as one of the pane's pages.

The report is made elsewhere and handed in whole. Whatever its traces hold, it is shown without
scripts, in an origin of its own.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from nightpane.definitions import Document
from nightpane.server.auth import page as behind_token
from nightpane.server.rest import definitions_of, invalid, not_found, route

__all__ = ["routes"]

_KIND = "optimizer_report"
_HEADERS = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_BACK = '<main>\n<p><a href="/">← The pane</a></p>\n'
_EMPTY = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>No report yet</title>
<style>:root{color-scheme:light dark}
body{font:16px/1.55 system-ui,sans-serif;max-width:42rem;margin:2.5rem auto}</style>
</head><body><main>
<h1>No report yet</h1>
<p>The trace optimizer reads the project's model calls and says what to change.
Make a report, and its latest one stands here:</p>
<pre>nightpane optimize</pre>
</main></body></html>
"""


@behind_token
async def page(request: Request) -> Response:
    """Serve the latest report, or how to make one."""
    found = _latest(request)
    html = _EMPTY if found is None else str(found["html"])
    return HTMLResponse(html.replace("<main>\n", _BACK, 1), headers=_HEADERS)


def _put(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(body.get("html"), str) or not body["html"].startswith("<!doctype html>"):
        raise invalid("html", "Expected the report's HTML page.")
    definitions, document = definitions_of(request), {"html": body["html"]}
    with definitions.transaction():
        before = _latest(request)
        if before is None:
            kept = definitions.create(_KIND, document)
        else:
            kept = definitions.update(_KIND, before["id"], document)
    return {"updated_at": kept["updated_at"]}


def _get(request: Request, _: dict[str, Any]) -> dict[str, Any]:
    found = _latest(request)
    if found is None:
        raise not_found()
    return {"updated_at": found["updated_at"], "html": found["html"]}


def _latest(request: Request) -> Document | None:
    return next(iter(definitions_of(request).list(_KIND)), None)


routes: list[BaseRoute] = [
    Route("/report", page, methods=["GET"]),
    *route("/pane/report/", get=_get, put=_put),
]
