"""Query bombs: each is stopped by a limit of time, memory or rows, and the store lives on."""
# ruff: noqa: E501 (one bomb a line)

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from nightpane.errors import HogQLError, QueryLimitError
from nightpane.server.hogql_run import run_hogql
from nightpane.store import ReadLimits, Store

SECONDS = 1.0


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store whose queries may take a second and 200 MiB."""
    limits = ReadLimits(max_execution_time_s=SECONDS, max_memory_bytes=200 * 1024 * 1024)
    with Store.open(tmp_path_factory.mktemp("small"), limits=limits) as opened:
        yield opened


BOMBS = [
    "SELECT count() FROM numbers(1000000) a, numbers(1000000) b, numbers(1000) c",
    "SELECT groupArray(repeat('x', 10000)) FROM numbers(1000000)",
    "SELECT uniqExact(a.number * b.number) FROM numbers(1000000) a CROSS JOIN numbers(1000000) b",
    "SELECT arrayMap(x -> range(10000), range(10000)) FROM numbers(100)",
    "SELECT repeat(repeat('x', 1000000), 100000)",
    "SELECT sum(length(replaceRegexpAll(repeat('a', 100000 + number), '(a*)*b', 'x'))) FROM numbers(100000)",
    "SELECT number FROM numbers(2) ORDER BY number WITH FILL FROM 0 TO 100000000000 LIMIT 50000",
    "SELECT " + "(" * 300 + "1" + ")" * 300,
]


@pytest.mark.parametrize("query", BOMBS)
def test_bombs_are_stopped(small: Store, query: str) -> None:
    started = time.monotonic()
    with pytest.raises((QueryLimitError, HogQLError)):
        run_hogql(small, query)
    assert time.monotonic() - started < 20
    assert run_hogql(small, "SELECT 1")["results"] == [[1]]
