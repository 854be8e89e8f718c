"""Cross-origin rules: browsers may send events from any page, and read nothing but the answer.

The origin is mirrored, as PostHog does it, on the routes that take a project API key only. No other
route answers to another origin.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["OpenRoutes", "is_open"]

_OPEN = (
    *("/batch", "/e", "/i/v0", "/i/v1", "/capture", "/track", "/engage", "/flags", "/decide"),
    *("/array", "/static", "/api/surveys", "/api/feature_flag/local_evaluation"),
    *("/_readiness", "/_liveness", "/api/product_tours", "/api/web_experiments"),
)


def is_open(path: str) -> bool:
    """Tell whether a route is made for clients on any page: it takes a project API key only."""
    return path.startswith(_OPEN) and any(
        path == prefix or path.startswith(prefix + "/") for prefix in _OPEN
    )


class OpenRoutes:
    """Adds the CORS headers to the open routes and answers their preflight requests."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with headers added to its answer."""
        if scope["type"] != "http" or not is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        added = _headers(headers)
        if scope["method"] == "OPTIONS":
            start: Message = {"type": "http.response.start", "status": 204, "headers": added}
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        if not added:
            await self._app(scope, receive, send)
            return

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, send_with)


def _headers(headers: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    origin = headers.get(b"origin")
    if not origin:
        return []
    asked = headers.get(b"access-control-request-headers", b"Content-Type")
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", asked),
        (b"access-control-expose-headers", b"Retry-After"),
        (b"access-control-max-age", b"600"),
        (b"vary", b"Origin"),
    ]
