"""PostHog's Node client and its browser client in a real Chromium, unmodified."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.contract.support import wait_for
from tests.helpers import require

from nightpane.testing import LocalServer

FOLDER = Path(__file__).parent / "node"


def run(script: str, *arguments: str, **environ: str) -> dict[str, Any]:
    """Return what a script printed. Skips without Node or the npm packages."""
    node = shutil.which("node")
    require(node, "node (Debian's package nodejs)")
    installed = (FOLDER / "node_modules" / "posthog-node").is_dir()
    require(installed, "npm packages: run npm ci --prefix tests/contract/node")
    assert node is not None
    done = subprocess.run(
        [node, str(FOLDER / script), *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("mode", ["v0", "v1"])
def test_node_client(server: LocalServer, mode: str) -> None:
    who = "gtm-autoresearch:internal:critic"
    before = len(wait_for(server, who, 0))
    saw = run(
        "node_client.mjs",
        server.host,
        server.api_key,
        server.personal_api_key,
        POSTHOG_CAPTURE_MODE=mode,
    )
    assert saw == {"errors": [], "flags": {}, "flag": None}
    rows = wait_for(server, who, before + 7)[before:]
    scored = [json.loads(text) for event, text, _ in rows if event == "round_scored"]
    assert sorted(properties["score"] for properties in scored) == [0, 0.25, 0.5, 0.75, 1]
    assert scored[0]["text"] == "ü 😀"
    assert scored[0]["nested"] == {"list": [1, None, "x"]}
    assert scored[0]["$lib"] == "posthog-node"
    generations = [json.loads(text) for event, text, _ in rows if event == "$ai_generation"]
    assert generations[0]["$ai_input"] == [{"role": "user", "content": "hi"}]
    plan = "select properties.plan from persons where properties.plan = 'local'"
    assert server.query().hogql(plan).rows == [["local"]]


def test_browser_client(server: LocalServer, tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    require(chromium, "chromium (Debian's package chromium)")
    assert chromium is not None
    saw = run(
        "browser_client.mjs", server.host, server.api_key, chromium, str(tmp_path / "profile")
    )
    assert saw["errors"] == []
    assert saw["flags"] == []
    assert all(status == 200 for _, status in saw["answers"])
    assert ["/flags/", 200] in saw["answers"]
    rows = wait_for(server, "browser:internal:person", 7)
    events = [json.loads(text) for event, text, _ in rows if event == "browser_event"]
    assert sorted(properties["number"] for properties in events) == [0, 1, 2, 3]
    assert events[0]["text"] == "ü 😀"
    assert events[0]["nested"] == {"a": [1, None]}
    assert {"now_event", "leaving_event", "$identify"} <= {event for event, _, _ in rows}
    merged = "select count(distinct person_id) from events where properties.$lib = 'web'"
    assert server.query().hogql(merged).rows == [[1]]
