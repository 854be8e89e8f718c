"""A pane of a test: its own spool, and a network that answers from a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.client.support import Network

import nightpane


@pytest.fixture
def spool_dir(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def make_pane(spool_dir: Path, network: Network) -> Iterator[Callable[..., nightpane.Pane]]:
    made: list[nightpane.Pane] = []

    def make(**options: Any) -> nightpane.Pane:
        given = {
            "project": "autoresearch",
            "client": "acme",
            "api_key": "phc_test",
            "host": "http://127.0.0.1:9",
            "spool_dir": spool_dir,
            "transport": network,
            **options,
        }
        pane = nightpane.Pane(**given)
        made.append(pane)
        return pane

    yield make
    for pane in made:
        pane.close(timeout_s=0)


@pytest.fixture
def pane(make_pane: Callable[..., nightpane.Pane]) -> nightpane.Pane:
    return make_pane()
