"""PostHog's own command line (its Node part, with the tools of PostHog's MCP server), unmodified.

It lists, reads and runs the boards. The other half of the package is a binary that its installer
downloads: not run here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.helpers import require

from nightpane.boards import BOARDS
from nightpane.boards.definitions import Definition
from nightpane.boards.provision import Project
from nightpane.management import Resource
from nightpane.testing import LocalServer

BUNDLE = (
    Path(__file__).parent / "node" / "node_modules" / "@posthog" / "cli" / "lib"
) / "posthog-api-cli.mjs"
WANTED = [Definition.of(board) for board in BOARDS.values()][:2]


class Cli:
    """``posthog-cli api call`` against a server."""

    def __init__(self, server: LocalServer, home: Path) -> None:
        node = shutil.which("node")
        require(node, "node (Debian's package nodejs)")
        require(BUNDLE.is_file(), "npm packages: run npm ci --prefix tests/contract/node")
        self._command = [node or "", str(BUNDLE), "call", "--json"]
        self._environ = {
            **os.environ,
            "HOME": str(home),
            "POSTHOG_HOME": str(home),
            "POSTHOG_CLI_API_KEY": server.personal_api_key,
            "POSTHOG_CLI_PROJECT_ID": server.project_id,
            "POSTHOG_CLI_HOST": server.host,
        }

    def calls(self, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
        """Return what each tool printed; they run at the same time."""
        with ThreadPoolExecutor() as pool:
            return list(pool.map(lambda one: self._call(*one), calls))

    def _call(self, tool: str, arguments: dict[str, Any]) -> Any:
        done = subprocess.run(
            [*self._command, tool, json.dumps(arguments)],
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def cli(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    steps = list(Project(server.query()).apply(WANTED))
    assert [step.done for step in steps] == ["created"] * len(WANTED)
    return Cli(server, tmp_path_factory.mktemp("home"))


def test_lists_runs_and_changes_the_boards(cli: Cli, server: LocalServer) -> None:
    (board,) = Resource(server.query(), "dashboards").list()
    (insight,) = Resource(server.query(), "insights").list(search=WANTED[1].name)
    listed, ran, rows, changed = cli.calls(
        ("dashboards-get-all", {}),
        ("dashboard-insights-run", {"id": board["id"], "refresh": "blocking"}),
        ("execute-sql", {"query": "select 1 as one, 'a' as word"}),
        ("insight-update", {"id": insight["id"], "description": "Mine"}),
    )
    assert [one["name"] for one in listed["results"]] == ["nightpane"]
    assert [one["insight"]["name"] for one in ran["results"]] == [one.name for one in WANTED]
    assert [one["insight"]["query"] for one in ran["results"]] == [one.query for one in WANTED]
    assert rows == "one|word\n1|a"
    assert changed["description"] == "Mine"
    drifts = Project(server.query()).drifts(WANTED)
    assert [drift.state for drift in drifts] == ["in step", "edited"]
