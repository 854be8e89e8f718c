"""A plain HTTP client of the module's server."""

from __future__ import annotations

import pytest
from tests.server.support import Http

from nightpane.testing import LocalServer


@pytest.fixture(scope="module")
def http(server: LocalServer) -> Http:
    return Http(server)
