"""Times the page in headless Chromium until every board is drawn; prints one JSON line.

    python bench/boards_page.py [--events 1000000] [--data-dir DIR]

``cold_ms`` is the first opening after the server's start, ``warm_ms`` the second, both from the
request to the last board drawn, with a window so tall that every board is in view. A data folder
that holds a store is used as it is. Needs ``playwright`` and a Chromium at /usr/bin/chromium.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from nightpane.store import Store
from nightpane.testing import LocalServer
from pane import fill

_DONE = "main[aria-busy=false] #boards:not(:has(section[aria-busy=true])):has(section)"


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--data-dir", type=Path, default=None)
    given = parser.parse_args()
    folder = given.data_dir or Path(tempfile.mkdtemp())
    if not any(folder.glob("*")):
        with Store.open(folder) as store:
            fill(store, given.events)
    with LocalServer(folder) as server:
        found = {"bench": "boards_page", "events": given.events, **_times(server)}
    print(json.dumps(found))


def _times(server: LocalServer) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    token = json.loads((server.data_dir / "keys.json").read_text("utf-8"))["page_token"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1240, "height": 9000})
        page.goto(f"{server.host}/report?token={token}")
        cold = _open_ms(page, server.host)
        warm = [_open_ms(page, server.host) for _ in range(3)]
        browser.close()
    return {"cold_ms": cold, "warm_ms": min(warm)}


def _open_ms(page: Any, host: str) -> int:
    started = time.perf_counter()
    page.goto(host)
    page.wait_for_selector(_DONE, timeout=60_000)
    return round((time.perf_counter() - started) * 1000)


if __name__ == "__main__":
    main()
