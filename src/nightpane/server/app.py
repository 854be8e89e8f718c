"""The application: every route of the local server, its guards, and its way of saying no.

The routes that unchanged PostHog clients post to are open to any host name and origin, since the
project API key decides there; everything else is behind the Host allow-list and a personal key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from nightpane.definitions import Definitions
from nightpane.prices import Table
from nightpane.prices import load as load_prices
from nightpane.server import (
    absent,
    annotation_documents,
    capture,
    capture_ai,
    capture_v1,
    cohorts,
    console,
    dashboards,
    experiments,
    feature_flags,
    flags,
    insight_documents,
    kept_answers,
    management,
    mcp_tools,
    otlp,
    page_files,
    pane,
    query,
    remote_config,
    report,
    round_page,
    taxonomy,
)
from nightpane.server.auth import HostGuard, allowed_host_names
from nightpane.server.capture import Intake, Limits
from nightpane.server.cors import OpenRoutes, is_open
from nightpane.server.errors import ApiRefusal, CaptureRefusal, api_error, on_refusal
from nightpane.server.flag_state import FlagState
from nightpane.server.kept_answers import Kept
from nightpane.server.keys import Keys
from nightpane.store import Store

__all__ = ["create_app"]

_PARTS = (
    capture,
    capture_v1,
    capture_ai,
    otlp,
    page_files,
    pane,
    console,
    kept_answers,
    round_page,
    report,
    flags,
    feature_flags,
    cohorts,
    remote_config,
    query,
    experiments,
    insight_documents,
    dashboards,
    annotation_documents,
    mcp_tools,
    management,
    taxonomy,
    absent,
)


def create_app(
    store: Store,
    keys: Keys,
    *,
    definitions: Definitions | None = None,
    prices: Table | None = None,
    bind_host: str = "127.0.0.1",
    limits: Limits | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """Return the application over an open store. It does not close the store or the definitions.

    ``definitions`` are kept in memory and ``prices`` are nightpane's own table unless given.
    """
    intake = Intake(store, keys, prices or load_prices(), limits=limits, clock=clock)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 (Starlette's signature)
        yield
        intake.close()

    app = Starlette(
        routes=_routes(),
        lifespan=lifespan,
        middleware=[
            Middleware(OpenRoutes),
            Middleware(HostGuard, allowed=allowed_host_names(bind_host), is_open=is_open),
        ],
        exception_handlers={
            ApiRefusal: on_refusal,
            CaptureRefusal: on_refusal,
            HTTPException: _on_http_error,
            Exception: _on_fault,
        },
    )
    app.router.redirect_slashes = False
    app.state.store = store
    app.state.kept = Kept()
    app.state.definitions = definitions or Definitions.in_memory()
    app.state.flags = FlagState(app.state.definitions, store)
    app.state.keys = keys
    app.state.intake = intake
    app.state.otel = otlp.Shared()
    return app


def _routes() -> list[BaseRoute]:
    routes: list[BaseRoute] = []
    for part in _PARTS:
        routes += part.routes
    return [*routes, Route("/_readiness", _alive), Route("/_liveness", _alive)]


async def _alive(request: Request) -> Response:  # noqa: ARG001 (Starlette's signature)
    return PlainTextResponse("ok")


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (told to the type checker)
    if not request.url.path.startswith("/api/"):
        return PlainTextResponse(error.detail, status_code=error.status_code, headers=error.headers)
    code, detail = {
        404: ("not_found", "Not found."),
        405: ("method_not_allowed", f'Method "{request.method}" not allowed.'),
    }.get(error.status_code, ("error", error.detail))
    return api_error(
        error.status_code, "invalid_request", code, detail, headers=error.headers or {}
    )


async def _on_fault(request: Request, error: Exception) -> Response:  # noqa: ARG001
    if request.url.path.startswith("/api/"):
        return api_error(500, "server_error", "error", "A server error occurred.")
    return PlainTextResponse("internal server error", status_code=500)
