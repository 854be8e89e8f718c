"""chDB, ClickHouse in this process: opening it, asking it, and telling its errors apart.

A process can open one path only and must not fork afterwards. The engine's caches are kept small,
since it shares a laptop with the loops it watches.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nightpane.errors import MissingExtraError, QueryLimitError, StoreError

__all__ = ["Connection", "Engine", "quote"]

_MIB = 1024 * 1024
SERVER_SETTINGS: Mapping[str, int] = {
    "max_server_memory_usage": 3072 * _MIB,
    "mark_cache_size": 128 * _MIB,
    "index_mark_cache_size": 16 * _MIB,
    "primary_index_cache_size": 128 * _MIB,
    "uncompressed_cache_size": 0,
    "query_condition_cache_size": 16 * _MIB,
}

_CODE = re.compile(r"Code: (\d+)\.")
# TIMEOUT_EXCEEDED, MEMORY_LIMIT_EXCEEDED, TOO_MANY_ROWS, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES,
# TOO_SLOW, SET_SIZE_LIMIT_EXCEEDED, QUERY_WAS_CANCELLED, TOO_DEEP_RECURSION, TOO_BIG_AST,
# TOO_DEEP_AST, TOO_LARGE_ARRAY_SIZE, TOO_LARGE_STRING_SIZE
_LIMITS = {159, 241, 158, 307, 396, 160, 191, 394, 306, 168, 167, 128, 131}


class Engine:
    """The engine, opened on one folder. Only its owner (the Store) holds one."""

    def __init__(self, path: Path) -> None:
        try:
            session: Any = importlib.import_module("chdb.session")  # untyped
        except ImportError as error:
            raise MissingExtraError("server") from error
        self._session = session
        arguments = "&".join(f"{name}={value}" for name, value in SERVER_SETTINGS.items())
        self._address = f"{path}?{arguments}"
        try:
            # Held open for the engine's whole life: it ends with its last connection.
            self._anchor = session.Session(self._address)
        except Exception as error:  # chDB raises bare RuntimeErrors
            raise StoreError(f"the store in {path} cannot be opened: {_message(error)}") from error

    def connect(self, settings: Mapping[str, str | int] | None = None) -> Connection:
        """Return a new connection with these settings; ``readonly`` among them is set last."""
        return Connection(self, dict(settings or {}))

    def new_session(self) -> Any:
        """Return a bare chDB session on the engine's folder."""
        return self._session.Session(self._address)

    def close(self) -> None:
        """Close the engine. Every connection must be closed before."""
        self._anchor.close()


class Connection:
    """One connection: one statement at a time, and a clean slate after an error.

    After a failed statement chDB leaves what it had already printed in the connection's buffer, to
    appear before the next answer; so a connection that failed is replaced.
    """

    def __init__(self, engine: Engine, settings: dict[str, str | int]) -> None:
        self._engine = engine
        self._settings = settings
        self._lock = threading.Lock()
        self._session: Any = None
        self._open()

    def query(self, sql: str, *, parameters: Mapping[str, str] | None = None) -> bytes:
        """Return the answer to one statement in JSONCompactEachRowWithNamesAndTypes.

        Raises QueryLimitError when a limit stopped it and StoreError for anything else.
        """
        return self.ask(sql, "JSONCompactEachRowWithNamesAndTypes", parameters)

    def ask(self, sql: str, form: str, parameters: Mapping[str, str] | None = None) -> bytes:
        """Return the answer to one statement in a format. Raises as ``query`` does."""
        with self._lock:
            try:
                answer = self._session.query(sql, form, params=parameters)
                return bytes(answer.bytes() or b"") if answer is not None else b""
            except Exception as error:  # chDB raises bare RuntimeErrors
                self._open()
                raise _error(error) from error

    def chunks(self, sql: str, form: str) -> Iterator[bytes]:
        """Yield the answer to one statement piece by piece, each made of whole rows."""
        with self._lock:
            try:
                with self._session.send_query(sql, form) as stream:
                    for chunk in stream:
                        yield bytes(chunk.bytes())
            except Exception as error:  # chDB raises bare RuntimeErrors
                self._open()
                raise _error(error) from error

    def insert(self, table: str, rows: bytes, settings: str) -> None:
        """Insert rows given as JSONEachRow; they are on disk when it returns.

        Raises StoreError when any row is refused; then none of them is stored by this call.
        """
        with self._lock:
            try:
                stream = self._session.send_insert(
                    f"INSERT INTO {table} SETTINGS {settings}", "JSONEachRow"
                )
                with stream:
                    stream.append(rows)
                    stream.finish()
            except Exception as error:  # chDB raises bare RuntimeErrors
                self._open()
                raise _error(error) from error

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None

    def _open(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = self._engine.new_session()
        readonly = self._settings.get("readonly")
        others = {name: value for name, value in self._settings.items() if name != "readonly"}
        if others:
            self._session.query("SET " + ", ".join(f"{k} = {quote(v)}" for k, v in others.items()))
        if readonly is not None:
            self._session.query(f"SET readonly = {quote(readonly)}")


def quote(value: str | int) -> str:
    """Return a value as a ClickHouse literal."""
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _error(error: Exception) -> StoreError:
    message = _message(error)
    code = _CODE.search(message)
    if code and int(code.group(1)) in _LIMITS:
        return QueryLimitError(message)
    return StoreError(message)


def _message(error: Exception) -> str:
    return str(error).replace("DB::Exception: ", "").strip()
