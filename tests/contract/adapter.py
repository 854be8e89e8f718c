"""An adapter for PostHog's SDK test harness: the harness drives nightpane's client through it.

    python tests/contract/adapter.py [PORT]

It speaks the harness's HTTP interface (https://github.com/PostHog/posthog-sdk-test-harness) and is
run by hand: docs/node.md says how. The same client is tested without the harness in test_sender.py.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from nightpane import Pane
from nightpane.client.transport import HttpTransport
from nightpane.client.verdicts import Response

_FLUSH_S = 10.0


class Recorder(HttpTransport):
    """The client's own transport, counting what it does."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[dict[str, Any]] = []

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Response:
        about = {"timestamp_ms": int(time.time() * 1000), "status_code": 0}
        self.requests.append({**about, "retry_attempt": 0, "event_count": 0, "uuid_list": []})
        response = super().post(url, body, headers)
        self.requests[-1]["status_code"] = response.status
        return response


class Adapter:
    """One client at a time, as the harness asks for it."""

    def __init__(self) -> None:
        self._pane: Pane | None = None
        self._recorder = Recorder()
        self._captured = 0
        self._noted: str | None = None

    def health(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "sdk_name": "nightpane",
            "sdk_version": importlib.metadata.version("nightpane"),
            "adapter_version": "1.0.0",
            "capabilities": ["capture_v0", "capture_ai_v0", "encoding_gzip"],
        }

    def init(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.reset({})
        self._pane = Pane(
            "harness",
            api_key=asked["api_key"],
            host=asked["host"],
            spool_dir=tempfile.mkdtemp(prefix="nightpane-harness-"),
            historical_migration=bool(asked.get("historical_migration")),
            transport=self._recorder,
        )
        self._note(self._pane)
        return {"success": True}

    def capture(self, asked: dict[str, Any], *, ai: bool = False) -> dict[str, Any]:
        options = {name: asked[name] for name in ("properties", "uuid") if asked.get(name)}
        if asked.get("timestamp"):
            options["timestamp"] = datetime.fromisoformat(asked["timestamp"])
        client = self.pane.posthog
        capture = client.capture_ai if ai else client.capture
        before = self.pane.health().written
        uuid = capture(asked["event"], distinct_id=asked["distinct_id"], **options)
        self._captured += 1
        # capture() returns None for what before_send took; the spool has it.
        return {"success": self.pane.health().written > before, "uuid": uuid or self._noted}

    def capture_ai(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self.capture(asked, ai=True)

    def get_feature_flag(self, asked: dict[str, Any]) -> dict[str, Any]:
        names = ("person_properties", "groups", "group_properties")
        value = self.pane.posthog.get_feature_flag(
            asked["key"],
            asked["distinct_id"],
            disable_geoip=asked.get("disable_geoip", False),
            only_evaluate_locally=not asked.get("force_remote", True),
            **{name: asked.get(name) for name in names},
        )
        self.pane.flush(_FLUSH_S)
        return {"success": True, "value": value}

    def flush(self, asked: dict[str, Any]) -> dict[str, Any]:
        delivered = self.pane.flush(_FLUSH_S)
        return {"success": delivered, "events_flushed": self.pane.health().delivered}

    def state(self, asked: dict[str, Any]) -> dict[str, Any]:
        health = self.pane.health()
        return {
            "pending_events": health.written - health.delivered,
            "total_events_captured": self._captured,
            "total_events_sent": health.delivered,
            "total_retries": health.retries,
            "last_error": health.last_error,
            "requests_made": self._recorder.requests,
        }

    def reset(self, asked: dict[str, Any]) -> dict[str, Any]:
        pane, self._pane = self._pane, None
        if pane is not None:
            pane.close(0)
        self._recorder, self._captured = Recorder(), 0
        return {"success": True}

    @property
    def pane(self) -> Pane:
        if self._pane is None:
            raise RuntimeError("the harness has not called /init")
        return self._pane

    def _note(self, pane: Pane) -> None:
        """Note the uuid of each event that the pane is given."""
        inner = pane.posthog.before_send

        def noting(message: dict[str, Any]) -> Any:
            self._noted = str(message["uuid"])
            return inner(message)

        pane.posthog.before_send = noting


def serve(port: int) -> ThreadingHTTPServer:
    """Return the adapter's server, bound to loopback."""
    adapter = Adapter()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            asked = json.loads(self.rfile.read(length) or b"{}")
            action = getattr(adapter, self.path.strip("/"))
            try:
                status, answer = 200, action(asked)
            except Exception as error:
                status, answer = 500, {"error": f"{type(error).__name__}: {error}"}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            """Keep quiet."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    serve(int(sys.argv[1]) if len(sys.argv) > 1 else 8080).serve_forever()
