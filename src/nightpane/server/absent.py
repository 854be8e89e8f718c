"""What PostHog has and a local server has not: said in words, where a bare 404 would mislead.

PostHog's agent tools and its command line ask these routes. Nothing is ever made up for them.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from nightpane.server.errors import ApiRefusal
from nightpane.server.rest import Change, route

__all__ = ["check_kind", "routes"]

_RESOURCES = {
    "surveys": "no surveys",
    "error_tracking": "no error tracking: read its $exception events with HogQL",
    "max_tools": "no model that writes queries: send HogQL to the query route",
}


def check_kind(kind: Any) -> None:
    """Let a kind of query pass unless it is of a product that is not here. Raises ApiRefusal."""
    if str(kind).startswith("ErrorTracking"):
        raise _refusal("error_tracking")


def _refusal(resource: str) -> ApiRefusal:
    # Not implemented, since some clients show the status alone.
    detail = f"A local server has {_RESOURCES[resource]}."
    return ApiRefusal(501, "server_error", "not_implemented", detail)


def _refuse(resource: str) -> Change:
    def answer(_request: Request, _body: dict[str, Any]) -> Any:
        raise _refusal(resource)

    return answer


routes: list[Route] = []
for _scope in ("projects", "environments"):
    for _resource in _RESOURCES:
        _answers = dict.fromkeys(("get", "post", "patch", "put", "delete"), _refuse(_resource))
        for _path in ("", "{rest:path}/"):
            routes += route(f"/api/{_scope}/{{project}}/{_resource}/{_path}", **_answers)
