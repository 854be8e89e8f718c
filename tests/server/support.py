"""Speaking to the server as a plain HTTP client, below any SDK."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

import requests

from nightpane.testing import LocalServer

__all__ = ["Http", "body_of", "new_id"]


class Http:
    """One server, its keys, and what has arrived."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.key = server.api_key
        self.bearer = {"Authorization": f"Bearer {server.personal_api_key}"}

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Return the answer to any request."""
        return requests.request(method, self.server.host + path, timeout=30, **options)

    def post(self, path: str, body: Any, **options: Any) -> requests.Response:
        """Return the answer to a posted body: bytes as they are, else as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", path, data=data, **options)

    def batch(self, *events: Mapping[str, Any], **frame: Any) -> requests.Response:
        """Return the answer to a batch sent to /batch/."""
        return self.post("/batch/", {"api_key": self.key, "batch": list(events), **frame})

    def stored(self, event: str, *columns: str) -> list[list[Any]]:
        """Return columns of every stored event of a name, by time."""
        listed = ", ".join(columns or ("properties",))
        query = f"select {listed} from events where event = {{event}} order by timestamp, uuid"
        return self.server.query().hogql(query, {"event": event}).rows

    def properties(self, event: str) -> list[dict[str, Any]]:
        """Return the properties of every stored event of a name."""
        return [json.loads(text) for (text,) in self.stored(event)]


def new_id() -> str:
    """Return a fresh uuid."""
    return str(uuid.uuid4())


def body_of(answer: requests.Response) -> tuple[int, str]:
    """Return an answer's status and kind of content."""
    return answer.status_code, answer.headers.get("content-type", "").partition(";")[0]
