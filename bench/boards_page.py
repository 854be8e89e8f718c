"""Times the page in headless Chromium until all is drawn; prints one JSON line.

    python bench/boards_page.py [--events 1000000] [--data-dir DIR] [--times 3]

Each is from the request to the last board and list drawn, by a browser without a graphics card:
``first_ms`` the first opening ever, when the texts of the queries are parsed (only on a new
folder); ``at_once_ms`` the first after the server's start, as soon as it answers, by a browser just
started; ``cold_ms`` the same a few seconds later, when the server has worked ahead; ``warm_ms``
opened again; ``arrived_ms`` opened again after an event has arrived, so that every query is asked
anew. The window is 1240 by 900, and what is in it counts; for the names that end in ``all_ms`` it
is so tall that every board and list is in it. ``cpu_ms`` is the server's processor time for all
queries. The figures are medians of ``times`` starts. Needs ``playwright`` and a Chromium at
/usr/bin/chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.pane_events import event, send

from boards import fill
from nightpane.store import Store
from nightpane.testing import LocalServer

_DONE = """() => document.querySelector("#headline, #boards > section") &&
  !document.querySelector("#night:empty") &&
  [...document.querySelectorAll("main, #boards > section")].every((element) =>
    element.ariaBusy !== "true" || element.getBoundingClientRect().top > innerHeight ||
    (element.id === "main" && innerHeight < 2000))"""
_HEIGHTS = {"ms": 900, "all_ms": 9000}
_AFTER_START_S = 4.0  # the server works ahead


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    folder = given.data_dir or Path(tempfile.mkdtemp())
    os.environ["NIGHTPANE_CACHE_DIR"] = str(folder / "trees")
    found: dict[str, Any] = {"bench": "boards_page"}
    if not any(folder.glob("*")):
        with Store.open(folder) as store:
            fill(store, given.events)
        found["first_ms"] = _times(folder, 0.0, "all_ms")["cold_all_ms"]
    every = [
        _times(folder, _AFTER_START_S, "ms")
        | _times(folder, _AFTER_START_S, "all_ms")
        | {
            f"at_once_{window}": _times(folder, 0.0, window)[f"cold_{window}"]
            for window in _HEIGHTS
        }
        for _ in range(given.times)
    ]
    found |= {name: median(times[name] for times in every) for name in every[0]}
    print(json.dumps(found))


def _times(folder: Path, after_s: float, window: str) -> dict[str, int]:
    from playwright.sync_api import sync_playwright

    with LocalServer(folder) as server, sync_playwright() as driver:
        token = json.loads((server.data_dir / "keys.json").read_text("utf-8"))["page_token"]
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1240, "height": _HEIGHTS[window]})
        time.sleep(after_s)
        found = {f"cold_{window}": _open_ms(page, f"{server.host}/?token={token}")}
        found[f"warm_{window}"] = min(_open_ms(page, server.host) for _ in range(3))
        one = event("unrelated", datetime(2026, 5, 1, tzinfo=UTC), project="bench")
        send(server, [{**one, "uuid": str(uuid4())}])  # else it is there from an earlier run
        before = _cpu_ms(server.pid)
        found[f"arrived_{window}"] = _open_ms(page, server.host)
        cpu_ms = _cpu_ms(server.pid) - before
        browser.close()
    return found | ({"cpu_ms": cpu_ms} if window == "all_ms" else {})


def _cpu_ms(pid: int) -> int:
    ticks = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return round(ticks * 1000 / os.sysconf("SC_CLK_TCK"))


def _open_ms(page: Any, address: str) -> int:
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(_DONE, timeout=60_000)
    return round((time.perf_counter() - started) * 1000)


if __name__ == "__main__":
    main()
