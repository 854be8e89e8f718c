"""What every command shares: a console for people, JSON for programs, text made safe to print."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Console

__all__ = ["console", "emit", "json_option", "printable"]

_F = TypeVar("_F", bound=Callable[..., Any])
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def console(*, stderr: bool = False) -> Console:
    """Return a console on standard output (or error), coloured only on a terminal."""
    return Console(stderr=stderr, highlight=False, soft_wrap=False)


def json_option(function: _F) -> _F:
    """Add ``--json`` to a command, as the argument ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program.")(
        function
    )


def emit(value: Any, *, as_json: bool, render: Callable[[Console], None]) -> None:
    """Print ``value`` as JSON, or have ``render`` draw it on the console."""
    if as_json:
        json.dump(value, sys.stdout, indent=2, ensure_ascii=False, default=str)
        sys.stdout.write("\n")
    else:
        render(console())


def printable(text: str) -> str:
    """Return text from the data with terminal control characters made harmless."""
    return _CONTROL.sub("�", text)
