"""The HogQL text of an insight and the values of its placeholders, and what it is asked against.

Whatever a person typed goes into ``values``, and so into the parsed tree and never into the text.
The one exception is an expression of HogQL, which is parsed on its own first: what was one
expression alone is one expression in the query too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from nightpane.errors import HogQLError
from nightpane.insights.reading import wrong

__all__ = ["Context", "Question", "Values", "expression", "quoted"]

_PLACE = re.compile(r"\{(\w+)\}")


def _no_cohort(_: int) -> Mapping[str, Any] | None:
    return None


@dataclass(frozen=True, slots=True)
class Context:
    """What a query is read against: the moment, the project's timezone, and its cohorts.

    ``cohort`` returns the document of a cohort (``is_static``, ``members``, ``filters``, ``name``).
    """

    now: datetime
    timezone: str = "UTC"
    cohort: Callable[[int], Mapping[str, Any] | None] = _no_cohort


class Values:
    """The values of a query's placeholders, named in the order they come."""

    __slots__ = ("given",)

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}

    def place(self, value: Any) -> str:
        """Return a new placeholder for a value: text, number, boolean, instant, or a list."""
        name = f"value_{len(self.given)}"
        self.given[name] = _moment(value) if isinstance(value, datetime) else value
        return f"{{{name}}}"


@dataclass(frozen=True, slots=True)
class Question:
    """HogQL with the values of its placeholders."""

    query: str
    values: dict[str, Any] = field(default_factory=dict)

    def written(self) -> str:
        """Return the query with its values in it, for a person to read and run as it is."""

        def fill(found: re.Match[str]) -> str:
            name = found.group(1)
            return _literal(self.values[name]) if name in self.values else found.group()

        return _PLACE.sub(fill, self.query)


def expression(text: str | None, attr: str) -> str:
    """Return an expression of HogQL ready to stand in a query. Raises InsightError.

    It is on lines of its own, so that a comment at its end cannot take anything with it.
    """
    from nightpane.hogql.parse import parse_expression

    if text is None or not text.strip():
        raise wrong(attr, "an expression of HogQL is required.")
    try:
        tree = parse_expression(text)
    except HogQLError as error:
        raise wrong(attr, f"the expression cannot be read: {error.message}") from error
    return f"(\n{text[tree.start : tree.end]}\n)"


def quoted(name: str) -> str:
    """Return a name as an identifier of HogQL, whatever characters it has."""
    if re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$]*", name):
        return name
    return "`" + name.replace("\\", "\\\\").replace("`", "``") + "`"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _literal(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_literal(item) for item in value)}]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
