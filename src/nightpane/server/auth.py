"""Who may read: a personal API key, or the pane's own session, and only through a known host name.

Keys are compared in constant time. A browser is let in as Jupyter does it: the printed address has
a token, which is traded for a cookie that other sites cannot use. The Host allow-list stops a web
page from reaching the server under a name of its own (DNS rebinding).
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from nightpane.server.errors import ApiRefusal, api_error
from nightpane.server.keys import Keys

__all__ = [
    "HostGuard",
    "allowed_host_names",
    "has_session",
    "is_loopback",
    "page",
    "require_personal_key",
    "same",
]

Handler = Callable[[Request], Awaitable[Response]]

_COOKIE_AGE_S = 365 * 24 * 3600
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


def same(given: str, right: str) -> bool:
    """Compare two keys in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode())


def require_personal_key(request: Request) -> None:
    """Let the request pass with the personal API key or the pane's session.

    Raises ApiRefusal: 401 without a key or with a wrong one, 403 for a session used from elsewhere.
    """
    keys: Keys = request.app.state.keys
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        if same(given.strip(), keys.personal_api_key):
            return
        detail = "Personal API key found in request Authorization header is invalid."
        if given.strip().startswith("phc_"):
            detail = "A project API key (phc_) cannot read: use a personal API key (phx_)."
        raise ApiRefusal(401, "authentication_error", "authentication_failed", detail)
    if has_session(request):
        if not _from_own_page(request):
            raise ApiRefusal(
                403,
                "authentication_error",
                "permission_denied",
                "The pane's session is only good for requests from the pane itself.",
            )
        return
    raise ApiRefusal(
        401,
        "authentication_error",
        "not_authenticated",
        "Authentication credentials were not provided.",
    )


def has_session(connection: HTTPConnection) -> bool:
    """Tell whether the request carries the pane's cookie."""
    keys: Keys = connection.app.state.keys
    return same(connection.cookies.get(keys.cookie, ""), keys.session)


def page(handler: Handler) -> Handler:
    """Make a route one of the pane's pages: behind the token, then the cookie.

    ``?token=`` with the right token sets the cookie and redirects to the same page without it.
    """

    async def guarded(request: Request) -> Response:
        keys: Keys = request.app.state.keys
        token = request.query_params.get("token")
        if token is not None and same(token, keys.page_token):
            return _let_in(request, keys)
        if has_session(request):
            return await handler(request)
        return PlainTextResponse(
            "The pane opens with the address that 'nightpane up' printed, token included.\n",
            status_code=401 if token is None else 403,
            headers={"Cache-Control": "no-store"},
        )

    return guarded


def _let_in(request: Request, keys: Keys) -> Response:
    answer = RedirectResponse(request.url.path, status_code=302)
    answer.set_cookie(
        keys.cookie,
        keys.session,
        max_age=_COOKIE_AGE_S,
        path="/",
        httponly=True,
        samesite="strict",
    )
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def _from_own_page(request: Request) -> bool:
    """Tell whether a browser's request comes from the pane: other ports are the same *site*."""
    fetch_site = request.headers.get("sec-fetch-site")
    if fetch_site is not None and fetch_site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return request.method in ("GET", "HEAD") or fetch_site == "same-origin"
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc == request.headers.get("host")


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_host_names(bind_host: str) -> Callable[[str], bool]:
    """Return the test a Host header's name must pass on a server bound to this address.

    On loopback these are its own names. A server open to the network is also reached by address or
    by the machine's name; an address cannot be rebound, so any is let through.
    """
    names = _LOCAL | {bind_host.lower()}
    if is_loopback(bind_host):
        return lambda name: name in names
    names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    def allowed(name: str) -> bool:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in names
        return True

    return allowed


class HostGuard:
    """Answers 403 to a request for the pane or the API under a host name that is not ours.

    Routes that take events are left out: there the project API key decides.
    """

    def __init__(
        self, app: ASGIApp, *, allowed: Callable[[str], bool], is_open: Callable[[str], bool]
    ) -> None:
        self._app = app
        self._allowed = allowed
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] in ("http", "websocket") and not self._is_open(scope["path"]):
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or not self._allowed(_name(hosts[0])):
                refusal = api_error(
                    403,
                    "authentication_error",
                    "permission_denied",
                    "This host name is not one of the local server's: use the address that "
                    "'nightpane up' printed.",
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _name(host: bytes) -> str:
    text = host.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
