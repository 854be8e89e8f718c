"""Boards as code against a real server: in step after one apply, and nobody's edit lost."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nightpane.boards import BOARDS
from nightpane.boards.definitions import Definition
from nightpane.boards.provision import OWNED, Project
from nightpane.cli.main import run
from nightpane.errors import ApiError
from nightpane.management import Resource
from nightpane.query import QueryClient
from nightpane.testing import LocalServer

WANTED = [Definition.of(board) for board in BOARDS.values()][:2]
FIRST, SECOND = WANTED


@pytest.fixture
def client(server: LocalServer) -> QueryClient:
    return server.query()


@pytest.fixture(autouse=True)
def _empty(server: LocalServer) -> Iterator[None]:
    yield
    for kind in ("insights", "dashboards"):
        resource = Resource(server.query(), kind)
        for one in resource.list():
            resource.delete(one["id"])


@pytest.fixture
def project(client: QueryClient) -> Project:
    return Project(client)


def everything(client: QueryClient) -> Any:
    """Return all that the project has, to the microsecond of its last change."""
    return [
        Resource(client, "insights").list(),
        [Resource(client, "dashboards").get(one["id"]) for one in dashboards(client)],
    ]


def dashboards(client: QueryClient) -> list[dict[str, Any]]:
    return Resource(client, "dashboards").list()


def insight(client: QueryClient, definition: Definition) -> dict[str, Any]:
    tag = f"nightpane:board:{definition.slug}"
    (found,) = [one for one in Resource(client, "insights").list() if tag in one["tags"]]
    return found


def done(project: Project, *wanted: Definition, **options: Any) -> dict[str, str]:
    return {step.slug: step.done for step in project.apply(wanted or WANTED, **options)}


def test_second_apply_changes_nothing(client: QueryClient, project: Project) -> None:
    assert done(project) == {FIRST.slug: "created", SECOND.slug: "created"}
    before = everything(client)
    assert done(project) == {FIRST.slug: "none", SECOND.slug: "none"}
    assert everything(client) == before
    assert [drift.state for drift in project.drifts(WANTED)] == ["in step"] * 2
    ((board,), made) = (before[1], before[0])
    assert [tile["layouts"]["sm"]["x"] for tile in board["tiles"]] == [0, 6]
    assert {one["name"] for one in made} == {FIRST.name, SECOND.name}
    assert all(one["query"]["kind"] == "DataVisualizationNode" for one in made)


def test_an_applied_board_runs(client: QueryClient, project: Project) -> None:
    done(project)
    (board,) = dashboards(client)
    path = f"/api/projects/@current/dashboards/{board['id']}/run_insights/"
    found = client.request("GET", path)["results"]
    assert [(tile["error"], tile["insight"]["result"]) for tile in found] == [(None, [])] * 2
    assert all(tile["insight"]["columns"] for tile in found)


def test_dry_run_writes_nothing(client: QueryClient, project: Project) -> None:
    assert done(project, dry_run=True) == {FIRST.slug: "created", SECOND.slug: "created"}
    assert everything(client) == [[], []]


def test_hand_edits_are_told_and_only_overwritten_by_force(
    client: QueryClient, project: Project
) -> None:
    done(project)
    edited = insight(client, FIRST)
    query = {**edited["query"], "display": "ActionsPie"}
    Resource(client, "insights").change(edited["id"], {"name": "Mine", "query": query})
    (drift, _) = project.drifts(WANTED)
    assert drift.state == "edited"
    assert "-Mine" in drift.difference()
    assert f'+  "display": "{FIRST.query["display"]}"' in drift.difference()
    assert "hogql" not in drift.difference()
    assert done(project) == {FIRST.slug: "kept", SECOND.slug: "none"}
    assert insight(client, FIRST)["name"] == "Mine"
    assert done(project, force=True) == {FIRST.slug: "overwritten", SECOND.slug: "none"}
    assert insight(client, FIRST)["name"] == FIRST.name
    assert done(project) == {FIRST.slug: "none", SECOND.slug: "none"}


def test_new_version_of_a_board_is_no_hand_edit(client: QueryClient, project: Project) -> None:
    done(project)
    Resource(client, "insights").change(
        insight(client, FIRST)["id"], {"tags": [*insight(client, FIRST)["tags"], "team a"]}
    )
    newer = replace(FIRST, description="Another text.")
    assert [drift.state for drift in project.drifts([newer, SECOND])] == ["behind", "in step"]
    assert done(project, newer, SECOND) == {FIRST.slug: "updated", SECOND.slug: "none"}
    assert insight(client, FIRST)["description"] == "Another text."
    assert "team a" in insight(client, FIRST)["tags"]
    both = replace(newer, description="Third.")
    Resource(client, "insights").change(insight(client, FIRST)["id"], {"name": "Mine"})
    assert done(project, both)[FIRST.slug] == "kept"


def test_places_that_people_chose_stay(client: QueryClient, project: Project) -> None:
    done(project, FIRST, known=WANTED)
    (board,) = dashboards(client)
    (tile,) = Resource(client, "dashboards").get(board["id"])["tiles"]
    place = {"sm": {"x": 3, "y": 7, "w": 9, "h": 4}}
    change = {"name": "Ours", "tiles": [{"id": tile["id"], "layouts": place}]}
    Resource(client, "dashboards").change(board["id"], change)
    done(project)
    shown = Resource(client, "dashboards").get(board["id"])
    assert [one["layouts"]["sm"]["y"] for one in shown["tiles"]] == [7, 11]
    assert shown["tiles"][0]["layouts"] == place
    assert shown["name"] == "Ours"


def test_board_taken_off_the_dashboard_stays_off(client: QueryClient, project: Project) -> None:
    done(project)
    insights = Resource(client, "insights")
    other = Resource(client, "dashboards").create({"name": "Theirs"})["id"]
    insights.change(insight(client, FIRST)["id"], {"dashboards": [other]})
    assert project.drifts(WANTED)[0].state == "removed"
    assert done(project)[FIRST.slug] == "kept"
    assert done(project, force=True)[FIRST.slug] == "overwritten"
    assert len(insight(client, FIRST)["dashboards"]) == 2


def test_prune_deletes_what_is_no_board_any_more(client: QueryClient, project: Project) -> None:
    done(project)
    assert done(project, FIRST) == {FIRST.slug: "none", SECOND.slug: "kept"}
    Resource(client, "insights").change(insight(client, SECOND)["id"], {"name": "Mine"})
    assert done(project, FIRST, prune=True)[SECOND.slug] == "kept"
    assert done(project, FIRST, known=WANTED, prune=True) == {FIRST.slug: "none"}
    assert done(project, FIRST, prune=True, force=True)[SECOND.slug] == "pruned"
    assert [one["name"] for one in Resource(client, "insights").list()] == [FIRST.name]


def test_what_is_not_ours_is_not_touched(client: QueryClient, project: Project) -> None:
    board = Resource(client, "dashboards").create({"name": "nightpane", "tags": ["a"]})
    body = {"name": FIRST.name, "query": dict(FIRST.query), "dashboards": [board["id"]]}
    theirs = Resource(client, "insights").create({**body, "tags": ["nightpane"]})
    before = Resource(client, "dashboards").get(board["id"])
    done(project, prune=True, force=True)
    done(project, FIRST, prune=True, force=True)
    assert Resource(client, "insights").get(theirs["id"]) == theirs
    assert Resource(client, "dashboards").get(board["id"]) == before


def test_run_that_stopped_half_way_is_finished_by_the_next(
    client: QueryClient, project: Project
) -> None:
    assert [step.done for step in itertools.islice(project.apply(WANTED), 1)] == ["created"]
    assert len(Resource(client, "insights").list()) == 1
    assert done(project) == {FIRST.slug: "none", SECOND.slug: "created"}
    (board,) = dashboards(client)
    assert len(Resource(client, "dashboards").get(board["id"])["tiles"]) == 2


def test_deleted_dashboard_comes_back_with_its_boards(
    client: QueryClient, project: Project
) -> None:
    done(project)
    Resource(client, "dashboards").delete(dashboards(client)[0]["id"])
    assert done(project) == {FIRST.slug: "updated", SECOND.slug: "updated"}
    (board,) = dashboards(client)
    assert OWNED in board["tags"]
    assert len(Resource(client, "dashboards").get(board["id"])["tiles"]) == 2
    assert len(Resource(client, "insights").list()) == 2


class Refusing(QueryClient):
    """A client whose server refuses to write insights of a name."""

    status, name = 403, FIRST.name

    def request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        if method == "POST" and (body or {}).get("name") == self.name:
            raise ApiError("You do not have permission.", status=self.status)
        return super().request(method, path, body)


@pytest.mark.parametrize(("status", "then"), [(403, "not tried"), (400, "created")])
def test_failure_is_told_and_the_next_run_finishes(
    server: LocalServer, client: QueryClient, project: Project, status: int, then: str
) -> None:
    refusing = Refusing(server.host, server.project_id, server.personal_api_key)
    refusing.status = status
    first, second = Project(refusing).apply(WANTED)
    assert (first.done, second.done) == ("failed", then)
    assert ("insight:write" in (first.why or "")) is (status == 403)
    assert done(project)[FIRST.slug] == "created"
    assert [drift.state for drift in project.drifts(WANTED)] == ["in step"] * 2


def test_a_key_that_may_not_read_is_told_which_scopes_it_needs(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any) -> Any:
        raise ApiError("You do not have permission.", status=403)

    client = server.query()
    monkeypatch.setattr(client, "request", refuse)
    with pytest.raises(ApiError, match="insight:write"):
        Project(client).drifts(WANTED)


def test_what_posthog_fills_in_is_no_hand_edit(server: LocalServer, project: Project) -> None:
    class Filling(QueryClient):
        """A server that adds a default to every query it keeps."""

        def request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
            if body and "query" in body:
                body = {**body, "query": {**body["query"], "version": 1}}
            return super().request(method, path, body)

    filling = Project(Filling(server.host, server.project_id, server.personal_api_key))
    assert done(filling) == {FIRST.slug: "created", SECOND.slug: "created"}
    assert done(filling) == {FIRST.slug: "none", SECOND.slug: "none"}
    assert [drift.state for drift in project.drifts(WANTED)] == ["in step"] * 2
    newer = replace(FIRST, name="Newer")
    assert done(filling, newer, SECOND) == {FIRST.slug: "updated", SECOND.slug: "none"}


def test_command_line_pulls_hand_edits_and_applies_them_again(
    server: LocalServer,
    client: QueryClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    folder = str(tmp_path / "boards")
    assert run(["boards", "apply"]) == 0
    assert run(["boards", "diff"]) == 0
    assert "in step" in capsys.readouterr().out
    edited = insight(client, FIRST)["id"]
    Resource(client, "insights").change(edited, {"name": "[red]Mine\x1b[0m"})
    assert run(["boards", "apply"]) == 1
    assert run(["boards", "diff", FIRST.slug]) == 1
    told = capsys.readouterr().out
    assert "-[red]Mine" in told
    assert "\x1b" not in told
    assert run(["boards", "pull", folder]) == 0
    assert run(["boards", "apply", "--force"]) == 0
    assert insight(client, FIRST)["name"] == FIRST.name
    assert run(["boards", "apply", "--from", folder]) == 0
    assert insight(client, FIRST)["name"] == "[red]Mine\x1b[0m"
    assert run(["boards", "diff", "--from", folder]) == 0
    capsys.readouterr()
    assert run(["boards", "apply", "--from", folder, "--json"]) == 0
    assert {one["done"] for one in json.loads(capsys.readouterr().out)} == {"none"}


UPPER = json.dumps({"board": "My Board", **FIRST.body()})


@pytest.mark.parametrize("text", ["", "[]", '{"board": 1}', '{"board": "a", "name": "b"}', UPPER])
def test_a_file_that_is_no_board_is_named(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.json").write_text(text)
    assert run(["boards", "apply", "--from", str(tmp_path)]) == 2
    assert "mine.json" in capsys.readouterr().err


def test_an_unknown_board_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["boards", "diff", "nothing"]) == 2
    assert FIRST.slug in capsys.readouterr().err
