"""``nightpane up``: the local server and its pane."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nightpane.cli._output import json_option
from nightpane.config import load
from nightpane.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from nightpane.server.keys import Keys

__all__ = ["command"]

DEFAULT_PORT = 8321


@click.command("up")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the events and keys (default: NIGHTPANE_DATA_DIR, or the user's data folder).",
)
@click.option(
    "--allow-network",
    is_flag=True,
    help="Listen on an address that other machines reach. Keys travel unencrypted there.",
)
@json_option
def command(
    host: str, port: int, data_dir: Path | None, allow_network: bool, as_json: bool
) -> None:
    """Start the local server and its pane, and serve until interrupted."""
    try:
        from nightpane.server.auth import is_loopback
        from nightpane.server.run import serve
    except ModuleNotFoundError as error:
        raise MissingExtraError("server") from error
    settings = load(data_dir=data_dir, find_server=False)
    if not is_loopback(host):
        if not allow_network:
            raise ConfigError(
                f"--host {host} lets other machines in: add --allow-network if that is meant, or "
                "leave --host out to stay on this machine"
            )
        click.secho(
            f"warning: listening on {host}: whoever reaches this machine can try the keys, and "
            "they travel unencrypted; put a proxy with TLS in front",
            fg="yellow",
            err=True,
        )

    def on_ready(address: str, keys: Keys) -> None:
        _say(address, keys, settings.data_dir, as_json=as_json)

    serve(
        host=host,
        port=port,
        data_dir=settings.data_dir,
        state_dir=settings.state_dir,
        cache_dir=settings.cache_dir,
        on_ready=on_ready,
    )


def _say(address: str, keys: Keys, data_dir: Path, *, as_json: bool) -> None:
    pane = f"{address}/?token={keys.page_token}"
    if as_json:
        about = {"pid": os.getpid(), "host": address, "pane": pane, "data_dir": str(data_dir)}
        sys.stdout.write(json.dumps(about) + "\n")
    else:
        sys.stdout.write(
            f"nightpane is up, with the events in {data_dir}\n"
            f"  the pane:      {pane}\n"
            f'  for clients:   eval "$(nightpane env --data-dir {data_dir})"\n'
            "  Ctrl-C ends it.\n"
        )
    sys.stdout.flush()
