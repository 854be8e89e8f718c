"""A pane whose events are read back from its spool, and a model provider on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.client.support import Network
from tests.llm.provider import Provider

import nightpane


class Recorded:
    """What a pane has sent, to a network that keeps it."""

    def __init__(self, pane: nightpane.Pane, network: Network) -> None:
        self.pane = pane
        self._network = network

    def __call__(self, *names: str) -> list[dict[str, Any]]:
        """Return the events with these names, of all kinds of model calls if none is given."""
        assert self.pane.flush()
        wanted = names or ("$ai_generation", "$ai_embedding", "$ai_span", "$ai_trace")
        return [event for event in self._network.events if event["event"] in wanted]

    def one(self, *names: str) -> dict[str, Any]:
        """Return the properties of the only such event, its distinct_id among them."""
        (event,) = self(*names)
        return {**event["properties"], "distinct_id": event["distinct_id"]}


@pytest.fixture
def make_pane(tmp_path: Path) -> Iterator[Callable[..., nightpane.Pane]]:
    made: list[nightpane.Pane] = []

    def make(**options: Any) -> nightpane.Pane:
        given = {"project": "autoresearch", "client": "acme", "api_key": "phc_test"}
        given |= {"host": "http://127.0.0.1:9", "spool_dir": tmp_path / f"spool-{len(made)}"}
        made.append(nightpane.Pane(**{**given, "transport": Network(), **options}))
        return made[-1]

    yield make
    for pane in made:
        pane.close(timeout_s=0)


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def pane(make_pane: Callable[..., nightpane.Pane], network: Network) -> nightpane.Pane:
    return make_pane(transport=network)


@pytest.fixture
def recorded(pane: nightpane.Pane, network: Network) -> Recorded:
    return Recorded(pane, network)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """One for each module; its requests are all of the module's."""
    running = Provider()
    yield running
    running.close()
