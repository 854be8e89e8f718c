"""What tests of every part share."""

from __future__ import annotations

import os

import pytest

__all__ = ["require"]


def require(condition: object, what: str) -> None:
    """Skip the test and say what is missing; fail instead where nothing may be missing."""
    if condition:
        return
    if os.environ.get("NIGHTPANE_REQUIRE_ALL") == "1":
        pytest.fail(f"missing, and NIGHTPANE_REQUIRE_ALL is set: {what}")
    pytest.skip(f"missing: {what}")
