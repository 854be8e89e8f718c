"""The two shapes in which PostHog says no: plain text where events arrive, JSON on its API."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from nightpane.errors import NightpaneError

__all__ = ["ApiRefusal", "CaptureRefusal", "JsonResponse", "api_error", "on_refusal"]


class JsonResponse(Response):
    """A response with a JSON body."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Return the JSON text of the content."""
        return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)


class CaptureRefusal(NightpaneError):  # noqa: N818 (an answer, not a fault)
    """A request that brings events is refused: HTTP status, text, and capture v1's error tag."""

    def __init__(
        self, status: int, message: str, *, tag: str = "", retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.tag = tag
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}


class ApiRefusal(NightpaneError):  # noqa: N818 (an answer, not a fault)
    """A request to the API is refused, in the words of PostHog's error body."""

    def __init__(
        self,
        status: int,
        kind: str,
        code: str,
        detail: str,
        *,
        attr: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.code = code
        self.detail = detail
        self.attr = attr
        self.headers = dict(headers or {})


def api_error(
    status: int,
    kind: str,
    code: str,
    detail: str,
    *,
    attr: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JsonResponse:
    """Return an error in the body PostHog's API uses: type, code, detail, attr."""
    body = {"type": kind, "code": code, "detail": detail, "attr": attr}
    return JsonResponse(body, status_code=status, headers=dict(headers or {}))


def on_refusal(request: Request, error: Exception) -> Response:  # noqa: ARG001 (Starlette's signature)
    """Answer a refusal that a route raised."""
    if isinstance(error, ApiRefusal):
        return api_error(
            error.status,
            error.kind,
            error.code,
            error.detail,
            attr=error.attr,
            headers=error.headers,
        )
    if isinstance(error, CaptureRefusal):
        return PlainTextResponse(str(error), status_code=error.status, headers=error.headers)
    raise error
