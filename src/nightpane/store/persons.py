"""Persons: who a distinct id belongs to, and what is known about them.

A distinct id's person is a fixed UUID until two are merged; then ``person_distinct_ids`` says where
the id went, and its rows override the ``person_id`` of events stored before. Groups are not kept:
``$groupidentify`` is stored as an event and no more.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from nightpane.store.engine import Connection, quote
from nightpane.store.events import StoredEvent, person_uuid
from nightpane.store.json_text import dumps, loads
from nightpane.store.schema import DATABASE, PERSON_EVENTS

__all__ = ["PersonChange", "Persons"]

_CACHED = 20_000
_MERGES = {
    "$identify": "$anon_distinct_id",
    "$create_alias": "alias",
    "$merge_dangerously": "alias",
}


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What one event asks for: that the person exists, properties, and perhaps a merge."""

    distinct_id: str
    at: datetime
    set_always: Mapping[str, Any]
    set_once: Mapping[str, Any]
    unset: Sequence[str]
    other: str | None
    identifies: bool
    dangerously: bool


@dataclass(frozen=True, slots=True)
class _Person:
    id: str
    properties: Mapping[str, Any]
    created_at: str
    is_identified: bool


class Persons:
    """The persons of the store. ``change`` may be called anywhere, the rest by the writer only."""

    def __init__(self) -> None:
        self.overrides: dict[str, str] = {}
        self._known: set[str] = set()
        self._cache: OrderedDict[str, _Person | None] = OrderedDict()

    def load(self, connection: Connection) -> None:
        """Take in the merges of earlier runs."""
        answer = connection.ask(
            f"SELECT distinct_id, person_id FROM {DATABASE}.person_distinct_ids FINAL",  # noqa: S608
            "JSONCompactEachRow",
        )
        self.overrides.update(orjson.loads(line) for line in answer.splitlines())

    def person_id(self, distinct_id: str) -> str:
        """Return the person a distinct id belongs to now."""
        return self.overrides.get(distinct_id) or person_uuid(distinct_id)

    def change(self, event: StoredEvent) -> PersonChange | None:
        """Return what an event asks for, None when there is nothing to do."""
        if not event.process_person:
            return None
        properties = event.properties
        merge = event.event in PERSON_EVENTS
        if not (
            merge or "$set" in properties or "$set_once" in properties or "$unset" in properties
        ):
            if event.distinct_id in self._known:
                return None
            return PersonChange(event.distinct_id, event.timestamp, {}, {}, (), None, False, False)
        named_by = _MERGES.get(event.event)
        other = properties.get(named_by) if named_by else None
        return PersonChange(
            distinct_id=event.distinct_id,
            at=event.timestamp,
            set_always=_mapping(properties.get("$set")),
            set_once=_mapping(properties.get("$set_once")),
            unset=_names(properties.get("$unset")),
            other=str(other) if isinstance(other, str | int) and other else None,
            identifies=event.event in _MERGES,
            dangerously=event.event == "$merge_dangerously",
        )

    def apply(self, connection: Connection, changes: Sequence[PersonChange]) -> None:
        """Make the changes, in order, durable. Raises StoreError; then they can be made again."""
        if not changes:
            return
        self._fetch(connection, changes)
        changed: dict[str, _Person] = {}
        moved: dict[str, str] = {}
        gone: set[str] = set()
        try:
            for change in changes:
                self._one(change, changed, moved, gone)
            _write(connection, changed, moved, gone)
        except BaseException:
            # What is in memory may now be ahead of the disk: read it afresh next time.
            self._cache.clear()
            for distinct_id in moved:
                self.overrides.pop(distinct_id, None)
            raise
        if len(self._known) > _CACHED * 5:
            self._known = set()
        self._known.update(change.distinct_id for change in changes)
        while len(self._cache) > _CACHED:
            self._cache.popitem(last=False)

    def _one(
        self,
        change: PersonChange,
        changed: dict[str, _Person],
        moved: dict[str, str],
        gone: set[str],
    ) -> None:
        if change.other and change.other != change.distinct_id:
            self._merge(change, change.other, changed, moved, gone)
        person_id = self.person_id(change.distinct_id)
        before = self._cache.get(person_id)
        person = before or _Person(person_id, {}, _moment(change.at), False)
        properties = {**change.set_once, **person.properties, **change.set_always}
        for name in change.unset:
            properties.pop(name, None)
        person = replace(
            person,
            properties=properties,
            is_identified=person.is_identified or change.identifies,
            created_at=min(person.created_at, _moment(change.at)),
        )
        if person != before:
            self._cache[person_id] = changed[person_id] = person

    def _merge(
        self,
        change: PersonChange,
        other: str,
        changed: dict[str, _Person],
        moved: dict[str, str],
        gone: set[str],
    ) -> None:
        """Join two distinct ids into one person, as PostHog does.

        The id without a person joins the one that has one. When both have one, the other's goes
        into this one's, unless the other is identified already: only $merge_dangerously does that.
        """
        mine, theirs = self.person_id(change.distinct_id), self.person_id(other)
        if mine == theirs:
            return
        source, target = self._cache.get(theirs), self._cache.get(mine)
        if source is None:
            self.overrides[other] = moved[other] = mine
        elif target is None:
            self.overrides[change.distinct_id] = moved[change.distinct_id] = theirs
        elif not source.is_identified or change.dangerously:
            for distinct_id in [*(d for d, p in self.overrides.items() if p == theirs), other]:
                self.overrides[distinct_id] = moved[distinct_id] = mine
            joined = replace(
                target,
                properties={**source.properties, **target.properties},
                created_at=min(source.created_at, target.created_at),
            )
            self._cache[mine] = changed[mine] = joined
            self._cache[theirs] = None
            changed.pop(theirs, None)
            gone.add(theirs)

    def _fetch(self, connection: Connection, changes: Iterable[PersonChange]) -> None:
        ids = {self.person_id(change.distinct_id) for change in changes}
        ids |= {self.person_id(change.other) for change in changes if change.other}
        missing = [person_id for person_id in ids if person_id not in self._cache]
        if not missing:
            return
        listed = ", ".join(quote(person_id) for person_id in missing)
        answer = connection.ask(
            "SELECT id, properties, created_at, is_identified "  # noqa: S608
            f"FROM {DATABASE}.persons FINAL WHERE id IN ({listed})",
            "JSONCompactEachRow",
        )
        self._cache.update(dict.fromkeys(missing))
        for line in answer.splitlines():
            person_id, properties, created_at, is_identified = orjson.loads(line)
            self._cache[person_id] = _Person(
                person_id, loads(properties.encode()), created_at, bool(is_identified)
            )


def _write(
    connection: Connection,
    changed: Mapping[str, _Person],
    moved: Mapping[str, str],
    gone: Iterable[str],
) -> None:
    version = time.time_ns()
    if changed:
        rows = [
            {
                "id": person.id,
                "properties": dumps(person.properties),
                "created_at": person.created_at,
                "is_identified": int(person.is_identified),
                "version": version,
            }
            for person in changed.values()
        ]
        connection.insert(f"{DATABASE}.persons", _lines(rows), "async_insert = 0")
    if moved:
        rows = [{"distinct_id": d, "person_id": p, "version": version} for d, p in moved.items()]
        connection.insert(f"{DATABASE}.person_distinct_ids", _lines(rows), "async_insert = 0")
    if listed := ", ".join(quote(person_id) for person_id in gone):
        connection.ask(f"DELETE FROM {DATABASE}.persons WHERE id IN ({listed})", "Null")  # noqa: S608


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return b"\n".join(orjson.dumps(row) for row in rows)


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _names(value: Any) -> list[str]:
    return (
        [name for name in value if isinstance(name, str)] if isinstance(value, list | dict) else []
    )
