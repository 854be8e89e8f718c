"""``nightpane demo``: a real loop trains for a minute, then its morning and its page."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

import nightpane
from nightpane.cli import morning
from nightpane.cli._output import json_option
from nightpane.config import RunningServer, load, running_servers
from nightpane.errors import ConfigError, StoreError

_START_S = 60.0
_POLL_S = 0.05


@click.command()
@click.option(
    "--rounds",
    default=40,
    show_default=True,
    type=click.IntRange(2, 10_000),
    help="Rounds of the night.",
)
@click.option("--exit", "exit_when_done", is_flag=True, help="End instead of serving the page.")
@click.option(
    "--port",
    default=8321,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the server, if none runs.",
)
@click.option("--seed", type=int, help="Repeat a night; by default each one is another.")
@json_option
def command(rounds: int, exit_when_done: bool, port: int, seed: int | None, as_json: bool) -> int:
    """Run a real research loop, then show its morning.

    The loop in examples/digits trains a small network on handwritten digits, one round a second or
    so, and writes its events to the local server: the one that is running, or one started here.
    """
    script = _example()
    with _server(port) as server:
        _run_loop(script, server, rounds=rounds, seed=seed, quiet=as_json)
        morning.show(load(host=server.host), as_json=as_json)
        if exit_when_done:
            return 0
        if not as_json:
            # Not through the console, which would break the address at the screen's width.
            click.echo(f"\nThe pane: {server.pane_url}\nCtrl-C ends it.")
        _wait_for_end(server)
    return 0


def _example() -> Path:
    """Return the loop's script: in an installed package, else in the checkout."""
    package = Path(nightpane.__file__).parent
    for folder in (package / "examples", package.parents[1] / "examples"):
        script = folder / "digits" / "loop.py"
        if script.is_file():
            return script
    raise ConfigError(f"the example loop is missing: expected at {script}; reinstall nightpane")


@contextmanager
def _server(port: int) -> Iterator[RunningServer]:
    """Give the running local server, or start one for the time being."""
    if running := running_servers():
        yield running[0]
        return
    command = [sys.executable, "-m", "nightpane", "up", "--port", str(port)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield _wait_for_start(process)
    finally:
        process.terminate()
        process.wait()


def _wait_for_start(process: subprocess.Popen[bytes]) -> RunningServer:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        for server in running_servers():
            if server.pid == process.pid:
                return server
        time.sleep(_POLL_S)
    raise StoreError("the local server did not start; 'nightpane up' shows why")


def _run_loop(
    script: Path, server: RunningServer, *, rounds: int, seed: int | None, quiet: bool
) -> None:
    arguments = [sys.executable, str(script), "--rounds", str(rounds)]
    arguments += ["--workdir", str(load().state_dir / "demo")]
    if seed is not None:
        arguments += ["--seed", str(seed)]
    environ = {**os.environ, "POSTHOG_HOST": server.host, "POSTHOG_API_KEY": server.api_key}
    done = subprocess.run(arguments, env=environ, stdout=sys.stderr if quiet else None, check=False)
    if done.returncode != 0:
        raise StoreError(
            f"the example loop ended with code {done.returncode}; see its output above"
        )


def _wait_for_end(server: RunningServer) -> None:
    """Wait until the server is gone or the user interrupts."""
    try:
        while any(running.pid == server.pid for running in running_servers()):
            time.sleep(0.5)
    except KeyboardInterrupt:
        click.echo()
