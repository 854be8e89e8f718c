"""Many rounds on the page: they are asked for and drawn fifty at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.ui.conftest import Tab, url

from nightpane.ids import deterministic_uuid
from nightpane.store import Store
from nightpane.store.events import StoredEvent
from nightpane.testing import LocalServer

Fresh = Callable[..., Tab]
MANY = 100_000
BATCH = 10_000
END = datetime(2026, 3, 8, 23, tzinfo=UTC)
ENVELOPE = {"project": "many", "run_id": "many", "metric": "m", "direction": "max"}


def rounds(first: int) -> Iterator[StoredEvent]:
    """Give one event each for a batch of rounds of one run, the newest last."""
    for i in range(first, first + BATCH):
        yield StoredEvent(
            uuid=deterministic_uuid("many", str(i)),
            event="round_scored",
            distinct_id="many:internal:coder",
            timestamp=END - timedelta(milliseconds=100 * (MANY - i)),
            properties={**ENVELOPE, "round_id": f"round-{i:06}", "score": i},
        )


def test_many_rounds_are_paged(tmp_path_factory: pytest.TempPathFactory, tab: Fresh) -> None:
    folder = tmp_path_factory.mktemp("many")
    with Store.open(folder) as store:
        for first in range(0, MANY, BATCH):
            store.insert(list(rounds(first)))
    with LocalServer(folder) as server:
        seen = tab()
        page = seen.open(url(server))
        page.select_option("[name=run]", "many")
        page.wait_for_selector("#rounds :text('Of run many')")
        assert page.locator("#rounds tbody tr").count() == 50
        assert page.inner_text("#rounds tbody tr a.id") == f"d-{MANY - 1:06}"
        page.get_by_role("button", name="Older").click()
        page.wait_for_selector("#rounds :text('51 to 100')")
        assert page.inner_text("#rounds tbody tr a.id") == f"d-{MANY - 51:06}"
        assert page.locator("body *").count() < 5_000  # however many rounds there are
        assert seen.faults == []
