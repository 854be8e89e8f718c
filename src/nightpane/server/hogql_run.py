"""Running HogQL on the store: what the query route and the server's own pages have in common.

The answer is PostHog's response to a ``HogQLQuery``. No SQL reaches the store from here but what
the compiler printed.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from nightpane import hogql
from nightpane.errors import HogQLError, StoreError
from nightpane.query import QueryResult
from nightpane.store import Store
from nightpane.store.schema import DATABASE, HEAVY, HOT

__all__ = ["LAYOUT", "InProcessQuery", "QueryMistakeError", "compile_for", "parquet", "run_hogql"]

LAYOUT = hogql.Layout(hot=HOT, heavy=HEAVY, database=DATABASE)

# What ClickHouse calls a mistake in a query, as against a fault of the server. Our own printing
# makes the others (a syntax error, an unknown function) impossible: they stay faults.
_MISTAKES = re.compile(
    r"ILLEGAL_|TYPE_MISMATCH|NO_COMMON_TYPE|CANNOT_|NOT_AN_AGGREGATE|UNKNOWN_IDENTIFIER"
    r"|BAD_ARGUMENTS|NUMBER_OF_|DECIMAL_OVERFLOW|ARGUMENT_OUT_OF_BOUND|SIZES_OF_|INVALID_"
    r"|NOT_IMPLEMENTED|AMBIGUOUS_|UNSUPPORTED_METHOD|_MISMATCH|MULTIPLE_EXPRESSIONS|TOO_LARGE_"
    r"|TOO_FEW_|TOO_MANY_|UNEXPECTED_|VALUE_IS_OUT_OF_RANGE|INCORRECT_|UNKNOWN_TYPE|BAD_|DUPLICATE_"
    r"|ZERO_|EMPTY_|LIMIT_EXCEEDED|PARAMETER_OUT_OF_BOUND|FIRST_AND_NEXT|ATTEMPT_|ALIAS_|EXPECTED_"
)
_PLAIN = frozenset({"Float32", "Float64", "Nullable(Float32)", "Nullable(Float64)"})
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)\s*$")


class QueryMistakeError(HogQLError):
    """The engine found a mistake in the query that only it can see, such as a wrong type."""


def compile_for(
    store: Store,
    query: str,
    values: Mapping[str, Any] | None = None,
    *,
    variables: Mapping[str, Any] | None = None,
    filters: Mapping[str, Any] | None = None,
    timezone: str = "UTC",
) -> hogql.Compiled:
    """Return the statement for a query on this store. Raises HogQLError."""
    return hogql.compile(
        query,
        layout=LAYOUT,
        property_types=store.property_types,
        timezone=timezone,
        values=values,
        variables=variables,
        filters=filters,
        person_overrides=store.has_person_overrides,
    )


def run_hogql(
    store: Store,
    query: str,
    values: Mapping[str, Any] | None = None,
    *,
    variables: Mapping[str, Any] | None = None,
    filters: Mapping[str, Any] | None = None,
    timezone: str = "UTC",
) -> dict[str, Any]:
    """Return PostHog's response to a HogQL query.

    Raises HogQLError for a query that is refused, QueryLimitError for one that reached a limit of
    time, memory or rows, and StoreError when the engine fails.
    """
    started = time.perf_counter()
    compiled = compile_for(
        store, query, values, variables=variables, filters=filters, timezone=timezone
    )
    ready = time.perf_counter()
    try:
        answer = store.read(compiled.sql)
    except StoreError as error:
        name = _NAME.search(str(error))
        if type(error) is StoreError and name and _MISTAKES.search(name.group(1)):
            raise QueryMistakeError(explain(error), code=name.group(1).lower()) from error
        raise
    done = time.perf_counter()
    has_more = not compiled.ties and len(answer.rows) > compiled.limit
    rows = answer.rows[: compiled.limit] if has_more else answer.rows
    _convert(rows, answer.types, timezone, is_finite=answer.is_finite)
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return {
        "results": rows,
        "columns": list(compiled.columns),
        "types": [list(pair) for pair in zip(compiled.columns, answer.types, strict=False)],
        "hogql": query.strip(),
        "clickhouse": compiled.sql,
        "query": query,
        "timings": [
            {"k": "./compile", "t": round(ready - started, 6)},
            {"k": "./clickhouse_execute", "t": round(done - ready, 6)},
            {"k": ".", "t": round(done - started, 6)},
        ],
        "hasMore": has_more,
        "limit": compiled.limit,
        "offset": compiled.offset,
        "error": None,
        "explain": None,
        "metadata": None,
        "modifiers": None,
        "query_status": None,
        "resolved_date_range": None,
        "is_cached": False,
        "cache_key": None,
        "cache_target_age": None,
        "last_refresh": now,
        "next_allowed_client_refresh_time": now,
        "timezone": timezone,
        "calculation_trigger": None,
    }


def parquet(store: Store, query: str) -> bytes:
    """Return the rows of a HogQL query as a Parquet file. Raises as ``run_hogql`` does."""
    compiled = compile_for(store, query)
    # A statement asks for one row more than the limit, to tell whether there are more.
    sql = compiled.sql
    if not compiled.ties:
        sql = f"SELECT * FROM ({sql}) LIMIT {compiled.limit}"  # noqa: S608 (the compiler's text)
    return store.export(sql, "Parquet")


class InProcessQuery:
    """Answers HogQL from the store of this process: what the server's own pages ask."""

    def __init__(self, store: Store, *, timezone: str = "UTC") -> None:
        self._store = store
        self._timezone = timezone

    def hogql(self, query: str, values: Mapping[str, Any] | None = None) -> QueryResult:
        """Return the rows of a HogQL query. Raises as ``run_hogql`` does."""
        return QueryResult.from_response(
            run_hogql(self._store, query, values, timezone=self._timezone)
        )


def explain(error: StoreError) -> str:
    """Return the engine's words for a mistake, without the statement it was found in."""
    text = re.sub(r"^Code: \d+\.\s*", "", str(error))
    text = re.split(r"[:.]? (?:In scope|while executing|While processing|maybe you meant)", text)[0]
    text = _NAME.sub("", text).strip()
    return text if len(text) <= 500 else text[:500] + "…"


def _convert(rows: list[list[Any]], types: list[str], timezone: str, *, is_finite: bool) -> None:
    """Turn the engine's values into the response's, in place."""
    for at, kind in enumerate(types):
        convert: Callable[[Any], Any] | None = None
        if "DateTime" in kind:
            convert = _times(timezone)
        elif kind in _PLAIN:
            if not is_finite:
                _finite_column(rows, at)
        elif "Float" in kind or "Decimal" in kind:
            convert = _finite if "String" in kind else _number
        if convert is not None:
            for row in rows:
                row[at] = convert(row[at])


def _finite_column(rows: list[list[Any]], at: int) -> None:
    """Put None where JSON has no number, in place: ``_number`` for a column of floats alone."""
    for row in rows:
        value = row[at]
        if type(value) is float:
            if not math.isfinite(value):
                row[at] = None
        elif type(value) is str:
            row[at] = None


def _finite(value: Any) -> Any:
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) is list:
        return [_finite(item) for item in value]
    if type(value) is dict:
        return {key: _finite(item) for key, item in value.items()}
    return value


def _number(value: Any) -> Any:
    """Return numbers at any depth, None where JSON has none; the reader leaves some as texts."""
    if type(value) is list:
        return [_number(item) for item in value]
    return None if type(value) is str else _finite(value)


def _times(timezone: str) -> Callable[[Any], Any]:
    zone = None if timezone == "UTC" else ZoneInfo(timezone)

    def convert(value: Any) -> Any:
        if type(value) is str:
            return _time(value, zone)
        if type(value) is list:
            return [convert(item) for item in value]
        if type(value) is dict:
            return {key: convert(item) for key, item in value.items()}
        return _finite(value)

    return convert


_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")


def _time(text: str, zone: ZoneInfo | None) -> str:
    """Return an instant as PostHog writes it: no fraction of zero, the project's offset."""
    found = _ISO.fullmatch(text)
    if found is None:
        return text
    seconds, fraction = found.group(1), found.group(2) or ""
    if not fraction.strip(".0"):
        fraction = ""
    if zone is None:
        return f"{seconds}{fraction}Z"
    local = datetime.fromisoformat(f"{seconds}{fraction[:7]}+00:00").astimezone(zone)
    return local.isoformat()
