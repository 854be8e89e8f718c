"""A project's definitions over PostHog's management API: flags, cohorts, and whatever follows them.

Works against PostHog and the local server alike, with the retries and errors of the query client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from nightpane.query import QueryClient

__all__ = ["Resource"]

_PAGE = 100
_MOST_PAGES = 1_000


class Resource:
    """One kind of definition of a project, such as ``feature_flags``.

    Every method raises UnreachableError when nothing answers and ApiError with PostHog's words
    when it refuses.
    """

    def __init__(self, client: QueryClient, name: str) -> None:
        self._client = client
        self._name = name

    def list(self, *, most: int | None = None, **filters: Any) -> list[dict[str, Any]]:
        """Return all documents that fit the filters (PostHog's query parameters), page by page.

        ``most`` ends it after so many, in the server's order.
        """
        found: list[dict[str, Any]] = []
        for _ in range(_MOST_PAGES):
            page = {**filters, "limit": _PAGE, "offset": len(found)}
            answer = self._request("GET", f"?{urlencode(page)}")
            results = answer.get("results") or []
            found += results
            if not answer.get("next") or not results or (most is not None and len(found) >= most):
                break
        return found[:most]

    def get(self, document_id: int | str) -> dict[str, Any]:
        """Return one document."""
        return self._request("GET", f"{quote(str(document_id), safe='')}/")

    def create(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Make a document and return it as it was kept, with its id."""
        return self._request("POST", "", document)

    def change(self, document_id: int | str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change the fields that are named and return the whole document."""
        return self._request("PATCH", f"{quote(str(document_id), safe='')}/", changes)

    def delete(self, document_id: int | str) -> dict[str, Any]:
        """Mark a document deleted, as PostHog does, and return it."""
        return self.change(document_id, {"deleted": True})

    def act(
        self, document_id: int | str, action: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Ask for an action on a document, such as launching an experiment; return the document."""
        return self._request("POST", f"{quote(str(document_id), safe='')}/{action}/", body or {})

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        prefix = f"/api/projects/{self._client.project_id}/{self._name}/"
        return self._client.request(method, prefix + path, None if body is None else dict(body))
