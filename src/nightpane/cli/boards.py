"""``nightpane boards``: the boards, and keeping them up in a PostHog project."""

from __future__ import annotations

import click

from nightpane.cli.boards_sync import apply, diff, pull

__all__ = ["command"]


@click.group()
def command() -> None:
    """Keep the boards up in PostHog: apply, diff, pull."""


for _command in (apply, diff, pull):
    command.add_command(_command)
