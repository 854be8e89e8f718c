"""The tools of PostHog's MCP server (``@posthog/agent-toolkit``), unmodified, on a real server.

They read and change the boards, their data, flags and experiments; what a local server has not is
refused in words that reach the model.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.helpers import require

from nightpane.boards import BOARDS
from nightpane.boards.definitions import Definition
from nightpane.boards.provision import Project
from nightpane.testing import LocalServer

NODE = Path(__file__).parent / "node"
WANTED = [Definition.of(board) for board in BOARDS.values()]
NOW = datetime.now(UTC)
AT = NOW.isoformat()
PERSON = {"$set": {"plan": "pro", "seats": 3}}
ROUND = {"round_id": "r1", "project": "p", "agent": "coder", "score": 0.5}
EVENTS = [
    ("$identify", PERSON),
    ("round_scored", ROUND),
    ("round_kept", {**ROUND, "cost_usd": 0.25, "$lib": "test"}),
    ("$ai_generation", {"$ai_model": "small", "$ai_total_cost_usd": 0.5, "$ai_trace_id": "r1"}),
]
KEPT = {"kind": "EventsNode", "event": "round_kept", "custom_name": "kept"}
SCORED = {"kind": "EventsNode", "event": "round_scored", "custom_name": "scored"}
COUNTED = {
    "kind": "DataVisualizationNode",
    "source": {"kind": "HogQLQuery", "query": "select 1 as one, 'a' as word"},
}
ANSWERED = {
    *("organizations-get", "organization-details-get", "switch-organization"),
    *("projects-get", "switch-project", "event-definitions-list", "properties-list"),
    *("dashboards-get-all", "dashboard-get", "dashboard-create", "dashboard-update"),
    *("dashboard-delete", "add-insight-to-dashboard", "insights-get-all", "insight-get"),
    *("insight-create-from-query", "insight-update", "insight-delete", "insight-query"),
    *("query-run", "get-llm-total-costs-for-project", "feature-flag-get-all"),
    *("feature-flag-get-definition", "create-feature-flag", "update-feature-flag"),
    *("delete-feature-flag", "experiment-get-all", "experiment-get", "experiment-create"),
    *("experiment-update", "experiment-delete", "experiment-results-get"),
}
SURVEY = {
    "name": "s",
    "type": "popover",
    "questions": [{"type": "open", "question": "Well?"}],
}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("surveys-get-all", {}, "A local server has no surveys."),
    ("survey-get", {"surveyId": "x"}, "A local server has no surveys."),
    ("survey-create", SURVEY, "A local server has no surveys."),
    ("survey-update", {"surveyId": "x", "name": "t"}, "A local server has no surveys."),
    ("survey-delete", {"surveyId": "x"}, "Not Implemented"),
    ("survey-stats", {"survey_id": "x"}, "A local server has no surveys."),
    ("surveys-global-stats", {}, "A local server has no surveys."),
    ("list-errors", {}, "no error tracking"),
    ("error-details", {"issueId": "9b4a5c1e-4a31-4be1-9a5d-3f7b6f0e2d11"}, "no error tracking"),
    ("query-generate-hogql-from-question", {"question": "How many?"}, "no model that writes"),
]


class Tools:
    """A node process with the tools."""

    def __init__(self, server: LocalServer) -> None:
        node = shutil.which("node")
        require(node, "node (Debian's package nodejs)")
        installed = (NODE / "node_modules" / "@posthog" / "agent-toolkit").is_dir()
        require(installed, "npm packages: run npm ci --prefix tests/contract/node")
        self._process = subprocess.Popen(
            [node or "", str(NODE / "agent_tools.mjs")],
            env=server.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, tool: str, /, **arguments: Any) -> dict[str, str]:
        """Return the tool's ``text``, or its ``error``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([tool, arguments]), file=self._process.stdin, flush=True)
        answer: dict[str, str] = json.loads(self._process.stdout.readline())
        return answer

    def call(self, tool: str, /, **arguments: Any) -> Any:
        """Return the document that a tool gave."""
        answer = self.ask(tool, **arguments)
        assert "text" in answer, answer
        return json.loads(answer["text"])

    def close(self) -> None:
        """End the process: its input ends."""
        self._process.communicate(timeout=30)
        assert self._process.returncode == 0


@pytest.fixture(scope="module")
def tools(server: LocalServer) -> Iterator[Tools]:
    batch = [
        {"event": name, "distinct_id": "p:internal:coder", "timestamp": AT, "properties": more}
        for name, more in EVENTS
    ]
    sent = {"api_key": server.api_key, "batch": batch}
    assert requests.post(f"{server.host}/batch/", json=sent, timeout=60).status_code == 200
    steps = list(Project(server.query()).apply(WANTED))
    assert [step.done for step in steps] == ["created"] * len(WANTED)
    found = Tools(server)
    yield found
    found.close()


def test_they_find_their_way(tools: Tools, server: LocalServer) -> None:
    (organization,) = tools.call("organizations-get")
    assert tools.call("organization-details-get") == organization
    (project,) = tools.call("projects-get")
    assert str(project["id"]) == server.project_id
    assert project["organization"] == organization["id"]
    switched = tools.ask("switch-organization", orgId=organization["id"])
    assert switched == {"text": f"Switched to organization {organization['id']}"}
    assert tools.ask("switch-project", projectId=1) == {"text": "Switched to project 1"}


def test_they_read_and_run_the_boards(tools: Tools) -> None:
    (listed,) = tools.call("dashboards-get-all", data={"search": "nightpane"})
    dashboard = tools.call("dashboard-get", dashboardId=listed["id"])
    shown = [tile["insight"] for tile in dashboard["tiles"]]
    assert [one["name"] for one in shown] == [one.name for one in WANTED]
    # Its schema drops how a query is drawn.
    assert [one["query"]["source"] for one in shown] == [one.query["source"] for one in WANTED]
    assert [tile["order"] for tile in dashboard["tiles"]] == list(range(len(WANTED)))
    funnel = tools.call("insight-query", insightId=shown[0]["short_id"])
    assert funnel["insight"]["name"] == WANTED[0].name
    assert ["p", "kept", 1] in funnel["results"]
    (found,) = tools.call("insights-get-all", data={"search": WANTED[1].name, "limit": 1})
    assert found["name"] == WANTED[1].name
    assert tools.call("insight-get", insightId=str(found["id"]))["short_id"] == found["short_id"]


def test_they_run_queries(tools: Tools) -> None:
    def run(kind: str, source: dict[str, Any]) -> Any:
        return tools.call("query-run", query={"kind": kind, "source": source})

    assert run("DataVisualizationNode", COUNTED["source"]) == [[1, "a"]]
    (trend,) = run("InsightVizNode", {"kind": "TrendsQuery", "series": [KEPT]})
    assert (trend["label"], trend["count"], sum(trend["data"])) == ("round_kept", 1, 1)
    funnel = run("InsightVizNode", {"kind": "FunnelsQuery", "series": [SCORED, KEPT]})
    assert [(step["custom_name"], step["count"]) for step in funnel] == [("scored", 1), ("kept", 1)]
    (cost,) = tools.call("get-llm-total-costs-for-project", projectId=1, days=2)
    assert (cost["breakdown_value"], sum(cost["data"])) == ("small", 0.5)


def test_they_know_events_and_properties(tools: Tools) -> None:
    listed = tools.call("event-definitions-list")
    assert [one["name"] for one in listed] == sorted(name for name, _ in EVENTS)
    assert [one["name"] for one in tools.call("event-definitions-list", q="kept")] == ["round_kept"]
    own = {one["name"]: one["property_type"] for one in _properties(tools, eventName="round_kept")}
    assert own["cost_usd"] == "Numeric"
    assert own["round_id"] == "String"
    assert "$lib" not in own
    every = _properties(tools, eventName="round_kept", includePredefinedProperties=True)
    assert "$lib" in [one["name"] for one in every]
    assert "$ai_model" not in [one["name"] for one in every]
    persons = tools.call("properties-list", type="person")
    assert [one["name"] for one in persons] == ["plan", "seats"]


def _properties(tools: Tools, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tools.call("properties-list", type="event", **more)
    return found


def test_they_change_insights_and_dashboards(tools: Tools) -> None:
    given = {"name": "Mine", "query": COUNTED, "favorited": True, "tags": ["own"]}
    made = tools.call("insight-create-from-query", data=given)
    board = tools.call("dashboard-create", data={"name": "My board", "pinned": True})
    placed = {"insightId": made["short_id"], "dashboardId": board["id"]}
    assert tools.call("add-insight-to-dashboard", data=placed)["dashboards"] == [board["id"]]
    (tile,) = tools.call("dashboard-get", dashboardId=board["id"])["tiles"]
    assert tile["insight"]["short_id"] == made["short_id"]
    told = {"name": "Ours", "description": "Of all", "query": COUNTED}
    changed = tools.call("insight-update", insightId=made["short_id"], data=told)
    assert (changed["id"], changed["name"], changed["description"]) == (
        made["id"],
        "Ours",
        "Of all",
    )
    renamed = tools.call("dashboard-update", dashboardId=board["id"], data={"name": "Our board"})
    assert renamed["name"] == "Our board"
    tools.call("insight-delete", insightId=made["short_id"])
    assert tools.call("dashboard-get", dashboardId=board["id"])["tiles"] == []
    assert "Not found" in tools.ask("insight-get", insightId=str(made["id"]))["error"]
    tools.call("dashboard-delete", dashboardId=board["id"])
    assert "Not found" in tools.ask("dashboard-get", dashboardId=board["id"])["error"]


def test_they_change_flags(tools: Tools) -> None:
    pro = {"key": "plan", "value": "pro", "operator": "exact"}
    groups = {"groups": [{"properties": [pro], "rollout_percentage": 50}]}
    tools.call(
        "create-feature-flag", name="F", key="f", description="", active=True, filters=groups
    )
    tools.call("update-feature-flag", flagKey="f", data={"active": False})
    flag = tools.call("feature-flag-get-definition", flagKey="f")
    assert flag["active"] is False
    assert flag["filters"]["groups"][0]["properties"] == [{**pro, "type": "person"}]
    assert tools.call("feature-flag-get-definition", flagId=flag["id"]) == flag
    assert [one["key"] for one in tools.call("feature-flag-get-all")] == ["f"]
    tools.call("delete-feature-flag", flagKey="f")
    assert tools.call("feature-flag-get-all") == []


def test_they_carry_an_experiment_through(tools: Tools, server: LocalServer) -> None:
    metric = {"metric_type": "mean", "event_name": "round_kept", "name": "kept"}
    made = tools.call(
        "experiment-create", name="E", feature_flag_key="e", primary_metrics=[metric], draft=True
    )
    one = {"experimentId": made["id"]}
    refused = tools.ask("experiment-results-get", **one, refresh=False)["error"]
    assert "has not started yet" in refused
    started = tools.call("experiment-update", **one, data={"launch": True})
    assert started["feature_flag"]["active"] is True
    called = {"$feature_flag": "e", "$feature_flag_response": "test", "round_id": "r2"}
    event = {"distinct_id": "p:internal:coder", "event": "$feature_flag_called"}
    sent = {"api_key": server.api_key, "batch": [{**event, "properties": called}]}
    assert requests.post(f"{server.host}/batch/", json=sent, timeout=60).status_code == 200
    results = tools.call("experiment-results-get", **one, refresh=True)
    assert results["experiment"]["status"] == "running"
    assert results["exposures"]["total_exposures"] == {"control": 0, "test": 1}
    (answer,) = results["metrics"]["primary"]["results"]
    assert answer["data"]["variant_results"][0]["number_of_samples"] == 1
    said = {"conclude": "inconclusive", "conclusion_comment": "one round"}
    ended = tools.call("experiment-update", **one, data=said)
    assert (ended["conclusion"], ended["conclusion_comment"]) == ("inconclusive", "one round")
    assert tools.call("experiment-get", **one)["end_date"] == ended["end_date"]
    tools.call("experiment-delete", **one)
    assert tools.call("experiment-get-all") == []


@pytest.mark.parametrize(("name", "arguments", "why"), REFUSED)
def test_what_is_not_here_is_refused_in_words(
    tools: Tools, name: str, arguments: dict[str, Any], why: str
) -> None:
    assert why in tools.ask(name, **arguments)["error"]


def test_every_tool_is_answered_or_refused(tools: Tools) -> None:
    refused = {name for name, _, _ in REFUSED}
    assert not ANSWERED & refused
    assert set(tools.call("tools/list")) == ANSWERED | refused
