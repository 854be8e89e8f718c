"""Stand-ins for network, disk and clock; a small HTTP server that records and obeys a script."""

from __future__ import annotations

import errno
import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

from nightpane.client.spool.files import Files
from nightpane.client.transport import TransportError
from nightpane.client.verdicts import Response

Seen = TypeVar("Seen")

OK = Response(200, {}, b'{"status":"Ok"}')
DEADLINE_S = 20.0


class Network:
    """A transport that answers from a script (the last answer for ever) and keeps what it got.

    An answer is a Response, a status, an exception, or a function of the batch's events.
    """

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.urls: list[str] = []

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Response:
        request = json.loads(gzip.decompress(body))
        self.urls.append(url)
        self.headers.append(headers)
        self.requests.append(request)
        answer = OK
        if self.script:
            answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if callable(answer):
            answer = answer(request["batch"])
        if isinstance(answer, Exception):
            raise answer
        return Response(answer, {}, b"") if isinstance(answer, int) else answer

    def abort_overdue(self) -> None:
        """Nothing is ever overdue here."""

    def after_fork(self) -> None:
        """Nothing is shared here."""

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for request in self.requests for event in request["batch"]]

    def named(self, event: str) -> list[dict[str, Any]]:
        return [one["properties"] for one in self.events if one["event"] == event]


REFUSED = TransportError("ConnectionRefusedError: [Errno 111] Connection refused")


class Clock:
    """Seconds that pass only when told."""

    def __init__(self, now_s: float = 1_700_000_000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


class FailingFiles(Files):
    """The real file system, but the n-th call of those named fails; None fails none."""

    def __init__(self, fail_at: int | None = None, error: int = errno.EIO) -> None:
        self.calls = 0
        self.fail_at = fail_at
        self.error = error
        self.failed: str | None = None

    def _called(self, name: str) -> None:
        self.calls += 1
        if self.calls == self.fail_at:
            self.failed = name
            raise OSError(self.error, f"injected into {name}")


def _failing(name: str) -> Callable[..., Any]:
    real = getattr(Files, name)

    def method(self: FailingFiles, *args: Any) -> Any:
        # Closing always works: a failed close would only leak in the test itself.
        self._called(name)
        return real(self, *args)

    return method


for _name in (
    *("make_folder", "create", "append_to", "open", "write", "read", "size", "truncate", "sync"),
    *("sync_folder", "lock", "is_named", "replace", "remove", "read_text", "listing", "duplicate"),
):
    setattr(FailingFiles, _name, _failing(_name))


class FullDisk(Files):
    """A disk with room for so many more bytes; what does not fit is written in part."""

    def __init__(self, room_bytes: int) -> None:
        self.room_bytes = room_bytes

    def write(self, fd: int, data: bytes) -> int:
        if self.room_bytes <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = super().write(fd, data[: self.room_bytes])
        self.room_bytes -= written
        return written


class Recorder:
    """A real HTTP server on loopback: records each request, answers from a script of statuses."""

    def __init__(self, *script: int) -> None:
        self.script = list(script)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.hold = threading.Event()
        self.hold.set()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def setup(self) -> None:
                super().setup()
                recorder.connections += 1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                recorder.headers.append({k.lower(): v for k, v in self.headers.items()})
                recorder.bodies.append(json.loads(gzip.decompress(body)))
                recorder.hold.wait(30)
                script = recorder.script
                status = script.pop(0) if len(script) > 1 else (script or [200])[0]
                answer = b'{"status":"Ok"}' if status == 200 else b"no"
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that was killed is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.host = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for body in list(self.bodies) for event in body["batch"]]

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something another thread or process does, up to a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {DEADLINE_S} s")
        time.sleep(0.005)


def segments(folder: Path, suffix: str = "seg") -> list[Path]:
    """Return a spool's segments, the oldest first."""
    return sorted(folder.glob(f"*.{suffix}"))


def each_file(folder: Path, look: Callable[[Path], Seen]) -> list[Seen]:
    """Return what ``look`` sees in each file of a spool, whose sender renames files meanwhile."""
    while True:
        try:
            return [look(path) for path in sorted(folder.iterdir())]
        except FileNotFoundError:
            continue


def spooled_bytes(folder: Path) -> bytes:
    """Return everything that lies in a spool folder."""
    return b"".join(each_file(folder, Path.read_bytes))


def read_events(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield every event in a spool folder, delivered or not."""
    from nightpane.client.spool import frames

    for path in [*segments(folder, "seg"), *segments(folder, "sent")]:
        for found in frames.scan(path.read_bytes()):
            if isinstance(found, frames.Frame) and found.kind == frames.EVENT:
                yield json.loads(found.payload)
