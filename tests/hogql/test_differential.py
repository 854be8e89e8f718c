"""Random queries against an independent reading of the same data.

Two oracles that share nothing with the compiler: plain Python over the events as they were sent,
and hand-written ClickHouse SQL over the raw ``properties`` text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.hogql.sample import EVENTS

from nightpane.errors import HogQLError, QueryLimitError, StoreError
from nightpane.hogql.functions import AGGREGATES, SCALARS
from nightpane.server.hogql_run import QueryMistakeError, run_hogql
from nightpane.store import Store

Row = dict[str, Any]
ROWS: list[Row] = [
    {**event.properties, "@event": event.event, "@id": event.distinct_id} for event in EVENTS
]


@dataclass(frozen=True)
class Pair:
    """A piece of HogQL and what it means in Python."""

    text: str
    value: Callable[[Row], Any]


def _number(name: str) -> Pair:
    return Pair(f"properties.{name}", lambda row: row.get(name))


def _word(name: str) -> Pair:
    def read(row: Row) -> Any:
        value = row.get(name)
        if value is None or isinstance(value, str):
            return value
        return json.dumps(value, separators=(",", ":"))

    return Pair(f"properties.{name}", read)


NUMBERS = [_number("num"), _number("score"), _number("rare")]
WORDS = [_word("word"), _word("project"), _word("mixed"), _word("nothing")]
WORDS += [Pair("event", lambda row: row["@event"]), Pair("distinct_id", lambda row: row["@id"])]
FLAGS = [Pair(f"properties.{n}", lambda row, n=n: row.get(n)) for n in ("flag", "ok")]
TEXTS = ["a", "b", "", "O'Hara", "100%", "null", "1", "true", "autoagent", "x", "d1", "step.plan"]


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _compare(op: str, left: Pair, right: Any, text: str) -> Pair:
    def test(row: Row) -> bool:
        value = left.value(row)
        if value is None:
            return op == "!="
        found: bool = {
            "=": lambda: value == right,
            "!=": lambda: value != right,
            "<": lambda: value < right,
            "<=": lambda: value <= right,
            ">": lambda: value > right,
            ">=": lambda: value >= right,
        }[op]()
        return found

    return Pair(f"{left.text} {op} {text}", test)


def _two(op: str, left: Pair, right: Pair) -> Pair:
    def test(row: Row) -> bool:
        a, b = left.value(row), right.value(row)
        if a is None or b is None:
            both = a is None and b is None
            return both if op == "=" else (not both and op == "!=")
        return {"=": a == b, "!=": a != b, "<": a < b, ">": a > b}[op]

    return Pair(f"{left.text} {op} {right.text}", test)


def _among(left: Pair, options: list[Any], negated: bool) -> Pair:
    texts = ", ".join("null" if o is None else quoted(o) for o in options)
    word = "NOT IN" if negated else "IN"
    return Pair(
        f"{left.text} {word} ({texts},)", lambda row: (left.value(row) in options) != negated
    )


operators = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
numbers = st.sampled_from([-3, 0, 0.5, 1, 2.5, 10, 1e9])
atoms = st.one_of(
    st.builds(
        lambda op, left, n: _compare(op, left, n, repr(n)),
        operators,
        st.sampled_from(NUMBERS),
        numbers,
    ),
    st.builds(
        lambda op, left, t: _compare(op, left, t, quoted(t)),
        operators,
        st.sampled_from(WORDS),
        st.sampled_from(TEXTS),
    ),
    st.builds(
        lambda op, left, b: _compare(op, left, b, str(b).lower()),
        st.sampled_from(["=", "!="]),
        st.sampled_from(FLAGS),
        st.booleans(),
    ),
    st.builds(
        _two,
        st.sampled_from(["=", "!=", "<", ">"]),
        st.sampled_from(NUMBERS),
        st.sampled_from(NUMBERS),
    ),
    st.builds(
        _two, st.sampled_from(["=", "!=", "<", ">"]), st.sampled_from(WORDS), st.sampled_from(WORDS)
    ),
    st.builds(
        _among,
        st.sampled_from(WORDS),
        st.lists(st.sampled_from([*TEXTS, None]), min_size=1, max_size=3),
        st.booleans(),
    ),
    st.sampled_from([*NUMBERS, *WORDS, *FLAGS]).map(
        lambda p: Pair(f"{p.text} IS NULL", lambda row: p.value(row) is None)
    ),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(
            lambda a, b: Pair(f"({a.text} AND {b.text})", lambda r: a.value(r) and b.value(r)),
            inner,
            inner,
        ),
        st.builds(
            lambda a, b: Pair(f"({a.text} OR {b.text})", lambda r: a.value(r) or b.value(r)),
            inner,
            inner,
        ),
        st.builds(lambda a: Pair(f"NOT ({a.text})", lambda r: not a.value(r)), inner),
        st.builds(
            lambda a, b, c: Pair(
                f"if({a.text}, {b.text}, {c.text})",
                lambda r: b.value(r) if a.value(r) else c.value(r),
            ),
            inner,
            inner,
            inner,
        ),
    ),
    max_leaves=4,
)

Fold = Callable[[list[Row]], Any]


def _numbers_of(pair: Pair, rows: list[Row]) -> list[Any]:
    return [value for row in rows if (value := pair.value(row)) is not None]


def _aggregates(pair: Pair, test: Pair) -> list[tuple[str, Fold]]:
    return [
        ("count()", len),
        (f"countIf({test.text})", lambda rows: sum(1 for row in rows if test.value(row))),
        (f"count({pair.text})", lambda rows: len(_numbers_of(pair, rows))),
        (f"sum({pair.text})", lambda rows: sum(v) if (v := _numbers_of(pair, rows)) else None),
        (f"min({pair.text})", lambda rows: min(_numbers_of(pair, rows), default=None)),
        (f"max(toFloat({pair.text}))", lambda rows: max(_numbers_of(pair, rows), default=None)),
        (f"uniqExact({pair.text})", lambda rows: len(set(_numbers_of(pair, rows)))),
        (
            f"sumIf({pair.text}, {test.text})",
            lambda rows: (
                sum(v)
                if (v := [x for r in rows if test.value(r) and (x := pair.value(r)) is not None])
                else None
            ),
        ),
    ]


def _same(found: Any, expected: Any) -> bool:
    if isinstance(found, float) or isinstance(expected, float):
        if found is None or expected is None:
            return found is expected
        return abs(found - expected) < 1e-6 * max(1.0, abs(expected))
    return bool(found == expected)


# A night's worth is NIGHTPANE_EXAMPLES=5000.
EXAMPLES = int(os.environ.get("NIGHTPANE_EXAMPLES", "15"))
_settings = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_settings
@given(
    where=conditions,
    inner=conditions,
    pair=st.sampled_from(NUMBERS),
    group=st.sampled_from([*WORDS[:5], *FLAGS]),
)
def test_aggregates_are_what_python_makes_of_the_events(
    store: Store, where: Pair, inner: Pair, pair: Pair, group: Pair
) -> None:
    folds = _aggregates(pair, inner)
    listed = ", ".join(text for text, _ in folds)
    query = (
        f"SELECT {group.text} AS g, {listed} FROM events WHERE {where.text} GROUP BY g LIMIT 999"
    )
    groups: dict[Any, list[Row]] = {}
    for row in ROWS:
        if where.value(row):
            groups.setdefault(group.value(row), []).append(row)
    expected = {key: [fold(rows) for _, fold in folds] for key, rows in groups.items()}
    found = {row[0]: row[1:] for row in run_hogql(store, query)["results"]}
    assert set(found) == set(expected), query
    for key, values in expected.items():
        assert all(map(_same, found[key], values)), (query, key, found[key], values)


@_settings
@given(test=conditions, other=conditions)
def test_a_condition_means_the_same_wherever_it_stands(
    store: Store, test: Pair, other: Pair
) -> None:
    """In WHERE, as a column, in a subquery, behind a CTE: one meaning."""
    expected = sum(1 for row in ROWS if test.value(row))
    both = sum(1 for row in ROWS if test.value(row) and not other.value(row))
    query = f"""WITH picked AS (SELECT *, {test.text} AS yes FROM events)
        SELECT (SELECT count() FROM events WHERE {test.text}),
            countIf(yes), sum(if(yes, 1, 0)), countIf({test.text} AND NOT ({other.text}))
        FROM picked"""
    assert run_hogql(store, query)["results"] == [[expected, expected, expected, both]], query


# HogQL, then SQL by hand.
BY_HAND = """
SELECT properties.project AS p, avg(properties.score)
FROM events WHERE event != 'first' GROUP BY p ORDER BY p
---
SELECT nullIf(JSONExtractString(properties, 'project'), '') AS p,
  avg(JSONExtract(properties, 'score', 'Nullable(Float64)'))
FROM nightpane.events WHERE event != 'first' GROUP BY p ORDER BY p
===
SELECT properties.round_id AS r, max(properties.score) - min(properties.score) AS d
FROM events WHERE event != 'first' GROUP BY r HAVING d > 0 ORDER BY r LIMIT 20
---
SELECT JSONExtractString(properties, 'round_id') AS r,
  max(JSONExtract(properties, 'score', 'Nullable(Float64)'))
  - min(JSONExtract(properties, 'score', 'Nullable(Float64)')) AS d
FROM nightpane.events WHERE event != 'first' GROUP BY r HAVING d > 0 ORDER BY r LIMIT 20
===
SELECT timestamp, sum(properties.score) OVER (
  PARTITION BY event ORDER BY timestamp ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s
FROM events WHERE event != 'first' ORDER BY timestamp LIMIT 50
---
SELECT timestamp, sum(JSONExtract(properties, 'score', 'Nullable(Float64)')) OVER (
  PARTITION BY event ORDER BY timestamp ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s
FROM nightpane.events WHERE event != 'first' ORDER BY timestamp LIMIT 50
===
SELECT arrayJoin(arrayMap(x -> x + properties.nested.deep.n::int, [1, 2])) AS v, count()
FROM events WHERE event != 'first' GROUP BY v ORDER BY v LIMIT 20
---
SELECT arrayJoin(arrayMap(x -> x + JSONExtractInt(properties, 'nested', 'deep', 'n'), [1, 2])) AS v,
  count() FROM nightpane.events WHERE event != 'first' GROUP BY v ORDER BY v LIMIT 20
===
SELECT a.distinct_id AS d, count(), countIf(b.event = 'first') FROM events a
LEFT JOIN (SELECT distinct_id, event FROM events WHERE event = 'first') b
  ON a.distinct_id = b.distinct_id GROUP BY d ORDER BY d
---
SELECT a.distinct_id AS d, count(), countIf(b.event = 'first') FROM nightpane.events a
LEFT JOIN (SELECT distinct_id, event FROM nightpane.events WHERE event = 'first') b
  ON a.distinct_id = b.distinct_id GROUP BY d ORDER BY d
"""


@pytest.mark.parametrize("pair", BY_HAND.split("==="))
def test_against_sql_written_by_hand(store: Store, pair: str) -> None:
    query, by_hand = pair.split("---")
    found = run_hogql(store, query)["results"]
    expected = store.read(by_hand).rows
    assert found
    assert len(found) == len(expected)
    for row, other in zip(found, expected, strict=True):
        other = [str(v).replace(".000000Z", "Z") if str(v).endswith("Z") else v for v in other]
        assert all(map(_same, row, other)), (row, other)


leaves = st.sampled_from(
    [
        *("1", "-2.5", "'a'", "null", "true", "[1, 2]", "('a', 1)", "now()", "today()", "{v}"),
        *("event", "timestamp", "uuid", "properties", "properties.num", "properties.mixed"),
        *("properties.flag", "properties.nested.list[1]", "person_id", "$session_id", "*"),
        *("person.properties.email", "session.$session_duration", "INTERVAL 1 DAY", "e.event"),
        *(
            "created_at",
            "properties['a b']",
            "x -> x",
            "(a, b) -> a = b",
            "unknown",
            "'2026-01-01'",
        ),
    ]
)
FUNCTIONS = [name for name in (*SCALARS, *AGGREGATES) if "rand" not in name.lower()]


def _calls(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    args = st.lists(inner, min_size=0, max_size=3).map(", ".join)
    binary = st.sampled_from(
        ["+", "-", "*", "/", "%", "=", "!=", "<", ">=", "AND", "OR", "LIKE", "=~", "??", "||", "IN"]
    )
    return st.one_of(
        st.builds(lambda f, a: f"{f}({a})", st.sampled_from(FUNCTIONS), args),
        st.builds(lambda a, op, b: f"({a} {op} {b})", inner, binary, inner),
        st.builds(lambda a, b, c: f"({a} ? {b} : {c})", inner, inner, inner),
        st.builds(lambda a: f"NOT {a}", inner),
        st.builds(lambda a: f"[{a}]", args),
        st.builds(lambda a, b: f"{a} BETWEEN {b} AND {b}", inner, inner),
        st.builds(lambda a: f"CASE WHEN {a} THEN {a} END", inner),
        st.builds(lambda a: f"count() OVER (PARTITION BY {a})", inner),
        st.builds(lambda a: f"(SELECT {a} FROM events LIMIT 1)", inner),
        st.builds(lambda a: f"{a} IN (SELECT {a} FROM events)", inner),
        st.builds(lambda a: f"toInt({a})::float", inner),
    )


expressions = st.recursive(leaves, _calls, max_leaves=4)


@settings(_settings, max_examples=EXAMPLES * 5)
@given(picked=expressions, where=expressions, order=st.booleans())
def test_whatever_is_printed_is_sql(store: Store, picked: str, where: str, order: bool) -> None:
    """A random query runs, is refused by name, or is a mistake of types: never broken SQL."""
    query = f"SELECT {picked} FROM events e WHERE {where}{' ORDER BY 1' if order else ''} LIMIT 3"
    outcome = _outcome(store, query)
    assert outcome not in ("syntax_error", "unknown_function", "unknown_table"), query
    assert outcome not in ("unknown_identifier", "fault"), query


def _outcome(store: Store, query: str) -> str:
    """Return how a query ended: ran, refused, at a limit, a mistake's code, or a server's fault."""
    try:
        run_hogql(store, query, {"v": "it's"})
    except HogQLError as error:
        return error.code if isinstance(error, QueryMistakeError) else "refused"
    except QueryLimitError:
        return "limit"
    except StoreError:
        return "fault"
    return "ran"
