"""The event as the store takes it, and the row it becomes.

Making a row is the dear part of taking an event in, so it happens in the caller's thread, while the
writer waits for the disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import Any

import orjson

from nightpane.ids import deterministic_uuid
from nightpane.store.json_text import dumps
from nightpane.store.schema import HEAVY, HOT, escape_key, hot_column

__all__ = ["Row", "StoredEvent", "person_uuid", "to_row"]

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_FIRST_YEAR, _LAST_YEAR = 1900, 2261  # what DateTime64(6) surely holds
_FIRST = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
_LAST = datetime(_LAST_YEAR, 12, 31, tzinfo=UTC)
_TIME_CHARS = len("2026-11-23 03:00:00.000000")
_MOST_PLACES = 16_384  # so that keys made of data cannot fill the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One event to be stored. ``uuid`` is its identity: the store keeps one row of each.

    ``properties`` are plain JSON values. ``process_person=False`` leaves persons alone, as
    ``$process_person_profile: false`` does. ``properties_json`` is their JSON text where the caller
    has it already.
    """

    uuid: str
    event: str
    distinct_id: str
    timestamp: datetime
    properties: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    process_person: bool = True
    properties_json: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row ready for the INSERT: its identity and its JSON."""

    key: bytes
    line: bytes


@lru_cache(maxsize=16384)
def person_uuid(distinct_id: str) -> str:
    """Return the person a distinct id belongs to unless it was merged into another."""
    return deterministic_uuid("person", distinct_id)


def to_row(event: StoredEvent, person_id: str) -> Row:
    """Return the row of an event."""
    properties = event.properties
    cold: dict[str, Any] = {}
    row: dict[str, Any] = {
        "uuid": event.uuid,
        "event": event.event,
        "timestamp": _time(event.timestamp),
        "created_at": _arrival(event.created_at),
        "distinct_id": event.distinct_id,
        "person_id": person_id,
        "properties": event.properties_json or dumps(properties),
        "props": cold,
    }
    for name, value in properties.items():
        place = _PLACES.get(name) or _place(name)
        if value is None:
            continue
        if place.hot is not None:
            row[place.column] = place.hot(value)
        elif not place.column:
            continue
        elif type(value) is str:
            cold[place.column] = value
        elif (text := _raw(value)) != "null":  # NaN is null in JSON
            cold[place.column] = text
    return Row(bytes.fromhex(event.uuid.replace("-", "")), orjson.dumps(row))


def _time(moment: datetime) -> str:
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        moment = _FIRST if moment.year < _FIRST_YEAR else _LAST
    return moment.isoformat(" ", "microseconds")[:_TIME_CHARS]


_arrival = lru_cache(maxsize=16)(_time)  # one time of arrival serves a whole batch


def _raw(value: Any) -> str:
    """Return a value's JSON text as it stands in ``properties``."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    return str(value) if type(value) is int else dumps(value)


def _number(value: Any) -> float | None:
    if type(value) is float:
        return value if isfinite(value) else None
    if isinstance(value, bool):
        return None
    if isinstance(value, int) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        try:
            return float(value)
        except OverflowError:
            return None
    return None


def _bool(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value)


def _reader(kind: str) -> Callable[[Any], Any]:
    if "Float64" in kind:
        return _number
    return _bool if "Bool" in kind else _text


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a property goes: a typed column with its reader, a path in ``props``, or nowhere."""

    column: str
    hot: Callable[[Any], Any] | None


_PLACES = {name: _Place(hot_column(name), _reader(kind)) for name, kind in HOT.items()}


def _place(name: str) -> _Place:
    """Return where a property not yet met goes, and remember it."""
    place = _Place("" if name in HEAVY else escape_key(name), None)
    if len(_PLACES) < _MOST_PLACES:
        _PLACES[name] = place
    return place
