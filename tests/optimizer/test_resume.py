"""A report that was killed goes on where it stopped."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.pane_events import send

from nightpane.optimizer import Options, Target, optimize
from nightpane.query import QueryClient, QueryResult
from nightpane.testing import LocalServer

CALLS = 60


def _events() -> list[dict[str, Any]]:
    now = time.time()
    return [
        {
            "event": "$ai_generation",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 3600 - number)),
            "distinct_id": "resume",
            "properties": {
                "$ai_trace_id": f"trace-{number}",
                "$ai_span_name": "draft",
                "$ai_model": "gpt-4o-mini",
                "$ai_provider": "openai",
                "$ai_input": [{"role": "user", "content": f"Question {number}"}],
                "$ai_output_choices": [{"role": "assistant", "content": "Answer."}],
                "$ai_input_tokens": 100 + number,
                "$ai_output_tokens": 10,
                "$ai_latency": 0.5,
            },
        }
        for number in range(CALLS)
    ]


class Counting(QueryClient):
    """The real client, counting what it asks."""

    asked = 0

    def hogql(self, query: str, values: Mapping[str, Any] | None = None) -> QueryResult:
        self.asked += 1
        return super().hogql(query, values)


def _counting(server: LocalServer) -> Counting:
    return Counting(server.host, server.project_id, server.personal_api_key)


def _run(server: LocalServer, folder: Path) -> int:
    client = _counting(server)
    target = Target(server.host, server.project_id, server.personal_api_key)
    now = datetime.now(UTC).replace(microsecond=0)
    options = Options(results_dir=folder, now=now, live_prices=False)
    done = optimize(client, options, target=target)
    assert done.passed
    return client.asked


def _kill_midway(server: LocalServer, folder: Path) -> int:
    """Return how many answers were on disk when the report's process was killed."""
    command = [sys.executable, "-m", "nightpane", "optimize", "--results-dir", str(folder)]
    command += ["--no-live-prices"]
    environ = {
        **os.environ,
        "POSTHOG_HOST": server.host,
        "POSTHOG_PROJECT_ID": str(server.project_id),
        "POSTHOG_PERSONAL_API_KEY": server.personal_api_key,
    }
    running = subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while len(list(folder.glob("cache/*.json"))) < 5:
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.kill()
    running.wait()
    return len(list(folder.glob("cache/*.json")))


def test_a_killed_report_goes_on_where_it_stopped(server: LocalServer, tmp_path: Path) -> None:
    send(server, _events())
    kept = _kill_midway(server, tmp_path / "killed")
    assert not (tmp_path / "killed" / "recommendations.md").exists()
    whole = _run(server, tmp_path / "whole")
    resumed = _run(server, tmp_path / "killed")
    # The validation asks anew on purpose; what was answered before the kill is not asked again.
    assert resumed <= whole - kept + 1
    assert (tmp_path / "killed" / "recommendations.md").exists()
