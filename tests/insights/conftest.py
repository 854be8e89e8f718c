"""One store with random events, told in plain Python too, for all insight tests of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.insights.world import COHORTS, EVENTS, NOW

from nightpane import insights
from nightpane.server.hogql_run import run_hogql
from nightpane.store import Store

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store of its own for the module: a process can have one open at a time."""
    with Store.open(tmp_path_factory.mktemp("store")) as opened:
        opened.insert(EVENTS)
        yield opened


@pytest.fixture(scope="module")
def ask(store: Store) -> Ask:
    """Return the response to an insight's node, with the number of queries it took."""

    def asked(
        node: Mapping[str, Any], *, timezone: str = "UTC", now: datetime = NOW
    ) -> dict[str, Any]:
        queries = []

        def run(query: str, values: Mapping[str, Any]) -> dict[str, Any]:
            queries.append(query)
            return run_hogql(store, query, values, timezone=timezone)

        cohorts = {**COHORTS, 3: {**COHORTS[3], "members": {"persons": [_person(store)]}}}
        context = insights.Context(now=now.astimezone(UTC), timezone=timezone, cohort=cohorts.get)
        found = insights.answer(node, context, run)
        assert len(queries) == 1
        return found

    return asked


def _person(store: Store) -> str:
    return store.person_id("agent-0")
