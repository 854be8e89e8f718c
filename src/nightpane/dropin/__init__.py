"""The drop-in file: what ``nightpane init`` writes, for loops that cannot depend on nightpane.

It is made of ``template.py``, which is never imported, and of tables that follow from the catalogue
and from what privacy mode leaves out: the same text on every machine. Its last line is a
digest of all before it, so that a file nobody edited can be told from one that somebody did.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

from nightpane.catalog import EVENTS
from nightpane.client.redact import PRIVATE_PROPERTIES

__all__ = ["PLACE", "State", "render", "state"]

PLACE = Path("observability") / "posthog_client.py"

_HEAD = "# fmt: off\n# ruff: noqa\n"
_DIGEST = "# Made by nightpane init, which tells by this digest whether it was changed: "
_WIDTH = 99
_TABLES = re.compile(r"(?<=\n)# >>> .*?# <<<\n", re.DOTALL)


class State(Enum):
    """How a repository's file stands to the one that would be written now."""

    CURRENT = "current"
    MISSING = "missing"
    OUTDATED = "outdated"
    EDITED = "edited"


def render() -> str:
    """Return the drop-in file's text."""
    template = (Path(__file__).parent / "template.py").read_text("utf-8")
    tables = "".join(f"{line}\n" for line in _tables())
    text = _HEAD + _TABLES.sub(lambda _: tables, template)
    return text + _digest_line(text)


def state(text: str | None) -> State:
    """Tell how the text of a repository's file stands; None is a file that is not there."""
    if text is None:
        return State.MISSING
    if text == render():
        return State.CURRENT
    body, found, digest = text.rpartition(_DIGEST)
    unedited = found and f"{_DIGEST}{digest}" == _digest_line(body)
    return State.OUTDATED if unedited else State.EDITED


def _digest_line(text: str) -> str:
    return f"{_DIGEST}{hashlib.sha256(text.encode()).hexdigest()[:16]}\n"


def _tables() -> Iterator[str]:
    yield "# What each event requires, how long its texts may be, and what privacy mode leaves out."
    yield from _table("REQUIRED: dict[str, str] = {", _required(), "}")
    unless = [one for spec in EVENTS.values() for one in spec.properties if one.unless]
    yield from _table("UNLESS = {", (f'"{one.name}": "{one.unless}"' for one in unless), "}")
    yield from _table("LONGEST: dict[str, dict[str, int]] = {", _longest(), "}")
    private = (f'"{name}"' for name in sorted(PRIVATE_PROPERTIES))
    yield from _table("PRIVATE = {", private, "}")


def _required() -> Iterator[str]:
    for name, spec in EVENTS.items():
        names = [one.name for one in spec.properties if one.required]
        if spec.in_round:
            names.append("round_id")
        if names:
            yield f'"{name}": "{" ".join(names)}"'


def _longest() -> Iterator[str]:
    for name, spec in EVENTS.items():
        limits = {one.name: one.max_chars for one in spec.properties if one.max_chars}
        if limits:
            shown = ", ".join(f'"{one}": {limit}' for one, limit in limits.items())
            yield f'"{name}": {{{shown}}}'


def _table(opening: str, items: Iterable[str], closing: str) -> Iterator[str]:
    lines = list(_filled(items, ", "))
    if len(lines) == 1:
        yield opening + lines[0].rstrip(", ") + closing
        return
    yield opening
    yield from (f"    {line.rstrip()}" for line in lines)
    yield closing


def _filled(items: Iterable[str], between: str) -> Iterator[str]:
    """Return lines with as many of the items as go in, each followed by ``between``."""
    line = ""
    for item in items:
        if line and len(line) + len(item) > _WIDTH - 7:
            yield line
            line = ""
        line += item + between
    yield line
