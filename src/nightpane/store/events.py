"""The event as the store takes it, and the row it becomes.

Making a row is the dear part of taking an event in, so it happens in the caller's thread, while the
writer waits for the disk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
_FIRST = datetime(1900, 1, 1, tzinfo=UTC)  # what DateTime64(6) holds
_LAST = datetime(2261, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One event to be stored. ``uuid`` is its identity: the store keeps one row of each.

    ``properties`` are plain JSON values. ``process_person=False`` leaves persons alone, as
    ``$process_person_profile: false`` does.
    """

    uuid: str
    event: str
    distinct_id: str
    timestamp: datetime
    properties: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    process_person: bool = True


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
        "properties": dumps(properties),
        "props": cold,
    }
    for name, value in properties.items():
        hot = _HOT.get(name)
        if hot is not None:
            row[hot[0]] = None if value is None else hot[1](value)
        elif value is not None and name not in HEAVY:
            # A float that is no number is null in JSON, and so no value here either.
            text = value if type(value) is str else _raw(value)
            if text != "null" or type(value) is str:
                cold[escape_key(name)] = text
    return Row(bytes.fromhex(event.uuid.replace("-", "")), orjson.dumps(row))


def _time(moment: datetime) -> str:
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    moment = min(max(moment, _FIRST), _LAST)
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")


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


def _reader(kind: str) -> Any:
    if "Float64" in kind:
        return _number
    return _bool if "Bool" in kind else _text


_HOT = {name: (hot_column(name), _reader(kind)) for name, kind in HOT.items()}
