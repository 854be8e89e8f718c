"""The pages' HTML and files, served from memory, and the policy that every page's answer carries.

A file's address changes with the files, so a browser keeps it for good and asks for it once. Under
the policy no script runs but these, whatever the data holds.
"""

from __future__ import annotations

import mimetypes

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from nightpane import ui

__all__ = ["HEADERS", "html", "routes"]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def html(name: str) -> Response:
    """Return a page, such as ``index.html``."""
    return Response(ui.template(name), headers=HEADERS, media_type="text/html")


async def file(request: Request) -> Response:
    """Serve a file of the pages; one of another version is served too, but not kept."""
    path = request.path_params["path"]
    content = ui.files().get(path)
    if content is None:
        return PlainTextResponse("Not Found", status_code=404, headers=HEADERS)
    kept = _FOREVER if request.path_params["version"] == ui.version() else {}
    kind = "text/javascript" if path.endswith(".js") else mimetypes.guess_type(path)[0]
    return Response(content, headers=HEADERS | kept, media_type=kind or "text/plain")


routes: list[BaseRoute] = [Route("/pane/static/{version}/{path:path}", file, methods=["GET"])]
