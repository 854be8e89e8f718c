"""The allow-list against the engine: nothing unknown, nothing forbidden, nothing misspelt."""

from __future__ import annotations

import re

import pytest

from nightpane.errors import HogQLError, StoreError
from nightpane.hogql.conversions import CONVERSIONS
from nightpane.hogql.functions import AGGREGATES, SCALARS, WINDOW_ONLY, find
from nightpane.server.hogql_run import compile_for, run_hogql
from nightpane.store import Store

FORBIDDEN = re.compile(
    r"file|^url$|^s3|remote|cluster|hdfs|azure|mysql|postgres|mongo|redis|jdbc|odbc|sqlite"
    r"|^dict|joinGet|setting|macro|server|tcpPort|host(name)?$|fqdn|^version|user|database|uptime"
    r"|sleep|evalml|catboost|initializeAggregation|finalizeAggregation|runningAccumulate|address"
    r"|symbol|demangle|block(Number|Size|SerializedSize)|throwIf|executable|certificate|kernel"
    r"|buildId|^encrypt|^decrypt|queryID|connectionid|transactionid|zookeeper|hasColumnInTable"
    r"|fuzz(Bits|Query|JSON)|logTrace|arrayReduce|^view$|^merge$|^input$|generateRandom"
    r"|structureTo|readWKB|detectCharset|naiveBayes|lemmatize|synonyms|^stem$|^ai[A-Z]|llm",
    re.IGNORECASE,
)
HARMLESS = {"isIPAddressInRange"}
# Names the engine rewrites before it looks them up, so that its list does not have them.
REWRITTEN = {"countDistinct", "sumMap", "minMap", "maxMap"}


def test_every_function_is_one_the_engine_has(store: Store) -> None:
    rows = store.read("SELECT name FROM system.functions").rows
    known = {row[0] for row in rows} | set(CONVERSIONS) | REWRITTEN
    listed = {**SCALARS, **AGGREGATES, **WINDOW_ONLY}
    assert {f.engine for f in listed.values()} - known == set()
    assert len(listed) > 900


def test_nothing_forbidden_is_listed() -> None:
    listed = {**SCALARS, **AGGREGATES, **WINDOW_ONLY}
    names = {f.engine for f in listed.values()} | set(listed)
    assert {name for name in names if FORBIDDEN.search(name)} - HARMLESS == set()


def test_what_is_printed_under_another_name_is_printed_right(store: Store) -> None:
    """The engine may dislike the arguments, never the name or the syntax."""
    for name, function in {**SCALARS, **AGGREGATES}.items():
        if name == function.engine and name not in CONVERSIONS and not function.least_params:
            continue
        params = f"({', '.join(['0.5'] * function.least_params)})" if function.least_params else ""
        args = ", ".join(["'1'", "2", "[3]", "4", "5", "6"][: function.least])
        if name in ("toDecimal", "numbers"):
            args = "1, 2"
        why = _refusal(store, f"SELECT {name}{params}({args})")
        assert not re.search(r"SYNTAX_ERROR|UNKNOWN_|Unsupported function", why), (name, why)


def _refusal(store: Store, query: str) -> str:
    """Return why a query cannot be answered, empty when it can."""
    try:
        store.read(compile_for(store, query).sql)
    except (HogQLError, StoreError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("name", "engine", "least", "most"),
    [
        ("countIf", "countIf", 1, 2),
        ("sumIf", "sumIf", 2, 2),
        ("quantileIf", "quantileIf", 2, 2),
        ("argMaxIf", "argMaxIf", 3, 3),
        ("groupArrayIf", "groupArrayIf", 2, 2),
        ("sumForEach", "sumForEach", 1, 1),
        ("avgOrNull", "avgOrNull", 1, 1),
        ("uniqExactArrayIf", "uniqExactArrayIf", 2, None),
    ],
)
def test_combinators(name: str, engine: str, least: int, most: int | None) -> None:
    function = find(name)
    assert function is not None
    assert function.aggregate
    assert (function.engine, function.least, function.most) == (engine, least, most)


def test_names_are_case_sensitive_but_for_those_sql_writes_in_capitals(store: Store) -> None:
    query = "SELECT COUNT(*), SUM(number), COALESCE(null, 1), NOW() IS NULL FROM numbers(3)"
    assert run_hogql(store, query)["results"] == [[3, 3, 1, 0]]
    with pytest.raises(HogQLError, match="Perhaps you meant 'toString"):
        compile_for(store, "SELECT tostring(1)")
