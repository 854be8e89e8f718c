"""One store with events of every kind, for all HogQL tests of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.hogql.sample import EVENTS

from nightpane.server.hogql_run import run_hogql
from nightpane.store import ReadLimits, Store

Ask = Callable[..., list[list[Any]]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store of its own for the module: a process can have one open at a time."""
    limits = ReadLimits(max_execution_time_s=5, max_memory_bytes=512 * 1024 * 1024)
    with Store.open(tmp_path_factory.mktemp("store"), limits=limits) as opened:
        opened.insert(EVENTS)
        yield opened


@pytest.fixture
def ask(store: Store) -> Ask:
    """Return the rows of a HogQL query."""

    def rows(query: str, values: dict[str, Any] | None = None, **more: Any) -> list[list[Any]]:
        found: list[list[Any]] = run_hogql(store, query, values, **more)["results"]
        return found

    return rows
