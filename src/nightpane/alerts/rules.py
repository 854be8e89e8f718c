"""Reads the file of thresholds; a mistake in it is told with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from nightpane.errors import ConfigError

__all__ = ["FILE_NAME", "KINDS", "Rule", "parse", "read"]

FILE_NAME = "nightpane-alerts.toml"
MODES = ("crash", "exception", "timeout")

_TEXT, _WORDS = "a text", "a list of texts"
_COUNT, _NUMBER, _SHARE = (
    "a whole number from 1 to 1000",
    "a number above 0",
    "a number from 0 to 1",
)
# By kind: its fields, what each takes, and its default (... for one that must be given).
KINDS: dict[str, dict[str, tuple[str | tuple[str, ...], Any]]] = {
    "no_kept": {"rounds": (_COUNT, ...)},
    "budget": {
        "usd": (_NUMBER, ...),
        "per": (("night", "run", "hour"), "night"),
        "at": (_NUMBER, 1.0),
    },
    "error_rate": {
        "share": (_SHARE, ...),
        "rounds": (_COUNT, 40),
        "least": (_COUNT, 10),
        "modes": (_WORDS, MODES),
    },
    "score_drop": {
        "against": (("best", "median"), "best"),
        "nights": (_COUNT, 7),
        "noise": (_NUMBER, None),
        "drop": (_NUMBER, None),
        "least": (_COUNT, 10),
        "metric": (_TEXT, None),
    },
    "silence": {"minutes": (_NUMBER, ...)},
}
_EVERY = ("name", "kind", "project", "client")
_MOST_NIGHTS = 29


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One threshold. ``fields`` holds the values of its kind, defaults filled in."""

    name: str
    kind: str
    project: str | None
    client: str | None
    fields: Mapping[str, Any]

    def covers(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row's loop is one this rule is about."""
        return (self.project is None or row["project"] == self.project) and (
            self.client is None or row["client"] == self.client
        )


def read(path: Path) -> list[Rule]:
    """Return the thresholds of a file. Raises ConfigError with the line of a mistake."""
    try:
        return parse(path.read_text("utf-8"), str(path))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} does not exist: 'nightpane alerts init' writes an example"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def parse(text: str, where: str) -> list[Rule]:
    """Return the thresholds of a file's text. Raises ConfigError with the line of a mistake."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error).replace("end of document", f"the end, line {text.count(chr(10)) + 1}")
        raise ConfigError(f"{where}: {said}") from error
    for name in document:
        if name != "alert":
            raise ConfigError(f"{where}, line {_line(text, name)}: only [[alert]] is known here")
    tables = document.get("alert", [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise ConfigError(
            f"{where}, line {_line(text, 'alert')}: write [[alert]], with two brackets"
        )
    if not tables:
        raise ConfigError(f"{where} has no [[alert]]: 'nightpane alerts init' writes an example")
    rules: list[Rule] = []
    for number, table in enumerate(tables):
        try:
            rule = _rule(table)
            if any(rule.name == other.name for other in rules):
                raise _WrongError("name", f"{rule.name!r} is there twice: names tell alerts apart")
        except _WrongError as error:
            line = _line(text, error.field, number)
            raise ConfigError(f"{where}, line {line}: {error}") from error
        rules.append(rule)
    return rules


class _WrongError(ConfigError):
    """A field is wrong; where it stands is found by who knows the text."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def _rule(table: Mapping[str, Any]) -> Rule:
    for name in ("name", "kind"):
        if not isinstance(table.get(name), str) or not table[name].strip():
            raise _WrongError(name, f"{name} is missing or no text")
    kind = table["kind"]
    if kind not in KINDS:
        raise _WrongError("kind", f"kind {kind!r} is unknown; use one of {', '.join(KINDS)}")
    fields = KINDS[kind]
    for name in table:
        if name not in (*_EVERY, *fields):
            known = ", ".join((*_EVERY, *fields))
            raise _WrongError(name, f"{name!r} is no field of {kind}; it takes {known}")
    for name in ("project", "client"):
        if name in table:
            _fits(name, table[name], _TEXT)
    values = {}
    for name, (takes, default) in fields.items():
        if name in table:
            _fits(name, table[name], takes)
        elif default is ...:
            raise _WrongError("kind", f"{kind} needs {name}: {takes}")
        values[name] = table.get(name, default)
    _together(kind, values)
    return Rule(
        name=table["name"],
        kind=kind,
        project=table.get("project"),
        client=table.get("client"),
        fields=values,
    )


def _together(kind: str, values: Mapping[str, Any]) -> None:
    if kind == "error_rate" and values["least"] > values["rounds"]:
        raise _WrongError(
            "least", f"least {values['least']} is more than rounds {values['rounds']}"
        )
    if kind == "score_drop":
        if (values["noise"] is None) == (values["drop"] is None):
            raise _WrongError("noise", "score_drop needs noise or drop: one of them")
        if values["nights"] > _MOST_NIGHTS:
            raise _WrongError("nights", f"nights {values['nights']} is more than {_MOST_NIGHTS}")


def _fits(name: str, value: Any, takes: str | tuple[str, ...]) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if isinstance(takes, tuple):
        fits, takes = value in takes, f"one of {', '.join(takes)}"
    elif takes == _TEXT:
        fits = isinstance(value, str)
    elif takes == _WORDS:
        fits = (
            isinstance(value, list) and value != [] and all(isinstance(one, str) for one in value)
        )
    elif takes == _COUNT:
        fits = is_number and isinstance(value, int) and 1 <= value <= 1000
    elif takes == _SHARE:
        fits = is_number and 0 <= value <= 1
    else:
        fits = is_number and value > 0
    if not fits:
        raise _WrongError(name, f"{name} is {value!r}; it takes {takes}")


def _line(text: str, name: str, number: int | None = None) -> int:
    """Return where a field stands, or its table's head; ``number`` counts the ``[[alert]]``s."""
    at, head = -1, 1
    for line, content in enumerate(text.splitlines(), 1):
        if re.match(r"\s*\[\[\s*[\"']?alert", content):
            at += 1
            head = line if at == number else head
        in_table = number is None or at == number
        if in_table and re.match(rf"\s*\[*\s*[\"']?{re.escape(name)}\b", content):
            return line
    return head
