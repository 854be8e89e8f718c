from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nightpane.testing import LocalServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A real server for all tests of this folder; each test takes a project of its own."""
    with LocalServer(Path(tmp_path_factory.mktemp("server"))) as running:
        yield running
