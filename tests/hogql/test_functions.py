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
    r"file|url\(|^url$|^s3|remote|cluster|hdfs|azure|mysql|postgres|mongo|redis|jdbc|odbc|sqlite"
    r"|^dict|joinGet|setting|macro|server|port$|host|fqdn|version|user|database|uptime|sleep"
    r"|evalml|catboost|initializeAggregation|finalizeAggregation|runningAccumulate|address|symbol"
    r"|demangle|block(Number|Size)|throwIf|executable|certificate|kernel|buildId|encrypt|decrypt"
    r"|queryID|connection|transaction|zookeeper|hasColumnInTable|fuzz|logTrace|getSize|partition"
    r"|arrayReduce|^view$|^merge$|^input$|generateRandom|structureTo|schema|readWKB|h3|llm|ai[A-Z]",
    re.IGNORECASE,
)
HARMLESS = {"port", "IPv4CIDRToRange", "mapContainsKey", "URLHierarchy", "URLPathHierarchy"}
HARMLESS |= {"hasSubsequence", "hasSubsequenceUTF8", "hasSubsequenceCaseInsensitive"}
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


def test_every_function_can_be_printed_for_the_engine(store: Store) -> None:
    """The engine may dislike the arguments, never the name or the syntax."""
    for name, function in {**SCALARS, **AGGREGATES}.items():
        params = f"({', '.join(['0.5'] * function.least_params)})" if function.least_params else ""
        args = ", ".join(["'1'", "2", "[3]", "4", "5", "6"][: function.least])
        if name in ("toDecimal", "numbers"):
            args = "1, 2"
        try:
            sql = compile_for(store, f"SELECT {name}{params}({args})").sql
        except HogQLError as error:
            assert re.search(r"needs|knows|expects|Unsupported type|scale", error.message), error.message
            continue
        try:
            store.read(sql)
        except StoreError as error:
            assert not re.search(r"\((SYNTAX_ERROR|UNKNOWN_[A-Z_]+)\)", str(error)), (name, error)


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
