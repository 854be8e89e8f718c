"""What can stand in FROM: the stored tables, subqueries, numbers; and the columns each one gives.

A relation knows how to read its columns and remembers which lazily joined tables were asked for, so
that a join that nobody needs is never printed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nightpane.errors import HogQLError
from nightpane.hogql.literals import identifier, string
from nightpane.hogql.nodes import Node
from nightpane.hogql.properties import event_property, inside, text_property
from nightpane.hogql.schema import (
    EVENT_COLUMNS,
    EVENT_STAR,
    PERSON_COLUMNS,
    SESSION_COLUMNS,
    SESSION_STAR,
    event_column,
    persons_sql,
    sessions_sql,
)
from nightpane.hogql.state import Expr, State
from nightpane.hogql.types import STRING, Type

__all__ = ["Events", "Numbers", "Persons", "Relation", "Sessions", "Subquery", "access", "suggest"]

Keys = list[str | int]
_LONGEST_NAME = 60  # comparing names takes the square of their length


class Relation(Protocol):
    """One source of rows. ``name`` is what the query calls it, ``table`` what it is printed as."""

    name: str
    table: str

    def has(self, column: str) -> bool:
        """Tell whether it has a column (or a table joined to it) of this name."""
        ...

    def read(self, state: State, keys: Keys, node: Node) -> Expr:
        """Return a column, or what lies inside it. Raises HogQLError when it is not there."""
        ...

    def star(self) -> Iterable[str]:
        """Return the columns ``*`` stands for."""
        ...

    def sql(self, state: State) -> str:
        """Return it as it stands in FROM, once everything else is translated."""
        ...

    def joins(self, state: State) -> str:
        """Return the joins of the tables it was asked for."""
        ...


@dataclass(slots=True)
class Events:
    """The events, with the person and the session each belongs to."""

    name: str
    table: str
    person_overrides: bool = False
    _people: set[str] = field(default_factory=set)
    _sessions: set[str] = field(default_factory=set)
    _person: str = ""
    _session: str = ""
    _override: str = ""

    def has(self, column: str) -> bool:
        return column in EVENT_COLUMNS or column in ("person", "session", "pdi", "poe")

    def star(self) -> Iterable[str]:
        return EVENT_STAR

    def read(self, state: State, keys: Keys, node: Node) -> Expr:
        head, rest = str(keys[0]), keys[1:]
        if head == "properties" and rest:
            return event_property(state, self.table, rest, node)
        if head in ("person", "poe", "pdi"):
            return self._read_person(state, head, rest, node)
        if head == "session":
            return self._read_session(state, rest, node)
        if head == "person_id":
            return access(state, self._person_id(state), rest, node)
        column = event_column(state, self.table, head)
        if column is None:
            raise missing(head, (*EVENT_COLUMNS, "person", "session"), node)
        return access(state, column, rest, node)

    def _person_id(self, state: State) -> Expr:
        column = event_column(state, self.table, "person_id")
        assert column is not None  # noqa: S101 (told to the type checker)
        if not self.person_overrides:
            return column
        self._override = self._override or state.fresh()
        moved = f"{self._override}.person_id"
        return Expr(f"ifNull({moved}, {column.sql})", column.type)

    def _read_person(self, state: State, head: str, rest: Keys, node: Node) -> Expr:
        if not rest:
            raise node.error(f"Can't select a table when a column is expected: {head}")
        name = str(rest[0])
        if name in ("id", "person_id"):
            return access(state, self._person_id(state), rest[1:], node)
        if head == "pdi" and name == "distinct_id":
            return self.read(state, ["distinct_id", *rest[1:]], node)
        if head == "pdi" and name == "person" and len(rest) > 1:
            return self._read_person(state, "person", rest[1:], node)
        if name not in PERSON_COLUMNS:
            raise missing(name, PERSON_COLUMNS, node)
        self._person = self._person or state.fresh()
        self._people.add(name)
        kind = PERSON_COLUMNS[name].null()
        return access(state, _timed(state, f"{self._person}.{name}", kind), rest[1:], node)

    def _read_session(self, state: State, rest: Keys, node: Node) -> Expr:
        if not rest:
            raise node.error("Can't select a table when a column is expected: session")
        name = str(rest[0])
        if name not in SESSION_COLUMNS:
            raise missing(name, SESSION_COLUMNS, node)
        self._session = self._session or state.fresh()
        self._sessions.add(name)
        kind = SESSION_COLUMNS[name][1]
        kind = kind if kind.kind == "array" else kind.null()
        column = f"{self._session}.{identifier(name)}"
        return access(state, _timed(state, column, kind), rest[1:], node)

    def sql(self, state: State) -> str:
        return f"{state.layout.table('events')} AS {self.table}"

    def joins(self, state: State) -> str:
        parts = []
        if self._person:
            person_id = self._person_id(state).sql
        if self._override:
            ids = state.layout.table("person_distinct_ids")
            parts.append(
                " LEFT JOIN (SELECT d.distinct_id AS distinct_id,"  # noqa: S608 (our own names)
                f" toNullable(argMax(d.person_id, d.version)) AS person_id FROM {ids} AS d"
                f" GROUP BY d.distinct_id) AS {self._override}"
                f" ON {self.table}.distinct_id = {self._override}.distinct_id"
            )
        if self._person:
            people = persons_sql(state, self._people)
            parts.append(
                f" LEFT JOIN {people} AS {self._person} ON {person_id} = {self._person}.id"
            )
        if self._session:
            sessions = sessions_sql(state, self._sessions, nullable=True)
            session_id = self.read(state, ["$session_id"], _NOWHERE).sql
            parts.append(
                f" LEFT JOIN {sessions} AS {self._session}"
                f" ON toString(ifNull({session_id}, '')) = {self._session}.session_id"
            )
        return "".join(parts)


@dataclass(slots=True)
class Persons:
    """The persons as they are now."""

    name: str
    table: str
    _used: set[str] = field(default_factory=set)

    def has(self, column: str) -> bool:
        return column in PERSON_COLUMNS

    def star(self) -> Iterable[str]:
        return PERSON_COLUMNS

    def read(self, state: State, keys: Keys, node: Node) -> Expr:
        head = str(keys[0])
        if head not in PERSON_COLUMNS:
            raise missing(head, PERSON_COLUMNS, node)
        self._used.add(head)
        column = _timed(state, f"{self.table}.{head}", PERSON_COLUMNS[head])
        return access(state, column, keys[1:], node)

    def sql(self, state: State) -> str:
        return f"{persons_sql(state, self._used, nullable=False)} AS {self.table}"

    def joins(self, state: State) -> str:  # noqa: ARG002 (the protocol's signature)
        return ""


@dataclass(slots=True)
class Sessions:
    """The sessions, made from the events that carry a ``$session_id``."""

    name: str
    table: str
    _used: set[str] = field(default_factory=set)

    def has(self, column: str) -> bool:
        return column in SESSION_COLUMNS

    def star(self) -> Iterable[str]:
        return SESSION_STAR

    def read(self, state: State, keys: Keys, node: Node) -> Expr:
        head = str(keys[0])
        if head not in SESSION_COLUMNS:
            raise missing(head, SESSION_COLUMNS, node)
        self._used.add(head)
        kind = SESSION_COLUMNS[head][1]
        column = _timed(state, f"{self.table}.{identifier(head)}", kind)
        return access(state, column, keys[1:], node)

    def sql(self, state: State) -> str:
        return f"{sessions_sql(state, self._used, nullable=False)} AS {self.table}"

    def joins(self, state: State) -> str:  # noqa: ARG002 (the protocol's signature)
        return ""


@dataclass(slots=True)
class Subquery:
    """A subquery or a common table expression, with the types of its columns."""

    name: str
    table: str
    text: str
    columns: Mapping[str, Type]

    def has(self, column: str) -> bool:
        return column in self.columns

    def star(self) -> Iterable[str]:
        return self.columns

    def read(self, state: State, keys: Keys, node: Node) -> Expr:
        head = str(keys[0])
        if head not in self.columns:
            raise missing(head, self.columns, node)
        kind = self.columns[head]
        column = Expr(f"{self.table}.{identifier(head)}", kind, text=kind.text)
        return access(state, column, keys[1:], node)

    def sql(self, state: State) -> str:  # noqa: ARG002 (the protocol's signature)
        return f"({self.text}) AS {self.table}"

    def joins(self, state: State) -> str:  # noqa: ARG002 (the protocol's signature)
        return ""


@dataclass(slots=True)
class Numbers:
    """Whole numbers in a row, for filling gaps in time."""

    name: str
    table: str
    first: int
    count: int

    def has(self, column: str) -> bool:
        return column == "number"

    def star(self) -> Iterable[str]:
        return ("number",)

    def read(self, state: State, keys: Keys, node: Node) -> Expr:
        if keys[0] != "number":
            raise missing(str(keys[0]), ("number",), node)
        return access(state, Expr(f"{self.table}.number", Type("int")), keys[1:], node)

    def sql(self, state: State) -> str:  # noqa: ARG002 (the protocol's signature)
        return f"numbers({self.first}, {self.count}) AS {self.table}"

    def joins(self, state: State) -> str:  # noqa: ARG002 (the protocol's signature)
        return ""


def access(state: State, value: Expr, keys: Keys, node: Node) -> Expr:
    """Return what lies at ``keys`` inside a value: a property, an element, a key."""
    while keys:
        kind = value.type
        if kind.document == "event" or kind.document == "person":
            document = f"ifNull({value.sql}, '')" if kind.nullable else value.sql
            return text_property(state, document, keys, node)
        if kind.kind == "string" or value.text:
            return inside(value, keys, node)
        key, keys = keys[0], keys[1:]
        if kind.kind == "map":
            value = Expr(f"arrayElement({value.sql}, {_key(key)})", Type("any", nullable=True))
        elif kind.kind in ("tuple", "any"):
            value = Expr(f"tupleElement({value.sql}, {_key(key)})", Type("any", nullable=True))
        else:
            raise node.error(f"Can not access property {str(key)!r} of a {kind.kind}")
    return value


def missing(name: str, there: Iterable[str], node: Node) -> HogQLError:
    """Return the error for a column that is not there."""
    return node.error(f"Field not found: {name}{suggest(name, there)}")


def suggest(name: str, there: Iterable[str]) -> str:
    """Return a hint at the nearest names, empty when none is near."""
    if len(name) > _LONGEST_NAME:
        return ""
    near = difflib.get_close_matches(name, list(there), n=2, cutoff=0.7)
    return f". Perhaps you meant {' or '.join(repr(word) for word in near)}?" if near else ""


def _timed(state: State, sql: str, kind: Type) -> Expr:
    if kind.kind == "datetime" and state.timezone != "UTC":
        return Expr(f"toTimeZone({sql}, {string(state.timezone)})", kind)
    return Expr(sql, kind, text=kind == STRING.null())


def _key(key: str | int) -> str:
    return str(key) if isinstance(key, int) else string(key)


_NOWHERE = Node()
