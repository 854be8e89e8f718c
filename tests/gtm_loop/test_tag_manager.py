"""Staging in Tag Manager, against a server that keeps workspaces as its API does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.gtm.making import shop

from nightpane.errors import GtmError
from nightpane.gtm.mutations import apply
from nightpane.gtm.tag_manager import TagManager

PARENT = "accounts/1/containers/2"
IDS = {"tags": "tagId", "triggers": "triggerId", "variables": "variableId", "folders": "folderId"}


class Google(ThreadingHTTPServer):
    """Workspaces in memory; ``fail`` holds the status codes of the next answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kept: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.fail: list[int] = []
        self.next = 1000

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Google

    def answer(self, document: Any, code: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        if code == 429:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(body)

    def refused(self) -> bool:
        self.server.asked.append(f"{self.command} {self.path}")
        if self.headers["Authorization"] != "Bearer hidden-token":
            self.answer({"error": {"message": "bad token"}}, 401)
        elif self.server.fail:
            self.answer({"error": {"message": "Quota exceeded, not now"}}, self.server.fail.pop(0))
        else:
            return False
        return True

    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return found

    def do_GET(self) -> None:
        if self.refused():
            return
        path, _, query = self.path[1:].partition("?")
        held = [one for key, one in self.server.kept.items() if key.rpartition("/")[0] == path]
        # Two a page, as far as they go.
        start = int(query.removeprefix("pageToken=")) if query else 0
        kind = path.rpartition("/")[2].removesuffix("s")
        found: dict[str, Any] = {kind: held[start : start + 2]}
        if start + 2 < len(held):
            found["nextPageToken"] = str(start + 2)
        self.answer(found)

    def do_POST(self) -> None:
        document = self.body()
        if self.refused():
            return
        self.server.next += 1
        number = str(self.server.next)
        path = f"{self.path[1:]}/{number}"
        kind = self.path.rpartition("/")[2]
        made = {**document, "path": path, "fingerprint": "1"}
        made[IDS.get(kind, "workspaceId")] = number
        self.server.kept[path] = made
        self.answer(made)

    def do_PUT(self) -> None:
        document = self.body()
        if self.refused():
            return
        path, _, query = self.path[1:].partition("?")
        there = self.server.kept[path]
        if query != f"fingerprint={there['fingerprint']}":
            self.answer({"error": {"message": "changed meanwhile"}}, 412)
            return
        fresh = str(int(there["fingerprint"]) + 1)
        kind = path.split("/")[-2]
        own = {"path": path, "fingerprint": fresh, IDS[kind]: there[IDS[kind]]}
        self.server.kept[path] = {**document, **own}
        self.answer(self.server.kept[path])

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def google() -> Iterator[Google]:
    server = Google()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def manager(google: Google, waited: list[float] | None = None) -> TagManager:
    pause = (waited if waited is not None else []).append
    return TagManager(token="hidden-token", base=google.base, interval_s=0, pause=pause)


def test_a_container_is_staged_and_staging_again_changes_nothing(google: Google) -> None:
    container = apply(
        shop(),
        [
            {"op": "assign_folder", "folder": "GA4", "tags": ["1"]},
            {"op": "set_consent", "status": "NEEDED"},
        ],
    )
    done = manager(google).stage(container, PARENT, "nightpane")
    assert len(done.created) == 1 + 2 + 3 + 3
    assert done.updated == ()
    kept = {one["name"]: one for one in google.kept.values()}
    config, purchase = kept["GA4 - Config"], kept["Meta - Purchase"]
    assert config["parentFolderId"] == kept["GA4"]["folderId"] != "30"
    # A built-in trigger keeps its id, another has the one it got there.
    assert config["firingTriggerId"] == ["2147479553"]
    assert purchase["firingTriggerId"] == [kept["CE - purchase"]["triggerId"]]
    assert kept["CE - purchase"]["type"] == "customEvent"
    assert kept["CE - purchase"]["customEventFilter"][0]["type"] == "equals"
    assert config["consentSettings"]["consentStatus"] == "needed"
    assert "accountId" not in config
    again = manager(google).stage(container, PARENT, "nightpane")
    assert (again.workspace, again.created, again.updated) == (done.workspace, (), ())
    change = {"op": "modify_tag", "tag": "1", "set": {"notes": "new"}}
    third = manager(google).stage(apply(container, [change]), PARENT, "nightpane")
    assert (third.created, third.updated) == ((), ("tag 'GA4 - Config'",))
    assert {one["name"]: one for one in google.kept.values()}["GA4 - Config"]["notes"] == "new"


def test_a_new_name_is_not_a_new_tag(google: Google) -> None:
    seed = shop()
    manager(google).stage(seed, PARENT, "nightpane")
    rename = {"op": "rename", "kind": "tag", "entity": "2", "name": "GA4 - purchase"}
    variable = {"op": "rename", "kind": "variable", "entity": "value", "name": "DLV - value"}
    after = apply(seed, [rename, variable])
    done = manager(google).stage(after, PARENT, "nightpane", renamed_from=seed)
    assert done.created == ()
    assert "tag 'GA4 - purchase'" in done.updated
    names = [one["name"] for one in google.kept.values()]
    assert "purchase event" not in names
    assert names.count("GA4 - purchase") == names.count("DLV - value") == 1


def test_it_never_publishes_or_deletes(google: Google) -> None:
    manager(google).stage(shop(), PARENT, "nightpane")
    manager(google).stage(apply(shop(), [{"op": "add_folder", "name": "x"}]), PARENT, "nightpane")
    assert {one.split()[0] for one in google.asked} <= {"GET", "POST", "PUT"}
    assert not [one for one in google.asked if "publish" in one or "create_version" in one]


def test_it_waits_when_it_is_told_to(google: Google) -> None:
    google.fail = [429, 503, 403]
    waited: list[float] = []
    done = manager(google, waited).stage(shop(), PARENT, "nightpane")
    assert waited == [7.0, 2.0, 4.0]
    assert len(done.created) == 9


def test_a_refusal_is_told_without_the_token(google: Google) -> None:
    wrong = TagManager(token="other-token", base=google.base, interval_s=0)
    with pytest.raises(GtmError, match=r"refused GET .* with 401: bad token") as found:
        wrong.stage(shop(), PARENT, "nightpane")
    assert "other-token" not in str(found.value)
    google.fail = [500] * 6
    with pytest.raises(GtmError, match="with 500: Quota exceeded, not now"):
        manager(google).stage(shop(), PARENT, "nightpane")
    # What was interrupted is gone on with.
    google.fail = []
    manager(google).stage(shop(), PARENT, "nightpane")
    assert len([one for one in google.kept.values() if one["name"] == "GA4 - Config"]) == 1


def test_nobody_answers() -> None:
    with pytest.raises(GtmError, match=r"does not answer at http://127\.0\.0\.1:9"):
        TagManager(token="t", base="http://127.0.0.1:9", interval_s=0).stage(shop(), PARENT, "n")


def test_the_quota_is_kept(google: Google) -> None:
    waited: list[float] = []
    slow = TagManager(token="hidden-token", base=google.base, interval_s=4, pause=waited.append)
    slow.stage(shop(), PARENT, "nightpane")
    assert len(waited) == len(google.asked) - 1
    assert all(3 < one <= 4 for one in waited)
