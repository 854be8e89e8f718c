"""A store of its own for each test module: a process can hold one open at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nightpane.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(Path(tmp_path_factory.mktemp("store"))) as opened:
        yield opened
