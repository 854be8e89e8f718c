"""Asking a PostHog-compatible query API: the one way nightpane reads anything.

Never imports the local store: whether PostHog or the local server answers is one setting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nightpane.errors import ApiError, ConfigError, UnreachableError

if TYPE_CHECKING:
    from nightpane.config import Settings

__all__ = ["Query", "QueryClient", "QueryResult"]

_TIMEOUT_S = 120.0
_RETRIES = 3
_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The rows a query returned; ``has_more`` tells that its limit cut some off."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    has_more: bool
    limit: int | None

    def dicts(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    @classmethod
    def from_response(cls, body: Mapping[str, Any]) -> QueryResult:
        """Read PostHog's response to a ``HogQLQuery``."""
        return cls(
            columns=list(body.get("columns") or []),
            types=[kind for _, kind in body.get("types") or []],
            rows=list(body.get("results") or []),
            has_more=bool(body.get("hasMore")),
            limit=body.get("limit"),
        )


class Query(Protocol):
    """Whatever answers HogQL: a client over HTTP, or the server to itself."""

    def hogql(self, query: str, values: Mapping[str, Any] | None = None) -> QueryResult:
        """Return the rows of a HogQL query; ``values`` fill its ``{placeholders}``."""
        ...


class QueryClient:
    """Asks ``POST {host}/api/projects/{project_id}/query/`` with a personal API key.

    Waits out a 429 as long as its Retry-After asks (at most a minute at a time) and tries a dropped
    connection again, ``retries`` times.
    """

    def __init__(
        self,
        host: str,
        project_id: str,
        personal_api_key: str,
        *,
        timeout_s: float = _TIMEOUT_S,
        retries: int = _RETRIES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import requests  # imported late: a loop that only writes never needs it

        self.host = host.rstrip("/")
        self.project_id = project_id
        self.personal_api_key = personal_api_key
        self._timeout_s = timeout_s
        self._retries = retries
        self._sleep = sleep
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {personal_api_key}"

    @classmethod
    def from_settings(
        cls, settings: Settings, *, timeout_s: float = _TIMEOUT_S, retries: int = _RETRIES
    ) -> QueryClient:
        """Return a client for the settings in force.

        Raises UnreachableError when there is no host to ask, ConfigError when there is no key.
        """
        host, key = settings.host, settings.personal_api_key
        if key is None and (settings.api_key or "").startswith("phx_"):
            key = settings.api_key
        if host is None:
            raise UnreachableError(
                "no PostHog host is set and no local server is running: start one with "
                "'nightpane up', or set POSTHOG_HOST"
            )
        if key is None:
            raise ConfigError(
                f"no personal API key for {host}: set POSTHOG_PERSONAL_API_KEY to a key that "
                "begins with phx_ ('nightpane env' prints the local server's)"
            )
        project_id = settings.project_id or "@current"
        return cls(host, project_id, key, timeout_s=timeout_s, retries=retries)

    def hogql(self, query: str, values: Mapping[str, Any] | None = None) -> QueryResult:
        """Return the rows of a HogQL query.

        Raises UnreachableError when nothing answers and ApiError with PostHog's words otherwise.
        """
        node: dict[str, Any] = {"kind": "HogQLQuery", "query": query}
        if values is not None:
            node["values"] = dict(values)
        return QueryResult.from_response(self.post(node))

    def post(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Return the API's answer to any query node. Raises as ``hogql`` does."""
        path = f"/api/projects/{self.project_id}/query/"
        return self.request("POST", path, {"query": node})

    def request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Return the JSON answer of one API call. Raises as ``hogql`` does."""
        import requests

        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                answer = self._session.request(
                    method, self.host + path, json=body, timeout=self._timeout_s
                )
            except (requests.ConnectionError, requests.Timeout) as error:
                if last or "refused" in str(error):
                    raise UnreachableError(
                        f"{self.host} does not answer ({type(error).__name__}): is the server up? "
                        "'nightpane up' starts the local one, 'nightpane doctor' looks closer"
                    ) from error
                self._sleep(0.5 * 2**attempt)
                continue
            if answer.status_code in (429, 502, 503) and not last:
                self._sleep(_retry_after(answer.headers.get("Retry-After"), attempt))
                continue
            break
        return _read(answer.status_code, answer.text, f"{method} {self.host}{path}")


def _retry_after(header: str | None, attempt: int) -> float:
    try:
        asked = float(header or 0)
    except ValueError:
        asked = 0.0
    return float(min(max(asked, 0.5 * 2**attempt), _LONGEST_WAIT_S))


def _read(status: int, text: str, what: str) -> dict[str, Any]:
    import json

    try:
        body = json.loads(text) if text else {}
    except ValueError:
        body = None
    if status >= 400 or not isinstance(body, dict):
        about = body if isinstance(body, dict) else {}
        detail = str(about.get("detail") or text[:200] or "no text")
        if status in (401, 403):
            detail += " (check POSTHOG_PERSONAL_API_KEY and POSTHOG_PROJECT_ID)"
        raise ApiError(
            f"{what} answered {status}: {detail}" if status != 400 else detail,
            status=status,
            type=str(about.get("type", "")),
            code=str(about.get("code", "")),
        )
    return body
