"""What many tests share: a real local server, and an environment free of the developer's own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from nightpane import hogql
from nightpane.config import SETTINGS
from nightpane.testing import LocalServer

# The same examples every time, and none refused for a slow moment of the machine.
settings.register_profile("nightpane", derandomize=True, deadline=None)
settings.load_profile("nightpane")

CACHE = "NIGHTPANE_CACHE_DIR"


def pytest_configure(config: pytest.Config) -> None:
    """Give the run one cache of its own: a query is parsed once, not once by each server."""
    if not hasattr(config, "workerinput"):
        os.environ[CACHE] = tempfile.mkdtemp(prefix="nightpane-tests-")
    hogql.keep_trees(Path(os.environ[CACHE]))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take the cache away when the last test is through."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ[CACHE], ignore_errors=True)


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keep keys and folders of whoever runs the tests out of them."""
    for setting in SETTINGS:
        if setting.env in os.environ and setting.env != CACHE:
            monkeypatch.delenv(setting.env)
    monkeypatch.setenv("NIGHTPANE_STATE_DIR", str(tmp_path_factory.getbasetemp() / "state"))
    monkeypatch.setenv("NIGHTPANE_DATA_DIR", str(tmp_path_factory.getbasetemp() / "data"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A real local server with a store of its own, one for each test module."""
    with LocalServer(Path(tmp_path_factory.mktemp("server"))) as running:
        yield running
