"""Which events a board looks at: project, client, run and time, as HogQL conditions.

Every value a reader can choose goes through ``literal``, so that no name, however odd, can change
what a query does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nightpane.errors import ConfigError

__all__ = ["LONGEST_ROUND", "Scope", "literal", "moment"]

LONGEST_ROUND = timedelta(hours=12)
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def literal(text: str) -> str:
    """Return text as a HogQL string. Raises ConfigError for a control character."""
    if any(ord(char) < 32 and char not in _ESCAPES for char in text):
        raise ConfigError(f"{text!r} holds a control character, which no query can name")
    return "'" + "".join(_ESCAPES.get(char, char) for char in text) + "'"


def moment(at: datetime) -> str:
    """Return a time as HogQL, with its zone written out: never read in the project's own zone."""
    utc = at.astimezone(UTC)
    return f"toDateTime('{utc:%Y-%m-%dT%H:%M:%S}Z')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a board looks at; None means no limit. ``timezone`` (IANA) decides what a day is.

    A round belongs where it started: ``start`` is inclusive, ``end`` is not. Times are aware.
    """

    project: str | None = None
    client: str | None = None
    run_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    timezone: str | None = None

    def events(self, names: tuple[str, ...]) -> str:
        """Return the conditions on events, as wide as a round on the edge of the time needs."""
        found = [f"event in ({', '.join(literal(name) for name in names)})"]
        if self.project is not None:
            # A model call may carry no project: its round's other events decide (see ``rounds``).
            found.append(
                f"ifNull(properties.project, {literal(self.project)}) = {literal(self.project)}"
            )
        if self.run_id is not None:
            found.append(
                f"ifNull(properties.run_id, {literal(self.run_id)}) = {literal(self.run_id)}"
            )
        if self.start is not None:
            found.append(f"timestamp >= {moment(self.start - LONGEST_ROUND)}")
        if self.end is not None:
            found.append(f"timestamp < {moment(self.end + LONGEST_ROUND)}")
        return "\n        and ".join(found)

    def rounds(self) -> str:
        """Return the conditions on rounds, over the columns every round has."""
        found = ["notEmpty(reached)"]
        if self.project is not None:
            found.append(f"project = {literal(self.project)}")
        if self.client is not None:
            found.append(f"client = {literal(self.client)}")
        if self.run_id is not None:
            found.append(f"run = {literal(self.run_id)}")
        if self.start is not None:
            found.append(f"started_at >= {moment(self.start)}")
        if self.end is not None:
            found.append(f"started_at < {moment(self.end)}")
        return "\n        and ".join(found)

    def day(self, column: str) -> str:
        """Return the HogQL of the calendar day of a time column."""
        if self.timezone is None:
            return f"toDate({column})"
        return f"toDate(toTimeZone({column}, {literal(self.timezone)}))"
