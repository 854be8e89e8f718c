"""Makes round.png: one made-up round in a server of its own, then a screenshot of its page.

    python docs/images/make_round.py [OUTPUT] [--theme light|dark]

Needs the extra ``server``, the package ``playwright`` and a Chromium at /usr/bin/chromium.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.pane_events import send
from tests.replay.world import demo

from nightpane.testing import LocalServer


def picture(url: str, output: Path, theme: str) -> None:
    """Write a screenshot of the round's page at ``url``, a model call chosen."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        size = {"width": 1280, "height": 920}
        page = browser.new_page(viewport=size, color_scheme=theme)
        page.goto(url)
        page.click(".row.generation >> nth=1")
        page.wait_for_selector("#details .message")
        page.screenshot(path=str(output))
        browser.close()


def main() -> None:
    """Make the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).with_name("round.png")
    parser.add_argument("output", nargs="?", type=Path, default=default)
    parser.add_argument("--theme", default="light", choices=("light", "dark"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, LocalServer(Path(folder)) as server:
        round_id, events = demo()
        send(server, events)
        token = json.loads((Path(folder) / "keys.json").read_text("utf-8"))["page_token"]
        picture(f"{server.host}/round/{round_id}?token={token}", given.output, given.theme)
    sys.stdout.write(f"{given.output}\n")


if __name__ == "__main__":
    main()
