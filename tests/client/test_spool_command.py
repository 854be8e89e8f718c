"""``nightpane spool``: status, flush, refused, retry."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.client.support import Network, Recorder

import nightpane
from nightpane.cli.main import run

Make = Callable[..., nightpane.Pane]


@pytest.fixture(autouse=True)
def _this_spool(monkeypatch: pytest.MonkeyPatch, spool_dir: Path) -> None:
    monkeypatch.setenv("NIGHTPANE_SPOOL_DIR", str(spool_dir))


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = run(["spool", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def text(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with contextlib.suppress(SystemExit):
        run(["spool", *arguments])
    return " ".join(capsys.readouterr().out.split())


def leave(make_pane: Make, network: Network, host: str, count: int = 3) -> None:
    """Leave events as a process does that could not deliver."""
    network.script = [503]
    pane = make_pane(host=host)
    for at in range(count):
        pane.track("hello", agent="a", at=at)
    pane.close(timeout_s=0)


def test_an_empty_spool(capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = asked(capsys, "status")
    assert code == 0
    assert shown["pending_events"] == 0
    assert text(capsys, "status").startswith("0 events wait in")


def test_status_then_flush(
    make_pane: Make, network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    with Recorder() as server:
        leave(make_pane, network, server.host)
        code, shown = asked(capsys, "status")
        assert code == 1
        assert shown["pending_events"] == 3
        assert shown["waiting"][0]["destination"] == server.host
        assert "3 events wait" in text(capsys, "status")
        code, shown = asked(capsys, "flush")
        assert code == 0
        assert shown["delivered"] == 3
        assert shown["pending_events"] == 0
        assert len(server.events) == 3
    code, shown = asked(capsys, "status")
    assert (code, shown["sent_segments"]) == (0, 1)


def test_flush_with_the_server_away(
    make_pane: Make, network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(make_pane, network, "http://127.0.0.1:9")
    code, shown = asked(capsys, "flush")
    assert code == 1
    assert (shown["delivered"], shown["pending_events"]) == (0, 3)
    assert "Connection refused" in text(capsys, "flush")


def test_refused_events_are_listed_and_sent_again(
    make_pane: Make,
    network: Network,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Recorder(400) as server:
        leave(make_pane, network, server.host)
        code, shown = asked(capsys, "flush")
        assert (code, shown["set_aside"]) == (0, 3)
        code, shown = asked(capsys, "status")
        assert (code, shown["refused"]) == (1, {"HTTP 400 (no)": 3})
        code, shown = asked(capsys, "refused")
        assert (code, len(shown)) == (1, 3)
        assert "HTTP 400" in text(capsys, "refused")
        monkeypatch.setenv("POSTHOG_HOST", server.host)
        monkeypatch.setenv("POSTHOG_API_KEY", "phc_test")
        assert asked(capsys, "retry") == (0, {"retried": 3})
        assert asked(capsys, "retry") == (0, {"retried": 0})
        server.script = [200]
        server.bodies.clear()
        code, shown = asked(capsys, "flush")
        assert (code, shown["delivered"]) == (0, 3)
        assert [event["properties"]["at"] for event in server.events] == [0, 1, 2]
        assert asked(capsys, "status")[0] == 0
