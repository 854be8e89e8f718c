"""Which rounds a question is about, and how a question carries what a reader chose.

Choices travel beside the query, as HogQL's ``values``, and never inside its text: no name, however
odd, can change what a query does, and a server parses each text once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nightpane.errors import ConfigError

__all__ = ["LONGEST_ROUND", "HogQL", "Scope", "literal", "moment"]

LONGEST_ROUND = timedelta(hours=12)
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class HogQL:
    """A query and the values of its ``{placeholders}``."""

    query: str
    values: Mapping[str, str]

    @property
    def text(self) -> str:
        """The query with its values written out: what a reader can copy and run.

        Raises ConfigError for a value that no query can name.
        """
        return _PLACE.sub(lambda found: literal(self.values[found.group(1)]), self.query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a question is about; None means no limit. ``timezone`` (IANA) decides what a day is.

    A round belongs where it started: ``start`` is inclusive, ``end`` is not. Times are aware. A
    round is an agent's when the agent has a core event in it.
    """

    project: str | None = None
    client: str | None = None
    run_id: str | None = None
    agent: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    timezone: str | None = None

    def ask(self, query: str, **more: str) -> HogQL:
        """Return the question that a query makes with this scope's values (those it names)."""
        values = self._values() | more
        return HogQL(query, {name: values[name] for name in sorted(set(_PLACE.findall(query)))})

    def _values(self) -> dict[str, str]:
        given = {
            "project": self.project,
            "client": self.client,
            "run": self.run_id,
            "agent": self.agent,
            "timezone": self.timezone,
        }
        values = {name: value for name, value in given.items() if value is not None}
        if self.start is not None:
            values |= {"start": moment(self.start), "since": moment(self.start - LONGEST_ROUND)}
        if self.end is not None:
            values |= {"end": moment(self.end), "until": moment(self.end + LONGEST_ROUND)}
        return values

    def events(self) -> list[str]:
        """Return the conditions on events, as wide as a round on the edge of the time needs.

        An event without project or run, such as a model call's, is let through: its round decides.
        """
        found = []
        if self.project is not None:
            found.append("ifNull(properties.project, {project}) = {project}")
        if self.run_id is not None:
            found.append("ifNull(properties.run_id, {run}) = {run}")
        return [*found, *self.around()]

    def around(self) -> list[str]:
        """Return the conditions on time alone, as wide as a round on the edge needs."""
        found = []
        if self.start is not None:
            found.append("timestamp >= toDateTime({since})")
        if self.end is not None:
            found.append("timestamp < toDateTime({until})")
        return found

    def rounds(self) -> list[str]:
        """Return the conditions on rounds, over the columns every round has."""
        found = []
        if self.project is not None:
            found.append("project = {project}")
        if self.client is not None:
            found.append("client = {client}")
        if self.run_id is not None:
            found.append("run = {run}")
        if self.agent is not None:
            found.append("has(agents, {agent})")
        if self.start is not None:
            found.append("started_at >= toDateTime({start})")
        if self.end is not None:
            found.append("started_at < toDateTime({end})")
        return found

    def happened(self, *event_names: str) -> str:
        """Return the condition on events that are counted one by one, outside of rounds."""
        named = ", ".join(f"'{name}'" for name in event_names)
        found = [f"event in ({named})"]
        if self.project is not None:
            found.append("properties.project = {project}")
        if self.client is not None:
            found.append("ifNull(properties.client, 'internal') = {client}")
        if self.run_id is not None:
            found.append("properties.run_id = {run}")
        if self.agent is not None:
            found.append("properties.agent = {agent}")
        if self.start is not None:
            found.append("timestamp >= toDateTime({start})")
        if self.end is not None:
            found.append("timestamp < toDateTime({end})")
        return "\n    and ".join(found)

    def day(self, column: str) -> str:
        """Return the HogQL of the calendar day of a time column."""
        if self.timezone is None:
            return f"toDate({column})"
        return f"toDate(toTimeZone({column}, {{timezone}}))"


def literal(text: str) -> str:
    """Return text as a HogQL string. Raises ConfigError for a control character."""
    if any(ord(char) < 32 and char not in _ESCAPES for char in text):
        raise ConfigError(f"{text!r} holds a control character, which no query can name")
    return "'" + "".join(_ESCAPES.get(char, char) for char in text) + "'"


def moment(at: datetime) -> str:
    """Return a time with its zone written out: never read in the project's own zone."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"
