"""Alerts against a real server: what fires and what does not, what is told, the exit codes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.alerts.test_slack import Webhook, webhook
from tests.pane_events import event, one_round, send

from nightpane import alerts
from nightpane.alerts import Finding, Told
from nightpane.alerts.rules import parse
from nightpane.cli.main import run
from nightpane.errors import ConfigError, UnreachableError
from nightpane.testing import LocalServer

__all__ = ["webhook"]

NIGHT = datetime(2026, 3, 8, 12, tzinfo=UTC)
NOW = NIGHT + timedelta(hours=12)


def found(server: LocalServer, text: str, project: str, now: datetime = NOW) -> list[Finding]:
    rules = parse(f'[[alert]]\nname = "a"\nproject = "{project}"\n{text}', "f")
    return alerts.check(server.query(), rules, now=now, tz=UTC)


def one(server: LocalServer, text: str, project: str) -> Finding:
    (finding,) = found(server, text, project)
    return finding


def test_no_kept_round(server: LocalServer) -> None:
    events = one_round(NOW - timedelta(hours=2), project="kept", kept=True)
    for minute in range(1, 12):
        at = NOW - timedelta(hours=2) + timedelta(minutes=minute)
        events += one_round(at, project="kept", kept=False)
    # Still going on: it may yet be kept.
    events += one_round(NOW - timedelta(minutes=1), project="kept", score=None)[:-1]
    send(server, events)
    finding = one(server, 'kind = "no_kept"\nrounds = 11', "kept")
    assert (finding.fired, finding.level) == (True, 1)
    assert finding.says == "11 rounds since one was kept (limit 11)"
    assert len(finding.rounds) == 3
    assert one(server, 'kind = "no_kept"\nrounds = 5', "kept").level == 2
    assert not one(server, 'kind = "no_kept"\nrounds = 12', "kept").fired


def test_budget_by_night_run_and_hour(server: LocalServer) -> None:
    events = []
    for hours, usd, which in ((15, 4.0, "a"), (5, 2.0, "a"), (3, 1.0, "b"), (0.5, 0.25, "b")):
        at = NOW - timedelta(hours=hours)
        events += one_round(at, project="cost", run=which, end={"cost_usd": usd})
    # A model call of a round whose end tells its cost is not counted once more.
    trace = events[-1]["properties"]["round_id"]
    call = {"$ai_trace_id": trace, "$ai_total_cost_usd": 50.0, "$ai_input_tokens": 1}
    events.append(event("$ai_generation", NOW - timedelta(minutes=30), **call))
    events += one_round(NOW - timedelta(minutes=20), project="cost", run="b")
    send(server, events)
    night = one(server, 'kind = "budget"\nusd = 3.25', "cost")
    assert night.fired
    assert night.says == "at least, 3 of 4 rounds known: $3.25 of $3.25 per night, 4 rounds"
    assert not one(server, 'kind = "budget"\nusd = 3.26', "cost").fired
    assert one(server, 'kind = "budget"\nusd = 4.0\nat = 0.8', "cost").fired
    hour = one(server, 'kind = "budget"\nusd = 0.3\nper = "hour"', "cost")
    assert (hour.fired, "$0.25 of $0.30 per hour, 2 rounds" in hour.says) == (False, True)
    runs = found(server, 'kind = "budget"\nusd = 5\nper = "run"', "cost")
    assert sorted((finding.fired, finding.says[-38:]) for finding in runs) == [
        (False, "unds known: $1.25 of $5.00 per run, 3 rounds"[-38:]),
        (True, "$6.00 of $5.00 per run, 2 rounds"),
    ]


def test_error_rate(server: LocalServer) -> None:
    events = []
    for minute in range(20):
        at = NOW - timedelta(hours=1) + timedelta(minutes=minute)
        mode = ("crash", "timeout", "score_missed", "score_missed")[minute % 4]
        events += one_round(at, project="err", failure_mode=mode)
    send(server, events)
    finding = one(server, 'kind = "error_rate"\nshare = 0.4\nrounds = 20', "err")
    assert finding.fired
    assert finding.says.startswith(
        "10 of the last 20 rounds ended in crash, exception, timeout: 50%"
    )
    assert not one(server, 'kind = "error_rate"\nshare = 0.5\nrounds = 20', "err").fired
    assert not one(server, 'kind = "error_rate"\nshare = 0.1\nrounds = 40\nleast = 21', "err").fired
    only = 'kind = "error_rate"\nshare = 0.2\nrounds = 20\nmodes = ["crash"]'
    assert "5 of the last 20" in one(server, only, "err").says


@pytest.mark.parametrize("direction", ["min", "max"])
def test_score_drop(server: LocalServer, direction: str) -> None:
    project, sign = f"drop-{direction}", 1 if direction == "min" else -1
    events = []
    for ago, best in ((3, 1.0), (2, 1.1), (1, 1.3), (0, 1.5)):
        for number in range(10):
            at = NIGHT - timedelta(days=ago) + timedelta(hours=1, minutes=number)
            score = sign * (best + 0.02 * (number % 2))
            events += one_round(at, project=project, score=score, direction=direction)
    send(server, events)
    kind = 'kind = "score_drop"\n'
    assert one(server, kind + "drop = 0.49", project).fired
    assert not one(server, kind + "drop = 0.51", project).fired
    assert not one(server, kind + "drop = 0.49\nnights = 2", project).fired
    median = one(server, kind + 'drop = 0.39\nagainst = "median"', project)
    assert median.fired
    assert f"of 3 nights, {sign * 1.1:g}: worse by 0.4 (limit 0.39" in median.says
    # Scores alternate by 0.02: that is 0.02 * 1.4826 / sqrt(2) of noise.
    noise = one(server, kind + "noise = 23", project)
    assert (noise.fired, "worse by 23.8 times the noise" in noise.says) == (True, True)
    assert not one(server, kind + "noise = 24", project).fired
    assert not one(server, kind + "drop = 0.1\nleast = 11", project).fired
    assert found(server, kind + 'drop = 0.1\nmetric = "other"', project) == []


def test_silence(server: LocalServer) -> None:
    events = []
    for which, minutes in (("quiet", 60), ("busy", 5), ("over", 60)):
        at = NOW - timedelta(minutes=minutes + 1)
        events += one_round(at, project="silent", run=which)
        if which == "over":
            about = {"project": "silent", "run_id": events[-1]["properties"]["run_id"]}
            events.append(event("stop_triggered", at, **about, reason="plateau"))
    send(server, events)
    findings = found(server, 'kind = "silence"\nminutes = 45', "silent")
    assert [finding.fired for finding in findings] == [True, False]
    assert "sent nothing for 60 minutes" in findings[0].says
    late = NOW + timedelta(days=2)
    assert found(server, 'kind = "silence"\nminutes = 45', "silent", late) == []


def test_loops_are_apart_and_a_name_changes_no_query(server: LocalServer) -> None:
    name = "p'] or 1=1 --{start}"
    send(server, one_round(NOW, project=name) + one_round(NOW, project=name, client="acme"))
    now = NOW + timedelta(hours=1)
    text = 'kind = "no_kept"\nrounds = 1'
    assert {f.client for f in found(server, text, name, now)} == {"internal", "acme"}
    assert len(found(server, text + '\nclient = "acme"', name, now)) == 1
    assert found(server, text, "nobody", now) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[alert]]\nname = ", "line 2"),
        ("x = 1\n", "line 1: only [[alert]]"),
        ("[alert]\nname = 'a'\n", "line 1: write [[alert]]"),
        ("\n", "no [[alert]]"),
        ("[[alert]]\nname = 'a'\n", "line 1: kind is missing"),
        ("[[alert]]\nname = 'a'\nkind = 'x'\n", "line 3: kind 'x' is unknown"),
        ("[[alert]]\nname = 'a'\nkind = 'no_kept'\n", "line 3: no_kept needs rounds"),
        ("[[alert]]\nname = 'a'\nkind = 'no_kept'\nrounds = true\n", "line 4: rounds is True"),
        ("[[alert]]\nname = 'a'\nkind = 'no_kept'\nrounds = 0\n", "line 4: rounds is 0"),
        ("[[alert]]\nname = 'a'\nkind = 'silence'\nminutes = inf\n", "line 4: minutes is inf"),
        ("[[alert]]\nname = 'a'\nkind = 'silence'\nminuts = 1\n", "line 4: 'minuts' is no field"),
        (
            "[[alert]]\nname = 'a'\nkind = 'budget'\nusd = 1\nper = 'week'\n",
            "line 5: per is 'week'",
        ),
        ("[[alert]]\nname = 'a'\nkind = 'score_drop'\nnoise = 1\ndrop = 1\n", "line 4: score_drop"),
        (
            "[[alert]]\nname = 'a'\nkind = 'silence'\nminutes = 1\n" * 2,
            "line 6: 'a' is there twice",
        ),
    ],
)
def test_a_wrong_file_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f")
    assert told in str(caught.value)


def test_the_example_is_a_valid_file_with_every_kind() -> None:
    assert {rule.kind for rule in parse(alerts.EXAMPLE, "f")} == set(alerts.KINDS)


def finding(level: int, *, fired: bool = True) -> Finding:
    about = {"rule": "r", "kind": "no_kept", "project": "p", "client": "c", "about": ""}
    return Finding(**about, fired=fired, level=level, says="s")  # type: ignore[arg-type]


def test_what_was_told_is_told_again_only_when_it_got_worse(tmp_path: Path) -> None:
    def news(now: Finding) -> tuple[int, int]:
        told = Told(tmp_path, "file", "host")
        found = told.news([now])
        told.remember([now])
        return len(found.new), len(found.over)

    levels = [news(finding(level)) for level in (1, 1, 2, 1, 2, 3)]
    assert levels == [(1, 0), (0, 0), (1, 0), (0, 0), (0, 0), (1, 0)]
    assert news(finding(0, fired=False)) == (0, 1)
    assert news(finding(0, fired=False)) == (0, 0)
    assert news(finding(1)) == (1, 0)
    (path,) = (tmp_path / "alerts").iterdir()
    path.write_text("{ damaged")
    assert news(finding(1)) == (1, 0)


@pytest.fixture
def loop(server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file of one threshold that fires."""
    for name in ("HOST", "PROJECT_ID", "API_KEY", "PERSONAL_API_KEY"):
        monkeypatch.setenv(f"POSTHOG_{name}", server.environ[f"POSTHOG_{name}"])
    monkeypatch.setenv("NIGHTPANE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    now = datetime.now(UTC) - timedelta(minutes=5)
    send(server, one_round(now, project="cli [red]<!here>"))
    file = tmp_path / alerts.FILE_NAME
    file.write_text(
        "[[alert]]\nname = 'stuck'\nkind = 'no_kept'\nrounds = 1\nproject = 'cli [red]<!here>'\n"
    )
    return file


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code = run(["alerts", "check", "--json", *words])
    return code, json.loads(capsys.readouterr().out)


def test_exit_codes_and_telling_once(
    loop: Path,
    server: LocalServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["alerts", "check"]) == 1
    shown = capsys.readouterr().out
    assert "fired stuck (cli [red]<!here>): at least 1 rounds since one was kept" in shown
    assert f"{server.host}/round/" in shown
    assert run(["alerts", "check"]) == 1
    assert capsys.readouterr().out == "1 still firing, told before: --all shows them\n"
    code, document = checked(capsys)
    assert (code, document["fired"], document["alerts"][0]["new"]) == (1, 1, False)
    loop.write_text(loop.read_text().replace("rounds = 1", "rounds = 900"))
    code, document = checked(capsys, "--all")
    assert (code, document["over"]) == (0, ["stuck · cli [red]<!here> · internal · "])
    assert [alert["fired"] for alert in document["alerts"]] == [False]
    loop.write_text("[[alert]]\nname = 'a'\nkind = 'x'\n")
    assert run(["alerts", "check"]) == 2
    assert "line 3" in capsys.readouterr().err
    loop.unlink()
    assert run(["alerts", "check"]) == 2
    assert run(["alerts", "init"]) == 0
    assert run(["alerts", "init"]) == 2
    monkeypatch.setenv("POSTHOG_HOST", "http://127.0.0.1:9")
    assert run(["alerts", "check"]) == 3
    monkeypatch.setenv("POSTHOG_HOST", server.host)
    monkeypatch.setenv("POSTHOG_PERSONAL_API_KEY", "phx_wrong")
    assert run(["alerts", "check"]) == 3


def test_slack_hears_what_is_new_and_again_if_it_could_not(
    loop: Path, webhook: Webhook, capsys: pytest.CaptureFixture[str]
) -> None:
    post = ["alerts", "check", "--post-slack", webhook.url]
    webhook.answer = (500, "", {})
    assert run(post) == 3
    webhook.answer = (200, "ok", {})
    assert [run(post), run(post)] == [1, 1]
    first, second = webhook.bodies
    assert first == second
    assert "&lt;!here&gt;" in first["text"]
    said = capsys.readouterr()
    assert "services" not in said.out + said.err


def test_watching_goes_on_while_nobody_answers(
    loop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []
    ask = alerts.check

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    def check(*arguments: Any, **named: Any) -> list[Finding]:
        if len(waits) == 1:
            raise UnreachableError("nobody is there")
        return ask(*arguments, **named)

    monkeypatch.setattr("nightpane.cli.alerts.time.sleep", sleep)
    monkeypatch.setattr(alerts, "check", check)
    assert run(["alerts", "check", "--watch", "60", "--json"]) == 130
    said = capsys.readouterr()
    first, second = (json.loads(line) for line in said.out.splitlines() if line.startswith("{"))
    assert [first["alerts"][0]["new"], second["alerts"][0]["new"]] == [True, False]
    assert "nobody is there" in said.err
    assert waits == [60, 60, 60]
