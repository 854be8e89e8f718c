"""Turns whatever a loop hands over into plain JSON values, and masks what its key calls a secret.

It must never raise, never run long on a hostile value, and never drop one without a note.
"""

from __future__ import annotations

import dataclasses
import enum
import os
import uuid
from collections import deque
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from nightpane.client.parts import seams
from nightpane.client.redact import KEEP, KeyMask

__all__ = ["Plain", "without_surrogates"]

_MAX_DEPTH = 48
_MAX_NODES = 100_000
_MAX_ARRAY = 10_000
_SECRET_CHARS = 10
_MAX_HEADER_CHARS = 60
_SIMPLE = frozenset({str, int, float, bool, type(None)})
_INT_LIMIT = 1 << 1023
_LISTS = (list, tuple, set, frozenset, deque)


class Plain:
    """Converts the values of one event.

    ``notes`` collects what could not be kept as it was, ``texts`` every text that is long enough to
    hold a secret. More than ``max_nodes`` values are cut.
    """

    __slots__ = ("_above", "_mask", "_max_nodes", "_nodes", "notes", "texts")

    def __init__(self, mask: KeyMask, notes: list[str], max_nodes: int = _MAX_NODES) -> None:
        self._mask = mask
        self._max_nodes = max_nodes
        self.texts: list[str] = []
        self._above: set[int] = set()
        self._nodes = 0
        self.notes = notes

    def mapping(self, source: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
        """Return a new dictionary of plain values."""
        items = dict(source)
        self._nodes += len(items)
        if "value" in items and len(items) < 6:
            items["value"] = self._named(items.get("name", items.get("key")), items["value"])
        if items.keys() <= self._mask.clean and self._is_plain(items):
            return items
        return dict([self._entry(key, value, depth) for key, value in items.items()])

    def _is_plain(self, items: dict[Any, Any]) -> bool:
        """Tell whether nothing needs a closer look: the usual event, and the quick way."""
        kinds = set(map(type, items.values()))
        if not kinds <= _SIMPLE:
            return False
        if float in kinds or int in kinds:
            for value in items.values():
                kind = type(value)
                if kind is float and value - value != 0.0:
                    return False
                if kind is int and not -_INT_LIMIT < value < _INT_LIMIT:
                    return False
        self.texts += [value for value in items.values() if type(value) is str]
        return True

    def _entry(self, key: Any, value: Any, depth: int) -> tuple[str, Any]:
        name = key if type(key) is str else self._key(key)
        if name not in self._mask.clean:
            masked = self._mask(name, value)
            if masked is not KEEP:
                return name, masked
            self.texts.append(name)
        return name, self.value(value, name, depth + 1)

    def value(self, value: Any, name: str, depth: int = 0) -> Any:
        """Return a plain value; ``name`` is said in notes."""
        kind = type(value)
        if kind is str:
            # What most values are, without the questions that follow.
            self._nodes += 1
            if len(value) >= _SECRET_CHARS:
                self.texts.append(value)
            return value
        try:
            if kind is dict or kind is list:
                self._nodes += 1
                return self._container(value, name, depth)
            return self._value(value, name, depth)
        except Exception as error:  # noqa: BLE001 (a value's own code may raise anything)
            self._note(name, f"a {_type_name(value)} could not be read ({type(error).__name__})")
            return None

    def _value(self, value: Any, name: str, depth: int) -> Any:
        self._nodes += 1
        if value is None or isinstance(value, bool):
            return value if type(value) is bool else None
        if isinstance(value, enum.Enum):
            return self.value(value.value, name, depth + 1)
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, int):
            return self._int(int.__int__(value), name)
        if isinstance(value, float):
            return self._float(float.__float__(value), name)
        if isinstance(value, Mapping | list | tuple | set | frozenset | deque):
            return self._container(value, name, depth)
        return self._other(value, name, depth)

    def _container(self, value: Any, name: str, depth: int) -> Any:
        if id(value) in self._above:
            self._note(name, "it contains itself: cut there")
            return None
        if depth > _MAX_DEPTH:
            self._note(name, f"it is nested more than {_MAX_DEPTH} deep: cut there")
            return None
        if self._nodes > self._max_nodes:
            self._note(name, f"the event holds more than {self._max_nodes} values: cut there")
            return None
        self._above.add(id(value))
        try:
            if type(value) is dict or isinstance(value, Mapping):
                return self.mapping(value, depth)
            return self._list(value, name, depth)
        finally:
            self._above.discard(id(value))

    def _list(self, value: Any, name: str, depth: int) -> list[Any]:
        items = list(value)
        if isinstance(value, set | frozenset):
            items.sort(key=str)
        if self._nodes + len(items) > self._max_nodes:
            kept = max(0, self._max_nodes - self._nodes)
            self._note(name, f"its {len(items)} items are too many: cut after {kept}")
            items = items[:kept]
        plain = [self.value(item, name, depth + 1) for item in items]
        if len(plain) > 1:
            if len(plain) == 2:
                plain[1] = self._named(*plain)
            self.texts.append(seams(plain))
        return plain

    def _named(self, name: Any, value: Any) -> Any:
        """Return the value of a pair of name and value, as headers are written in lists."""
        if type(name) is not str or type(value) is not str or len(name) > _MAX_HEADER_CHARS:
            return value
        masked = self._mask(name, value)
        return value if masked is KEEP else masked

    def _other(self, value: Any, name: str, depth: int) -> Any:
        if isinstance(value, datetime | date | time):
            return self._text(value.isoformat())
        if isinstance(value, timedelta):
            return value.total_seconds()
        if isinstance(value, Decimal):
            return self._float(float(value), name)
        if isinstance(value, uuid.UUID):
            return self._text(str(value))
        if isinstance(value, os.PathLike):
            return self.value(os.fspath(value), name, depth + 1)
        if isinstance(value, bytes | bytearray | memoryview):
            return self._bytes(bytes(value), name)
        if isinstance(value, type):
            return value.__qualname__
        if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            return self._container({f.name: getattr(value, f.name) for f in fields}, name, depth)
        if callable(dump := getattr(value, "model_dump", None)):
            return self.value(dump(), name, depth + 1)
        if callable(getattr(value, "tolist", None)):
            return self._array(value, name, depth)
        return self._text(str(value))

    def _text(self, text: str) -> str:
        if len(text) >= _SECRET_CHARS:
            self.texts.append(text)
        return text

    def _array(self, value: Any, name: str, depth: int) -> Any:
        # numpy, torch and jax scalars and arrays, without importing any of them.
        size = value.numel() if callable(getattr(value, "numel", None)) else value.size
        if int(size) > _MAX_ARRAY:
            self._note(name, f"an array of {int(size)} values is too large: left out")
            return None
        return self.value(value.tolist(), name, depth + 1)

    def _int(self, value: int, name: str) -> int | str:
        if -_INT_LIMIT < value < _INT_LIMIT:
            return value
        self._note(name, f"an integer of {value.bit_length()} bits is sent as hexadecimal text")
        return hex(value)

    def _float(self, value: float, name: str) -> float | None:
        if value - value == 0.0:
            return value
        self._note(name, f"{value} is no number in JSON: sent as null")
        return None

    def _bytes(self, value: bytes, name: str) -> str:
        try:
            return self._text(value.decode("utf-8"))
        except UnicodeDecodeError:
            self._note(name, f"{len(value)} bytes are not UTF-8: sent with replacements")
            return self._text(value.decode("utf-8", "replace"))

    def _key(self, key: Any) -> str:
        text = self.value(key, "a key")
        return text if type(text) is str else str(text)

    def _note(self, name: str, what: str) -> None:
        if len(self.notes) < 20:
            self.notes.append(f"{name[:200]}: {what}")


def without_surrogates(value: Any) -> Any:
    """Return a plain value whose texts can be encoded: a lone surrogate becomes U+FFFD."""
    if type(value) is str:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    if type(value) is list:
        return [without_surrogates(item) for item in value]
    return value


def _type_name(value: Any) -> str:
    return type(value).__qualname__[:80]
