"""``nightpane env``: what a client needs to reach the local server, as export lines."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
from rich.console import Console

from nightpane.cli._output import emit, json_option
from nightpane.config import RunningServer, load, running_servers
from nightpane.errors import ConfigError

__all__ = ["command"]


@click.command("env")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the server meant, when several run.",
)
@json_option
def command(data_dir: Path | None, as_json: bool) -> None:
    """Print the running local server's host and keys as export lines, for eval in a shell."""
    server = _server(data_dir)
    values = {
        "POSTHOG_HOST": server.host,
        "POSTHOG_PROJECT_ID": server.project_id,
        "POSTHOG_API_KEY": server.api_key,
        "POSTHOG_PERSONAL_API_KEY": server.personal_api_key,
    }

    def render(console: Console) -> None:
        for name, value in values.items():
            console.out(f"export {name}={shlex.quote(value)}")

    emit(values, as_json=as_json, render=render)


def _server(data_dir: Path | None) -> RunningServer:
    settings = load(data_dir=data_dir, find_server=False)
    servers = running_servers(settings.state_dir)
    if "data_dir" in settings.sources:
        wanted = settings.data_dir.resolve()
        servers = [server for server in servers if server.data_dir.resolve() == wanted]
    if not servers:
        where = f" on {settings.data_dir}" if "data_dir" in settings.sources else ""
        raise ConfigError(f"no local server is running{where}: start one with 'nightpane up'")
    return servers[0]
