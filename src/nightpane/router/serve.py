"""Running the proxy in a process: from the port to the last event, ended by SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import uvicorn
from starlette.applications import Starlette

from nightpane.errors import ConfigError
from nightpane.router.proxy import create_app
from nightpane.router.service import Service
from nightpane.server.protocol import GuardedProtocol

__all__ = ["make_server", "serve"]

_GRACE_S = 10
_MAX_CONNECTIONS = 1_000


def serve(service: Service, *, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve until a signal ends it; ``on_ready`` gets the address once it answers.

    Raises ConfigError when the address cannot be listened on.
    """
    with _listen(host, port) as listener:
        name = f"[{host}]" if ":" in host else host
        address = f"http://{name}:{listener.getsockname()[1]}/v1"
        server = make_server(service, lambda: on_ready(address))
        asyncio.run(_until_signalled(server, listener))


async def _until_signalled(server: uvicorn.Server, listener: socket.socket) -> None:
    # uvicorn's own way of ending would raise the signal again when done.
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.handle_exit, number, None)
    await server._serve([listener])


def make_server(service: Service, on_ready: Callable[[], None]) -> uvicorn.Server:
    """Return uvicorn's server for the proxy; ``on_ready`` is called once it can answer."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(service.watch())
        on_ready()
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    return uvicorn.Server(
        uvicorn.Config(
            create_app(service, lifespan),
            http=GuardedProtocol,
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on: an answer would wait for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; give another --port"
        ) from error
    return listener
