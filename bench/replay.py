"""Times how long a round of many events takes to open in a browser; prints one JSON line.

    python bench/replay.py [--events 5000] [--stored 100000] [--times 5]

``open_ms`` is from the address to the first rows drawn, in headless Chromium, the server's queries
parsed before; ``tree_ms`` is the server's answer alone, ``first_tree_ms`` the first one, whose
queries are parsed; ``scroll_ms`` is the longest frame of a scroll through the whole tree.
``stored`` other events are in the store.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import requests

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.pane_events import send
from tests.replay.world import big

from nightpane.testing import LocalServer

_SCROLL = """async () => {
  const rows = document.getElementById("rows");
  let longest = 0, before = performance.now();
  for (let at = 0; at < rows.scrollHeight; at += 1500) {
    rows.scrollTop = at;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    longest = Math.max(longest, now - before);
    before = now;
  }
  return longest;
}"""


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--stored", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, LocalServer(Path(folder)) as server:
        for i in range(given.stored // 5_000):
            send(server, big(5_000 - i)[1])
        round_id, events = big(given.events + 1)
        send(server, events)
        print(
            json.dumps(
                {"bench": "replay", "events": given.events}
                | _measure(server, round_id, given.times)
            )
        )


def _measure(server: LocalServer, round_id: str, times: int) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    address = f"{server.host}/pane/round/{round_id}"
    key = {"Authorization": f"Bearer {server.personal_api_key}"}
    trees = []
    for _ in range(times + 1):
        started = time.perf_counter()
        body = requests.get(address, headers=key, timeout=60).content
        trees.append(round((time.perf_counter() - started) * 1000))
    token = json.loads((server.data_dir / "keys.json").read_text("utf-8"))["page_token"]
    opens = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{server.host}/round/nothing?token={token}")
        for _ in range(times):
            started = time.perf_counter()
            page.goto(f"{server.host}/round/{round_id}", wait_until="commit")
            page.wait_for_selector(".row.generation")
            opens.append(round((time.perf_counter() - started) * 1000))
        longest = page.evaluate(_SCROLL)
        browser.close()
    return {
        "open_ms": median(opens),
        "slowest_open_ms": max(opens),
        "first_tree_ms": trees[0],
        "tree_ms": median(trees[1:]),
        "tree_kb": len(body) // 1000,
        "scroll_ms": round(longest),
    }


if __name__ == "__main__":
    main()
