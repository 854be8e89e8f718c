"""The whole digest against a real server: verdicts, regressions, noise, and what changed before."""

from __future__ import annotations

import io
import json
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.alerts.test_slack import Webhook, webhook
from tests.digest.nights import EVENING, NIGHTS, ROUNDS, nights
from tests.pane_events import one_round, send

from nightpane import digest
from nightpane.annotations import annotate
from nightpane.cli.main import run
from nightpane.config import load
from nightpane.digest.compared import LoopReport
from nightpane.digest.terminal import print_page
from nightpane.errors import ApiError
from nightpane.stats import Moved
from nightpane.testing import LocalServer

__all__ = ["webhook"]

CHANGES = (
    digest.Change(EVENING - timedelta(hours=24), "too early"),
    digest.Change(EVENING - timedelta(hours=2), "new planner prompt"),
    digest.Change(EVENING + timedelta(hours=3), "after it moved"),
)


@pytest.fixture(scope="module")
def whole(server: LocalServer) -> digest.Digest:
    send(server, nights())
    return digest.compare(server.query(), tz=UTC, client="nights", changes=CHANGES)


def of(whole: digest.Digest, project: str) -> LoopReport:
    return next(one for one in whole.loops if one.loop.project == project)


def regressed(whole: digest.Digest, project: str) -> dict[str, Any]:
    return {one.kind: one for one in whole.regressions if one.project == project}


def test_each_loop_has_the_verdict_its_scores_were_made_for(whole: digest.Digest) -> None:
    verdicts = {report.loop.project: report.moves[0].verdict for report in whole.loops}
    assert verdicts == {
        "rising": Moved.IMPROVED,
        "falling": Moved.WORSE,
        "still": Moved.WITHIN_NOISE,
        "ruled": Moved.WITHIN_NOISE,
    }
    (move,) = of(whole, "rising").moves
    assert move.best.verdict is move.typical.verdict is Moved.IMPROVED
    assert move.best.low is not None
    assert 0 < move.best.low < 10 < (move.best.high or 0)


def test_the_noise_is_that_of_repeated_baselines_where_there_are_some(whole: digest.Digest) -> None:
    still, ruled = (of(whole, name).moves[0].noise for name in ("still", "ruled"))
    assert still is not None
    assert ruled is not None
    assert (still.is_repeated, still.n, still.freedom) == (True, NIGHTS, NIGHTS - 1)
    assert not ruled.is_repeated
    assert 0.7 < ruled.sd < 1.4


def test_figures_stand_beside_the_night_before_and_the_weeks_median(whole: digest.Digest) -> None:
    report = of(whole, "falling")
    assert report.before is not None
    assert report.week is not None
    assert (report.now.rounds, report.now.kept, report.now.failed) == (ROUNDS, 1, 8)
    assert (report.before.kept, report.before.failed, report.week.nights) == (6, 0, 5)
    assert report.now.per_kept_usd == pytest.approx(24.0)
    assert report.week.figures["per_kept_usd"] == pytest.approx(2.0)
    assert report.now.dims == pytest.approx({"safety": 0.4, "clarity": 0.9})
    assert report.week.dims == pytest.approx({"safety": 0.6, "clarity": 0.9})
    assert report.now.stops == (("budget", 1),)
    assert (report.now.escalations, report.now.escalated_to) == (1, (("large", 1),))
    assert report.now.cases_fallen == 2


def test_what_got_worse_is_told_with_figures_n_and_rounds(whole: digest.Digest) -> None:
    found = regressed(whole, "falling")
    assert list(found) == ["score", "eval", "cost", "failures"]
    assert {one.project for one in whole.regressions} == {"falling"}
    assert "n = 16 and 24" in found["score"].evidence
    assert "case-kept (safety) 0.9 to 0.5 (1 more fell in rounds" in found["eval"].evidence
    assert "case-reverted" not in found["eval"].evidence
    assert found["cost"].says == "a kept round costs $24.00, against $2.00"
    assert "1 kept for $24.00, 6 for $12.00 before; p = 0.0069" in found["cost"].evidence
    assert found["failures"].says == "8 of 24 rounds broke (crash 8)"
    assert found["failures"].p == pytest.approx(0.00196, abs=2e-5)
    assert len(found["failures"].rounds) == 3


def test_kept_rounds_on_noise_are_named(whole: digest.Digest) -> None:
    (rising,) = of(whole, "rising").moves
    assert (rising.judged_kept, len(rising.kept_on_noise)) == (6, 5)  # but for the gain of ten
    (ruled,) = of(whole, "ruled").moves
    assert (ruled.judged_kept, len(ruled.kept_on_noise)) == (6, 5)  # but for the limit above zero
    assert {one.low for one in ruled.kept_on_noise} == {-0.1}
    assert {one.rule for one in ruled.kept_on_noise} == {"noise_aware"}


def test_only_what_was_noted_in_the_day_before_the_move_is_told(whole: digest.Digest) -> None:
    (move,) = of(whole, "rising").moves
    assert move.since is not None
    moved_at = move.since.started_at
    assert EVENING + timedelta(hours=1) <= moved_at <= EVENING + timedelta(hours=2)
    assert [one.text for one in whole.changes_before(move)] == ["new planner prompt"]
    assert whole.changes_before(of(whole, "still").moves[0]) == ()
    text = digest.to_markdown(digest.page(whole, digest.Links()))
    assert "coincidence in time, no cause is known" in text
    assert "after it moved" not in text


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_fits_and_tells_what_got_worse_first(
    whole: digest.Digest, server: LocalServer, width: int
) -> None:
    out = io.StringIO()
    page = digest.page(whole, digest.Links.of(server.host))
    print_page(page, Console(file=out, width=width, color_system=None))
    lines = out.getvalue().splitlines()
    assert all(len(line) <= width for line in lines if "http://" not in line)
    assert lines.index("Got worse: 4") < 6 < lines.index("rising · nights")
    assert f"{server.host}/?night=2026-03-08&project=rising" in out.getvalue()


def test_posthogs_own_hosts_have_no_page_of_a_round() -> None:
    for host in ("https://us.posthog.com", "https://posthog.com", "not a host", None, "http://["):
        assert digest.Links.of(host).round("01ABC") is None
    links = digest.Links.of("http://posthog.com.example:8/")
    assert links.round("a/b?c") == "http://posthog.com.example:8/round/a%2Fb%3Fc"
    assert links.night(EVENING.date(), "p&q") == (
        "http://posthog.com.example:8/?night=2026-03-08&project=p%26q"
    )


@pytest.fixture
def settings(server: LocalServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name, value in {
        **server.environ,
        "NIGHTPANE_SPOOL_DIR": str(tmp_path),
        "TZ": "UTC",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


MORNING = ["morning", "--client", "nights", "--date", "2026-03-08"]


def test_files_are_written_whole_by_their_suffix(
    whole: digest.Digest, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert whole.loops
    annotate("before the move", at=EVENING - timedelta(hours=1), settings=load())
    begins = {"md": "# Night of", "html": "<!doctype html>", "json": "{", "txt": "Night of"}
    for suffix, begin in begins.items():
        path = settings / f"morning.{suffix}"
        path.write_text("old")
        assert run([*MORNING, "--output", str(path)]) == 0
        assert path.read_text("utf-8").startswith(begin)
        assert "before the move" in path.read_text("utf-8")
    assert not [path for path in settings.iterdir() if path.name.startswith(".morning")]
    said = capsys.readouterr()
    assert said.err.count("wrote ") == 4
    assert json.loads((settings / "morning.json").read_text())["regressions"]


def test_mistakes_with_files_and_addresses_are_usage_errors(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*MORNING, "--output", str(settings / "m.pdf")]) == 2
    assert run([*MORNING, "--output", str(settings / "gone" / "m.md")]) == 2
    assert run([*MORNING, "--post-slack", "ftp://secret.example/T0"]) == 2
    assert run([*MORNING, "--post-slack", "-"]) == 2
    said = capsys.readouterr().err
    assert "must be one of .md, .html, .json, .txt" in said
    assert "cannot be written: No such file or directory" in said
    assert "secret.example" not in said


def test_slack_hears_what_got_worse_and_the_address_is_not_told(
    whole: digest.Digest, settings: Path, webhook: Webhook, capsys: pytest.CaptureFixture[str]
) -> None:
    assert whole.loops
    assert run([*MORNING, "--json", "--post-slack", webhook.url]) == 0
    ((body,), said) = (webhook.bodies, capsys.readouterr())
    assert json.loads(said.out)["regressions"][0]["kind"] == "score"
    assert body["text"].index("Got worse: 4") < body["text"].index("*rising · nights*")
    webhook.answer = (404, "no_service", {})
    assert run([*MORNING, "--post-slack", webhook.url]) == 3
    also = capsys.readouterr()
    assert "no_service" in also.err
    assert "services" not in said.out + said.err + also.out + also.err


def test_annotations_that_cannot_be_read_are_said(
    whole: digest.Digest,
    settings: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: object) -> None:
        raise ApiError("permission denied", status=403)

    assert settings.exists()
    monkeypatch.setattr("nightpane.annotations.latest", refuse)
    assert whole.loops
    assert run(MORNING) == 0
    text = capsys.readouterr().out
    assert "Annotations could not be read: the server answers 403." in text
    assert "not known: the annotations could not be read" in text


def test_absurd_scores_are_left_out_of_the_judgement(server: LocalServer) -> None:
    events = []
    for i in range(40):
        at = EVENING - timedelta(days=i % 2) + timedelta(minutes=i)
        score = 1.5e308 * (-1) ** (i // 10) if i % 5 == 0 else float(i % 7)
        events += one_round(at, project="absurd", score=score, kept=i == 20)
    send(server, events)
    found = digest.compare(server.query(), tz=UTC, project="absurd")
    (move,) = found.loops[0].moves
    assert move.best.verdict is Moved.NOT_ENOUGH_DATA
    assert move.typical.verdict is Moved.WITHIN_NOISE
    page = digest.page(found, digest.Links())
    assert "nan" not in digest.to_html(page)
    assert json.dumps(digest.whole_json(found, digest.Links()))
