"""Annotations against a real server: delivered once, kept when it is away, never lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nightpane import config
from nightpane.annotations import Annotation, annotate, flush, latest, refused, waiting
from nightpane.annotations.annotation import moment
from nightpane.cli.main import run
from nightpane.config import Settings
from nightpane.errors import ConfigError
from nightpane.management import Resource
from nightpane.testing import LocalServer

AT = datetime(2026, 3, 8, 2, 30, tzinfo=UTC)
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def settings(server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("HOST", "PROJECT_ID", "API_KEY", "PERSONAL_API_KEY"):
        monkeypatch.setenv(f"POSTHOG_{name}", server.environ[f"POSTHOG_{name}"])
    monkeypatch.setenv("NIGHTPANE_SPOOL_DIR", str(tmp_path / "spool"))
    return config.load()


@pytest.fixture(autouse=True)
def _no_annotation_yet(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "server" in request.fixturenames:
        resource = Resource(request.getfixturevalue("server").query(), "annotations")
        for one in resource.list():
            resource.delete(one["id"])


def contents(server: LocalServer) -> list[str]:
    return [one["content"] for one in latest(server.query())]


def files(settings: Settings) -> list[str]:
    return sorted(path.suffix for path in (settings.spool_dir / "annotations").iterdir())


def test_an_annotation_is_posthogs(server: LocalServer, settings: Settings) -> None:
    done = annotate("new planner prompt", at=AT, settings=settings)
    assert (done.state, done.flushed.delivered, done.flushed.waiting) == ("delivered", 1, 0)
    (document,) = latest(server.query())
    assert document["content"] == "new planner prompt"
    assert datetime.fromisoformat(document["date_marker"]) == AT
    assert (document["scope"], document["creation_type"]) == ("project", "USR")
    assert files(settings) == []


def test_without_a_server_it_is_kept_and_delivered_later(
    server: LocalServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTHOG_HOST")
    away = config.load(find_server=False)
    done = annotate("made offline", settings=away)
    assert done.state == "kept"
    assert "no PostHog host" in str(done.flushed.why)
    assert [one.annotation.content for one in waiting(away)] == ["made offline"]
    assert annotate("made online", settings=settings).flushed.delivered == 2
    assert sorted(contents(server)) == ["made offline", "made online"]


def test_it_goes_nowhere_but_where_it_was_meant_for(
    server: LocalServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTHOG_HOST", NOBODY)
    assert annotate("for another", settings=config.load()).state == "kept"
    done = flush(settings)
    assert (done.delivered, done.waiting) == (0, 1)
    assert NOBODY in str(done.why)
    assert contents(server) == []


@pytest.mark.parametrize("has_arrived", [True, False])
def test_what_may_have_arrived_is_looked_for_first(
    server: LocalServer, settings: Settings, has_arrived: bool
) -> None:
    away = config.load(host=settings.host, personal_api_key="phx_wrong")
    annotation = annotate("deploy it's, 'quoted' 50%", at=AT, settings=away).annotation
    assert files(settings) == [".tried"]
    if has_arrived:
        Resource(server.query(), "annotations").create(annotation.document())
    assert flush(settings).delivered == 1
    assert contents(server) == [annotation.content]


def test_the_same_text_at_another_time_is_another(server: LocalServer, settings: Settings) -> None:
    away = config.load(host=settings.host, personal_api_key="phx_wrong")
    annotate("deploy", at=AT, settings=settings)
    annotate("deploy", at=AT + timedelta(minutes=1), settings=away)
    assert flush(settings).delivered == 1
    assert contents(server) == ["deploy", "deploy"]


def test_a_refusal_for_good_is_set_aside_with_its_reason(
    server: LocalServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"content": "x", "date_marker": "2026-03-08T02:30:00Z", "scope": "nowhere"}
    monkeypatch.setattr(Annotation, "document", lambda _: {**bad, "creation_type": "USR"})
    done = annotate("x", at=AT, settings=settings)
    assert done.state == "refused"
    (kept,) = refused(settings)
    assert kept.reason
    assert flush(settings).waiting == 0


_KILLED = """
import os, signal, sys
from nightpane import annotations, management
from nightpane.annotations import annotation
create = management.Resource.create
def die(self, document):
    if sys.argv[1] == "after":
        create(self, document)
    os.kill(os.getpid(), signal.SIGKILL)
management.Resource.create = die
annotations.annotate("survives a kill")
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_in_the_middle_of_delivery_loses_and_doubles_nothing(
    server: LocalServer, settings: Settings, when: str
) -> None:
    environ = {**server.environ, "NIGHTPANE_SPOOL_DIR": str(settings.spool_dir)}
    died = subprocess.run([sys.executable, "-c", _KILLED, when], env=environ, timeout=30)
    assert died.returncode == -signal.SIGKILL
    assert len(waiting(settings)) == 1
    assert flush(settings).delivered == 1
    assert contents(server) == ["survives a kill"]


def test_two_processes_deliver_it_once(
    server: LocalServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTHOG_HOST")
    away = config.load(find_server=False)
    for number in range(8):
        annotate(f"number {number}", at=AT, settings=away)
    environ = {**server.environ, "NIGHTPANE_SPOOL_DIR": str(settings.spool_dir)}
    command = [sys.executable, "-m", "nightpane", "annotate", "--flush", "--json"]
    both = [subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) for _ in range(2)]
    outputs = [json.loads(one.communicate(timeout=30)[0]) for one in both]
    assert sum(out["delivered"] for out in outputs) == 8
    assert sorted(contents(server)) == [f"number {number}" for number in range(8)]


def test_a_damaged_file_is_left_alone(settings: Settings) -> None:
    annotate("whole", settings=settings)
    folder = settings.spool_dir / "annotations"
    (folder / "01HZZZZZZZZZZZZZZZZZZZZZZZ.json").write_text('{"format": 1')
    done = flush(settings)
    assert (done.delivered, done.waiting) == (0, 1)
    assert files(settings) == [".json"]


def test_it_is_on_disk_for_its_owner_only(settings: Settings) -> None:
    annotate("x", settings=config.load(host=NOBODY))
    folder = settings.spool_dir / "annotations"
    (path,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  a\x1b[31m\x00b\u202e ", "a [31m b"),
        ("key sk-ant-" + "a1" * 12, "key [redacted:anthropic_key]"),
        ("x" * 9000, "x" * 8191 + "…"),
        ("bad \udcff", "bad ?"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_a_text_is_made_fit_to_be_shown(text: str, shown: str) -> None:
    assert Annotation.of(text, at=AT, scope="project").content == shown


def test_unusable_arguments() -> None:
    with pytest.raises(ConfigError, match="needs a text"):
        Annotation.of(" \x00 ", at=AT, scope="project")
    with pytest.raises(ConfigError, match="scope 'round'"):
        Annotation.of("x", at=AT, scope="round")
    with pytest.raises(ConfigError, match="no time zone"):
        Annotation.of("x", at=datetime(2026, 3, 8), scope="project")


def test_the_times_a_person_writes() -> None:
    now = datetime(2026, 3, 8, 12, tzinfo=UTC)
    assert moment("now", now) == now
    assert moment("-90m", now) == now - timedelta(minutes=90)
    assert moment("2026-03-08T02:30:00Z", now) == AT
    assert moment("2026-03-08 02:30", now) == datetime(2026, 3, 8, 2, 30).astimezone()
    assert (
        moment("2:30", now)
        == datetime.combine(now.astimezone().date(), datetime(1, 1, 1, 2, 30).time()).astimezone()
    )
    for wrong in ("yesterday", "-5", "25:00", "2026-13-01", "-999999w"):
        with pytest.raises(ConfigError, match="cannot be read"):
            moment(wrong, now)


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = run(["annotate", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_command(
    server: LocalServer,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, shown = asked(capsys, "new [bold]prompt", "--at", "2026-03-08T02:30Z")
    assert (code, shown["state"]) == (0, "delivered")
    monkeypatch.setenv("POSTHOG_HOST", NOBODY)
    assert run(["annotate", "later"]) == 1
    assert capsys.readouterr().out.startswith("kept, not delivered yet: ")
    code = run(["annotate", "--list"])
    assert code == 3
    assert "kept, not delivered yet: later" in capsys.readouterr().out
    monkeypatch.setenv("POSTHOG_HOST", server.host)
    assert run(["annotate", "--list"]) == 0
    assert "new [bold]prompt" in capsys.readouterr().out
    assert run(["annotate"]) == 2
    assert run(["annotate", "x", "--list"]) == 2


def test_the_spools_flush_delivers_annotations(
    server: LocalServer,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("POSTHOG_HOST")
    annotate("waits", settings=config.load(find_server=False))
    monkeypatch.setenv("POSTHOG_HOST", server.host)
    assert run(["spool", "flush", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["annotations"]["delivered"] == 1
    assert contents(server) == ["waits"]
