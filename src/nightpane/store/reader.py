"""Reading the store: a few connections whose limits are set, then locked, before first use.

This is the second wall. Read-only mode still lets the engine read files through the scalar function
``file`` and write them with INTO OUTFILE, so no SQL from outside may ever reach ``read``: HogQL is
parsed and printed anew first.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from nightpane.errors import QueryLimitError, StoreError
from nightpane.store.engine import Connection, Engine

__all__ = ["ReadLimits", "ReadPool", "ReadResult"]

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What one query may use. 60 s is PostHog's own limit."""

    max_execution_time_s: float = 60.0
    max_memory_bytes: int = 1024 * _MIB
    max_result_rows: int = 500_000
    max_result_bytes: int = 256 * _MIB
    threads: int = os.cpu_count() or 1
    connections: int = 4
    wait_s: float = 30.0

    def settings(self) -> dict[str, str | int]:
        """Return the limits as ClickHouse settings."""
        return {
            "max_execution_time": str(self.max_execution_time_s),
            "max_memory_usage": self.max_memory_bytes,
            "max_result_rows": self.max_result_rows,
            "max_result_bytes": self.max_result_bytes,
            "result_overflow_mode": "throw",
            "timeout_overflow_mode": "throw",
            "max_threads": self.threads,
            "max_query_size": 8 * _MIB,
            "max_ast_elements": 500_000,
            "max_expanded_ast_elements": 2_000_000,
            "max_rows_in_set": 10_000_000,
            "max_temporary_data_on_disk_size_for_query": 4096 * _MIB,
            "transform_null_in": 1,
            "date_time_output_format": "iso",
            "output_format_json_quote_64bit_integers": 0,
            "output_format_json_quote_denormals": 1,
            "output_format_json_validate_utf8": 1,
            "output_format_json_named_tuples_as_objects": 0,
            "readonly": 1,
        }


@dataclass(frozen=True, slots=True)
class ReadResult:
    """The answer to a query: column names, their ClickHouse types, and the rows.

    Integers are exact whatever their size, ``nan`` and ``inf`` are Python's, dates are ISO 8601
    texts (a time in UTC with ``Z``), decimals are floats, arrays and tuples lists, maps dicts.
    ``is_finite`` tells that no number is ``nan`` or ``inf``; when it is False there may be one.
    """

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    is_finite: bool = False


class ReadPool:
    """Lends read-only connections: as many queries at once as it has, the next one waits."""

    def __init__(self, engine: Engine, limits: ReadLimits) -> None:
        self._engine = engine
        self._limits = limits
        self._settings = limits.settings()
        self._free: queue.LifoQueue[Connection] = queue.LifoQueue()
        self._slots = threading.BoundedSemaphore(limits.connections)
        self._closed = False

    def read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> ReadResult:
        """Return the answer to one SELECT; ``parameters`` fill its ``{name:Type}`` places.

        Raises QueryLimitError when it reaches a limit, or finds no free connection in time, and
        StoreError for anything else the engine refuses.
        """
        return _result(self._lent(lambda it: it.query(sql, parameters=_parameters(parameters))))

    def export(self, sql: str, form: str) -> bytes:
        """Return the answer to one SELECT in one of ClickHouse's formats. Raises as ``read``."""
        return self._lent(lambda it: it.ask(sql, form))

    def _lent(self, use: Callable[[Connection], bytes]) -> bytes:
        if self._closed:
            raise StoreError("the store is closed")
        if not self._slots.acquire(timeout=self._limits.wait_s):
            raise QueryLimitError(
                f"{self._limits.connections} queries are running and none ended within "
                f"{self._limits.wait_s:g} s: try again later"
            )
        try:
            if self._closed:
                raise StoreError("the store is closed")
            try:
                connection = self._free.get_nowait()
            except queue.Empty:
                connection = self._engine.connect(self._settings)
            try:
                return use(connection)
            finally:
                self._free.put(connection)
        finally:
            self._slots.release()

    def close(self) -> None:
        """Wait for running queries and close every connection."""
        self._closed = True
        for _ in range(self._limits.connections):
            self._slots.acquire()
        while not self._free.empty():
            self._free.get_nowait().close()
        for _ in range(self._limits.connections):
            self._slots.release()  # whoever still waits is told that the store is closed


def _parameters(values: Mapping[str, Any] | None) -> dict[str, str] | None:
    return {name: _parameter(value) for name, value in values.items()} if values else None


def _parameter(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str):
        text = value.replace("\\", "\\\\")
        for char, escaped in (("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r"), ("\0", "\\0")):
            text = text.replace(char, escaped)
        return text
    return "\\N" if value is None else str(value)


def _result(raw: bytes) -> ReadResult:
    lines = raw.splitlines()
    if len(lines) < 2:
        return ReadResult([], [], [])
    types: list[str] = orjson.loads(lines[1])
    loads: Callable[[bytes], Any] = orjson.loads
    if any(wide in kind for kind in types for wide in ("Int128", "Int256")):
        loads = json.loads  # orjson knows 64 bits
    rows = [loads(line) for line in lines[2:]]
    is_finite = b'nan"' not in raw and b'inf"' not in raw
    for at, kind in enumerate(types):
        if "Float" in kind and not is_finite:
            _restore_floats(rows, at)
    return ReadResult(orjson.loads(lines[0]), types, rows, is_finite)


def _restore_floats(rows: list[list[Any]], at: int) -> None:
    """Turn the texts nan and inf, which JSON has no numbers for, back into floats."""
    for row in rows:
        value = row[at]
        if type(value) is str:
            row[at] = _float(value)
        elif type(value) is list:
            row[at] = [_float(item) if type(item) is str else item for item in value]


def _float(text: str) -> Any:
    return float(text) if text in ("nan", "-nan", "inf", "-inf") else text
