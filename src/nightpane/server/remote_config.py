"""What posthog-js asks for when a page loads: everything beyond events is switched off.

Recordings, surveys, heatmaps, autocapture and the toolbar have nothing to do in a research loop.
"""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from nightpane.server.auth import same
from nightpane.server.errors import JsonResponse

__all__ = ["remote_config", "routes"]


def remote_config(token: str) -> dict[str, Any]:
    """Return the configuration of a page's client."""
    return {
        "token": token,
        "supportedCompression": ["gzip", "gzip-js"],
        "hasFeatureFlags": True,
        "sessionRecording": False,
        # "surveys" is left out: given false, posthog-js 1.449 still asks for its surveys script.
        "heatmaps": False,
        "capturePerformance": False,
        "autocaptureExceptions": False,
        "productTours": False,
        "captureDeadClicks": False,
        "conversations": False,
        "errorTracking": {"autocaptureExceptions": False},
        "logs": {"captureConsoleLogs": False},
        "autocapture_opt_out": True,
        "isAuthenticated": False,
        "toolbarParams": {},
        "toolbarVersion": "toolbar",
        "siteApps": [],
        "elementsChainAsString": True,
        "defaultIdentifiedOnly": True,
        "analytics": {"endpoint": "/i/v0/e/"},
    }


async def _config(request: Request) -> Response:
    token = request.path_params["token"]
    if not same(token, request.app.state.keys.api_key):
        return PlainTextResponse("unknown API key", status_code=404)
    return JsonResponse(remote_config(token), headers={"Cache-Control": "public, max-age=60"})


async def _config_script(request: Request) -> Response:
    token = request.path_params["token"]
    if not same(token, request.app.state.keys.api_key):
        return PlainTextResponse("unknown API key", status_code=404)
    name = orjson.dumps(token).decode()
    config = orjson.dumps(remote_config(token)).decode()
    script = (
        "(function(){window._POSTHOG_REMOTE_CONFIG=window._POSTHOG_REMOTE_CONFIG||{};"
        f"window._POSTHOG_REMOTE_CONFIG[{name}]={{config:{config},siteApps:[]}};}})();"
    )
    headers = {"Cache-Control": "public, max-age=60"}
    return Response(script, media_type="application/javascript", headers=headers)


async def _surveys(request: Request) -> Response:  # noqa: ARG001 (Starlette's signature)
    return JsonResponse({"surveys": []})


async def _empty(request: Request) -> Response:
    return JsonResponse({request.url.path.strip("/").rpartition("/")[2]: []})


async def _no_script(request: Request) -> Response:  # noqa: ARG001 (Starlette's signature)
    return PlainTextResponse("not found", status_code=404)


routes: list[Route] = [
    Route("/array/{token}/config.js", _config_script),
    Route("/array/{token}/config", _config),
    Route("/array/{token}/config/", _config),
    Route("/array/{path:path}", _no_script),
    Route("/static/{path:path}", _no_script),
    Route("/api/surveys/", _surveys),
    Route("/api/surveys", _surveys),
    Route("/api/product_tours/", _empty),
    Route("/api/web_experiments/", _empty),
]
