from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.helpers import require
from tests.pane_events import event, one_round, send

from nightpane.testing import LocalServer

CHROMIUM = Path("/usr/bin/chromium")
HARM = "<img src=x onerror=document.title=1>"
EVENING = datetime(2026, 3, 8, 21, tzinfo=UTC)


def night() -> list[dict[str, Any]]:
    """Return one night of a loop that improves, and a ledger's night with hostile names."""
    events: list[dict[str, Any]] = []
    for i in range(30):
        at = EVENING + timedelta(minutes=5 * i)
        kept = i % 3 == 0
        score = 0.9 - i / 200 if kept else 0.95
        cost = {"cost_usd": 0.02}
        events += one_round(
            at, project="climb", score=score, kept=kept, metric="loss", direction="min", end=cost
        )
    events += one_round(EVENING, project="climb", score=None, failure_mode="crash")
    events += one_round(EVENING - timedelta(days=1), project="climb", score=0.99, metric="loss")
    for entry in events[-3:]:
        entry["properties"]["direction"] = "min"
    events.append(event("stop_triggered", EVENING, project="climb", reason="budget"))
    for i in range(3):
        at = EVENING + timedelta(minutes=i)
        events += one_round(
            at,
            project=HARM,
            metric=HARM,
            failure_mode=HARM,
            stages=("round_started",),
            run="harm",
        )
    return events


def url(server: LocalServer) -> str:
    """Return the address that lets a browser in."""
    token = json.loads((server.data_dir / "keys.json").read_text("utf-8"))["page_token"]
    return f"{server.host}/?token={token}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("server")) as running:
        send(running, night())
        yield running


@pytest.fixture(scope="module")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("empty")) as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    require(CHROMIUM.exists(), f"Chromium at {CHROMIUM} (Debian: apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        require(False, "the package playwright (python -m pip install playwright)")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield running
        running.close()


class Tab:
    """A page, with what it logged and every address it asked for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.faults: list[str] = []
        self.asked: list[str] = []
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def _logged(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def open(self, address: str) -> Any:
        self.page.goto(address)
        return self.settled()

    def settled(self) -> Any:
        """Return the page when all is drawn."""
        self.page.wait_for_selector("main[aria-busy=false]", timeout=30_000)
        return self.page


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """Give a function that opens a fresh tab: a new profile each time."""
    contexts = []

    def fresh(**options: Any) -> Tab:
        context = browser.new_context(timezone_id="UTC", locale="en-GB", **options)
        contexts.append(context)
        return Tab(context.new_page())

    yield fresh
    for context in contexts:
        context.close()
