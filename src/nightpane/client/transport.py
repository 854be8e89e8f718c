"""One HTTP POST at a time, with a limit on its whole duration.

``requests`` limits each read, not their sum, so a server that answers one byte a second would hold
the sender for ever: ``abort_overdue`` cuts such a connection from another thread.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from nightpane.client.verdicts import Response

if TYPE_CHECKING:
    import requests

__all__ = ["HttpTransport", "Transport", "TransportError"]

_CONNECT_S = 5.0
_READ_S = 15.0
_TOTAL_S = 30.0
# A large event over a slow line is not a server that stalls.
_SLOWEST_BYTES_S = 64 * 1024
_MAX_BODY_BYTES = 64 * 1024


class TransportError(Exception):
    """No answer came, or not all of it."""


class Transport(Protocol):
    """What the sender needs of a network."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Response:
        """Return the answer. Raises TransportError when there is none."""

    def abort_overdue(self) -> None:
        """End a request that takes too long."""

    def after_fork(self) -> None:
        """Let go of connections a child shares with its parent."""


class HttpTransport:
    """Posts over HTTP and keeps the connection for the next batch."""

    def __init__(self, total_s: float = _TOTAL_S) -> None:
        self._total_s = total_s
        self._session: requests.Session | None = None
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._began: float | None = None
        self._allowed_s = total_s
        self._lock = threading.Lock()

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Response:
        """Return the answer, redirects not followed. Raises TransportError when there is none."""
        import requests
        import urllib3

        session = self._session or self._open()
        session.trust_env = not _is_loopback(url)
        self._allowed_s = self._total_s + len(body) / _SLOWEST_BYTES_S
        self._began = time.monotonic()
        try:
            with session.post(
                url,
                data=body,
                headers=dict(headers),
                timeout=(_CONNECT_S, _READ_S),
                allow_redirects=False,
                stream=True,
            ) as answer:
                content = answer.raw.read(_MAX_BODY_BYTES, decode_content=True)
                lower = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.status_code, lower, content)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise TransportError(_short(error)) from error
        except Exception as error:
            # A cut connection may end in any error of the layers below.
            raise TransportError(f"{type(error).__name__}: {error}") from error
        finally:
            self._began = None

    def abort_overdue(self) -> None:
        """End a request that takes longer than its limit: fixed, and more for a larger body."""
        began = self._began
        if began is None or time.monotonic() - began < self._allowed_s:
            return
        for sock in list(self._sockets):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def after_fork(self) -> None:
        """Forget the parent's connections; closing the child's copies leaves them open there."""
        self._session, self._began = None, None
        self._sockets = weakref.WeakSet()

    def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _open(self) -> requests.Session:
        import requests

        session = requests.Session()
        # Not even from ~/.netrc: the key in the body is all that identifies us.
        session.auth = lambda request: request
        adapter = _adapter(self._sockets)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        self._session = session
        return session


def _adapter(sockets: weakref.WeakSet[socket.socket]) -> Any:
    """Return an adapter whose connections tell which sockets they use."""
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    return Adapter(pool_connections=2, pool_maxsize=1, max_retries=0)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _short(error: BaseException) -> str:
    # The innermost cause says it plainly: "Connection refused", "timed out".
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return f"{type(error).__name__}: {error}"[:200]
