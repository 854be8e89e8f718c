"""Many rounds on the page: they are asked for and drawn fifty at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.pane_events import event, send
from tests.ui.conftest import Tab, url

from nightpane.testing import LocalServer

Fresh = Callable[..., Tab]
MANY = 20_000


def many() -> list[dict[str, Any]]:
    """Return one event each for many rounds of one run, the newest last."""
    end = datetime(2026, 3, 8, 23, tzinfo=UTC)
    envelope = {"project": "many", "run_id": "many", "metric": "m", "direction": "max"}
    return [
        event(
            "round_scored",
            end - timedelta(milliseconds=100 * (MANY - i)),
            **envelope,
            round_id=f"round-{i:06}",
            score=i,
        )
        for i in range(MANY)
    ]


def test_many_rounds_are_paged(tmp_path_factory: pytest.TempPathFactory, tab: Fresh) -> None:
    with LocalServer(tmp_path_factory.mktemp("many")) as server:
        send(server, many())
        seen = tab()
        page = seen.open(url(server))
        page.select_option("[name=run]", "many")
        page.wait_for_selector("#rounds :text('Of run many')")
        assert page.locator("#rounds tbody tr").count() == 50
        assert page.inner_text("#rounds tbody tr a.id") == f"d-{MANY - 1:06}"
        page.get_by_role("button", name="Older").click()
        page.wait_for_selector("#rounds :text('51 to 100')")
        assert page.inner_text("#rounds tbody tr a.id") == f"d-{MANY - 51:06}"
        assert seen.faults == []
