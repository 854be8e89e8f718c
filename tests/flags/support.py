"""What the tests of flags share: making them over the management API, and asking for them."""

from __future__ import annotations

from typing import Any

import requests

from nightpane.testing import LocalServer

__all__ = ["ALL", "Api", "half", "variants"]

ALL = [{"properties": [], "rollout_percentage": 100}]


def half(**more: Any) -> dict[str, Any]:
    """Return filters that are on for half of all."""
    return {"groups": [{"properties": [], "rollout_percentage": 50}], **more}


def variants(**shares: float) -> dict[str, Any]:
    """Return filters with variants for all."""
    listed = [{"key": name, "rollout_percentage": share} for name, share in shares.items()]
    return {"groups": ALL, "multivariate": {"variants": listed}}


class Api:
    """A server's HTTP API, with its keys."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {server.personal_api_key}"

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Return the answer of a management route."""
        url = f"{self.server.host}/api/projects/{self.server.project_id}/{path}"
        return self.session.request(method, url, json=body, timeout=30, **options)

    def make(self, key: str, **fields: Any) -> dict[str, Any]:
        """Return a flag made anew."""
        answer = self.call("POST", "feature_flags/", {"key": key, **fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def change(self, flag: dict[str, Any], **changes: Any) -> requests.Response:
        """Return the answer to a change of a flag."""
        return self.call("PATCH", f"feature_flags/{flag['id']}/", changes)

    def clear(self) -> None:
        """Delete every flag, the later ones first: they may depend on earlier ones."""
        for flag in self.call("GET", "feature_flags/?limit=1000").json()["results"]:
            assert self.change(flag, deleted=True).status_code == 200

    def flags(self, distinct_id: str, version: int | None = 2, **body: Any) -> dict[str, Any]:
        """Return the answer of ``/flags/``."""
        url = f"{self.server.host}/flags/" + ("" if version is None else f"?v={version}")
        asked = {"token": self.server.api_key, "distinct_id": distinct_id, **body}
        answer = requests.post(url, json=asked, timeout=30)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def value(self, key: str, distinct_id: str, **body: Any) -> Any:
        """Return one flag's value."""
        record = self.flags(distinct_id, **body)["flags"][key]
        return record["variant"] or record["enabled"]

    def send(self, *events: dict[str, Any]) -> None:
        """Deliver events."""
        body = {"api_key": self.server.api_key, "batch": list(events)}
        requests.post(f"{self.server.host}/batch/", json=body, timeout=30).raise_for_status()
