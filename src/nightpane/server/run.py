"""Running the server: one process that owns the store, from the lock to the last flush.

SIGTERM and SIGINT end it in order: no new requests, running ones finish, what waits is written.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn

from nightpane import hogql, prices
from nightpane.definitions import Definitions
from nightpane.errors import ConfigError
from nightpane.server.ahead import working_ahead
from nightpane.server.app import create_app
from nightpane.server.keys import Keys, load_or_create
from nightpane.server.protocol import GuardedProtocol
from nightpane.store import Store

__all__ = ["serve"]

_GRACE_S = 8
_MAX_CONNECTIONS = 2_000
_KEEP_ALIVE_S = 75


def serve(
    *,
    host: str,
    port: int,
    data_dir: Path,
    state_dir: Path,
    cache_dir: Path,
    on_ready: Callable[[str, Keys], None],
) -> None:
    """Serve until a signal ends it; ``on_ready`` gets the address and the keys once it answers.

    Raises StoreLockedError when another process has the data, ConfigError when the address cannot
    be listened on or the data folder's ``prices.toml`` cannot be used, StoreError when the store
    or the definitions cannot be opened.
    """
    with (
        Store.open(data_dir) as store,
        Definitions.open(store.data_dir) as definitions,
        _listen(host, port) as listener,
    ):
        own_prices = prices.load(store.data_dir / prices.OWN_PRICES)
        hogql.keep_trees(cache_dir)
        hogql.warm_up()
        keys = load_or_create(store.data_dir)
        address = _address(host, listener)
        store.announce(address)
        app = create_app(store, keys, definitions=definitions, prices=own_prices, bind_host=host)
        config = uvicorn.Config(
            app,
            http=GuardedProtocol,
            loop="uvloop",
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,  # addresses can hold keys
            server_header=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
        )
        entry = state_dir / "servers" / f"{os.getpid()}.json"

        _spare_the_collector()

        def ready() -> None:
            _enter(entry, address, store.data_dir)
            on_ready(address, keys)

        try:
            with (
                working_ahead(store, definitions, app.state.kept),
                asyncio.Runner(loop_factory=config.get_loop_factory()) as runner,
            ):
                runner.run(_until_signalled(_Server(config, ready), listener))
        finally:
            entry.unlink(missing_ok=True)


class _Server(uvicorn.Server):
    """uvicorn's server, without its way of ending: it would raise the signal again when done."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say so."""
        await super().startup(sockets=sockets)
        self._ready()


async def _until_signalled(server: _Server, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.handle_exit, number, None)
    await server._serve([listener])


def _spare_the_collector() -> None:
    """Have Python look for garbage cycles rarely: a batch is thousands of objects and no cycle."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; give another --port "
            "(0 takes a free one) or another --host"
        ) from error
    return listener


def _address(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared, not bound)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _enter(entry: Path, address: str, data_dir: Path) -> None:
    """Write down that this server is alive, where clients on this machine look for one."""
    about = {
        "pid": os.getpid(),
        "host": address,
        "data_dir": str(data_dir),
        "started_at": time.time(),
    }
    entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = entry.with_suffix(".new")
    draft.write_text(json.dumps(about), "utf-8")
    draft.replace(entry)
