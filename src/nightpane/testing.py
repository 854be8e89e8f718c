"""Aids for tests of code that uses nightpane: a real local server, started and killed at will."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from nightpane.errors import StoreError
from nightpane.query import QueryClient

__all__ = ["LocalServer"]

_START_S = 60.0
_POLL_S = 0.02


class LocalServer:
    """A real ``nightpane up`` in a process of its own, on a free loopback port.

    The port stays the same over ``kill()`` and ``start()``. State and data live below ``data_dir``
    only, so that nothing of the user's own is touched.
    """

    def __init__(self, data_dir: Path, *, port: int = 0) -> None:
        self.data_dir = Path(data_dir)
        self.state_dir = self.data_dir / "state"
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self.host = ""
        self.project_id = ""
        self.api_key = ""
        self.personal_api_key = ""

    @property
    def pid(self) -> int:
        """Process id of the server."""
        if self._process is None:
            raise StoreError("the test server is not running: call start() first")
        return self._process.pid

    @property
    def log(self) -> str:
        """What the server has printed so far."""
        path = self.data_dir / "server.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a client of this server: its host and keys, and folders apart."""
        return {
            **os.environ,
            "POSTHOG_HOST": self.host,
            "POSTHOG_PROJECT_ID": self.project_id,
            "POSTHOG_API_KEY": self.api_key,
            "POSTHOG_PERSONAL_API_KEY": self.personal_api_key,
            "NIGHTPANE_STATE_DIR": str(self.state_dir),
        }

    def start(self) -> None:
        """Start the server and wait until it answers. Raises StoreError with its log otherwise."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "nightpane", "up"]
        command += ["--port", str(self._port), "--data-dir", str(self.data_dir)]
        environ = {**os.environ, "NIGHTPANE_STATE_DIR": str(self.state_dir)}
        with (self.data_dir / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait()

    def kill(self) -> None:
        """End the server as a crash would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """Ask the server to end (SIGTERM) and return its exit code."""
        return self._end(signal.SIGTERM)

    def query(self) -> QueryClient:
        """Return a client of its query API."""
        return QueryClient(self.host, self.project_id, self.personal_api_key)

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(how)
        code = self._process.wait(_START_S)
        self._process = None
        return code

    def _wait(self) -> None:
        assert self._process is not None  # noqa: S101 (told to the type checker)
        entry = self.state_dir / "servers" / f"{self._process.pid}.json"
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if entry.exists() and self._answers(entry):
                return
            time.sleep(_POLL_S)
        self.kill()
        raise StoreError(f"the test server did not start; its log says:\n{self.log}")

    def _answers(self, entry: Path) -> bool:
        try:
            self.host = json.loads(entry.read_text("utf-8"))["host"]
            with urllib.request.urlopen(self.host + "/_readiness", timeout=5) as answer:  # noqa: S310 (its own loopback address)
                ready = bool(answer.status == 200)
            keys = json.loads((self.data_dir / "keys.json").read_text("utf-8"))
        except (ValueError, KeyError, urllib.error.URLError, OSError):
            return False
        self._port = int(self.host.rsplit(":", 1)[1])
        self.project_id = str(keys["project_id"])
        self.api_key = keys["api_key"]
        self.personal_api_key = keys["personal_api_key"]
        return ready

    def __enter__(self) -> LocalServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._end(signal.SIGTERM)
