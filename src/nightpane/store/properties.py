"""What type each property has: PostHog's property definitions, which decide how HogQL reads it.

The catalogue's properties are known beforehand; for any other, the first value seen decides.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import orjson

from nightpane.errors import StoreError
from nightpane.store.engine import Connection
from nightpane.store.schema import DATABASE

__all__ = ["PropertyTypes"]

_MOST = 20_000  # so that keys made of data cannot fill the memory
_EXACT = 2**53
_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?\s?(Z|[+-]\d{2}:?\d{2})?)?"
)


class PropertyTypes:
    """The definitions: Numeric, Boolean, DateTime or String by property name.

    ``learn`` may be called from any thread; ``save`` only from the writer's.
    """

    def __init__(self, seeds: Mapping[str, str]) -> None:
        self._seeds = frozenset(seeds)
        self._types: dict[str, str] = dict(seeds)
        self._unsaved: dict[str, str] = {}
        self._lock = threading.Lock()
        self.view: Mapping[str, str] = MappingProxyType(self._types)

    def load(self, connection: Connection) -> None:
        """Take in what earlier runs learned; the catalogue's own types stay."""
        answer = connection.ask(
            f"SELECT name, property_type FROM {DATABASE}.property_definitions FINAL",  # noqa: S608
            "JSONCompactEachRow",
        )
        for line in answer.splitlines():
            name, kind = orjson.loads(line)
            if name not in self._seeds:
                self._types[name] = kind

    def learn(self, properties: Mapping[str, Any]) -> None:
        """Define the properties not seen before; an integer beyond 2**53 makes its own a String."""
        types = self._types
        for name, value in properties.items():
            known = types.get(name)
            if known is None:
                kind = _kind(value)
                if kind is not None and len(types) < _MOST:
                    self._define(name, kind)
            elif (
                known == "Numeric"
                and type(value) is int
                and abs(value) > _EXACT
                and name not in self._seeds
            ):
                self._define(name, "String")

    def _define(self, name: str, kind: str) -> None:
        with self._lock:
            self._types[name] = self._unsaved[name] = kind

    def save(self, connection: Connection) -> None:
        """Write down what was learned since the last time. Raises StoreError."""
        with self._lock:
            taken, self._unsaved = self._unsaved, {}
        if not taken:
            return
        version = time.time_ns()
        rows: Iterable[bytes] = (
            orjson.dumps({"name": name, "property_type": kind, "version": version})
            for name, kind in taken.items()
        )
        try:
            connection.insert(
                f"{DATABASE}.property_definitions", b"\n".join(rows), "async_insert = 0"
            )
        except StoreError:
            with self._lock:
                self._unsaved = taken | self._unsaved
            raise


def _kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, int):
        return "Numeric" if abs(value) <= _EXACT else "String"
    if isinstance(value, float):
        return "Numeric"
    if isinstance(value, str):
        if value in ("true", "false"):
            return "Boolean"
        return "DateTime" if len(value) <= 40 and _DATE.fullmatch(value) else "String"
    return None
