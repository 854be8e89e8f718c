"""``nightpane boards list`` and ``show``: what is printed, drawn, and said of bad input."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from tests.boards.world import START, world
from tests.pane_events import send

from nightpane.boards import BOARDS, Board
from nightpane.boards.chart import MOST_LINES, Chart, chart_of, marks_of, safe, shown
from nightpane.boards.png import picture
from nightpane.cli.main import main
from nightpane.management import Resource
from nightpane.testing import LocalServer

ODD = ("$x^{2$", "_under", "مرحبا", "a\x1b[31mred\u202eevil", "w" * 300, "模型", "[bold]<b>", "")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(Path(tmp_path_factory.mktemp("server"))) as running:
        send(running, world())
        when = (START + timedelta(days=3)).isoformat()
        note = {"content": "new planner [red]", "date_marker": when, "scope": "project"}
        Resource(running.query(), "annotations").create(note)
        yield running


@dataclass(frozen=True)
class Done:
    exit_code: int
    output: str


Run = Callable[..., Done]


@pytest.fixture
def run(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    for name, value in {**server.environ, "COLUMNS": "80", "TZ": "UTC"}.items():
        monkeypatch.setenv(name, value)

    def ran(*words: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            main(["boards", *words])
        told = capsys.readouterr()
        return Done(int(ended.value.code or 0), told.out + told.err)

    return ran


def bars(chart: Chart) -> list[str]:
    return [line.name for line in chart.lines]


def test_every_board_is_listed(run: Run) -> None:
    listed = json.loads(run("list", "--json").output)
    assert [one["board"] for one in listed] == [board.slug for board in BOARDS.values()]
    assert all(one["source"] and one["question"] for one in listed)
    assert "Do rounds fail more often after a wrong model?" in run("list").output


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.slug)
def test_a_board_is_drawn_in_eighty_columns(run: Run, board: Board) -> None:
    found = run("show", board.slug)
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    assert lines[0] == board.name
    assert max(map(len, lines)) <= 80
    assert ("2026-03-04 ┆ new planner [red]" in lines) is board.annotated
    assert board.source.split()[0] in found.output
    nothing = run("show", board.slug, "--project", "none $1").output
    assert " ".join(board.empty.split()) in " ".join(nothing.split())


@pytest.mark.parametrize(
    "board",
    [BOARDS[name] for name in ("Round Funnel", "Score Trend", "Dimension Heatmap",
                               "Cost Compression", "Anomaly → Regression")],
    ids=lambda board: board.slug,
)  # fmt: skip
def test_a_board_is_a_picture(run: Run, board: Board, tmp_path: Path) -> None:
    path = tmp_path / "board.png"
    assert run("show", board.name.upper(), "--png", str(path), "--dark").exit_code == 0
    content = path.read_bytes()
    assert content.startswith(PNG)
    assert (int.from_bytes(content[16:20]), int.from_bytes(content[20:24])) == (1920, 1080)


def test_figures_in_json_and_the_terminal_are_the_same(run: Run) -> None:
    scope = ("--project", "autoresearch", "--from", "2026-03-02", "--to", "2026-03-04")
    told = json.loads(run("show", "round-funnel", *scope, "--json").output)
    assert told["rows"][0]["rounds"] == 3 * 12
    assert "started    " in (drawn := run("show", "round-funnel", *scope).output)
    assert all(f" {row['rounds']}\n" in drawn for row in told["rows"])
    query = run("show", "round-funnel", *scope, "--hogql").output
    assert query == told["query"] + "\n"
    assert "'autoresearch'" in query


def test_days_are_the_readers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def days(*words: str) -> list[str]:
        rows = json.loads(run("show", "cost-per-kept-round", "--json", *words).output)["rows"]
        return sorted({row["day"][:10] for row in rows})

    assert days()[0] == "2026-03-01"
    assert days("--tz", "Asia/Tokyo")[0] == "2026-03-02"
    only = ("--from", "2026-03-03", "--to", "2026-03-03")
    assert days(*only, "--tz", "Asia/Tokyo") == ["2026-03-03"]
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert days(*only) == ["2026-03-03"]
    assert days()[0] == "2026-03-02"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "score-tren"), "did you mean score-trend?"),
        (("show", "qqqq"), "'nightpane boards list' names them all"),
        (("show", "score-trend", "--from", "yesterday"), "write it as 2026-03-08"),
        (("show", "score-trend", "--to", "9999-12-31"), "is not between 1970 and 2200"),
        (("show", "score-trend", "--from", "2026-03-02", "--to", "2026-03-01"), "is after --to"),
        (("show", "score-trend", "--days", "3", "--to", "2026-03-01"), "exclude each other"),
        (("show", "score-trend", "--days", "0"), "--days"),
        (("show", "score-trend", "--tz", "Mars/Base"), "is not a time zone's name"),
        (("show", "score-trend", "--dark"), "give --png FILE"),
        (("show", "score-trend", "--json", "--hogql"), "exclude each other"),
        (("show", "score-trend", "--png", "/no/such/folder/x.png"), "cannot be written"),
    ],
)
def test_a_mistake_is_said_with_the_way_out(run: Run, words: tuple[str, ...], said: str) -> None:
    found = run(*words)
    assert found.exit_code == 2
    assert said in " ".join(found.output.split())
    assert "Traceback" not in found.output


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_odd_names_are_drawn_as_text(dark: bool) -> None:
    days = [f"2026-03-{day:02}" for day in (1, 4, 9)]
    rows = [{"day": day, "reason": name, "runs": 2} for day in days for name in ODD]
    chart = chart_of(BOARDS["Stop-Reason Mix"], rows)
    notes = [{"content": f"$note {day} \\alpha{{", "date_marker": day} for day in days * 3]
    assert picture(chart, marks_of(chart, notes), dark=dark, about="$x").startswith(PNG)
    rows = [{"model": one, "task_type": name, "quality": 0.5} for one in ODD for name in ODD]
    assert picture(chart_of(BOARDS["Model Fit by Task Type"], rows), dark=dark).startswith(PNG)


def test_names_lose_what_steers_a_terminal_and_turns_a_text() -> None:
    assert safe("a\x1b[31m\nb\u202ec\ud800") == "a�[31m b�c�"
    assert safe(None) == "(none)"
    assert len(safe("w" * 300)) == 40


def test_days_between_are_there_and_the_smallest_series_are_one() -> None:
    rows = [{"day": "2026-03-01", "reason": f"r{n}", "runs": n + 1} for n in range(12)]
    rows.append({"day": "2026-03-04", "reason": "r11", "runs": 1})
    chart = chart_of(BOARDS["Stop-Reason Mix"], rows)
    assert [str(place) for place in chart.places] == [f"2026-03-0{day}" for day in (1, 2, 3, 4)]
    assert bars(chart) == [f"r{n}" for n in range(5, 12)] + ["(5 others)"]
    assert len(chart.lines) == MOST_LINES
    assert chart.lines[-1].values == (15.0, None, None, None)
    assert sum(value or 0 for line in chart.lines for value in line.values) == 79


def test_annotations_outside_deleted_or_without_a_date_are_left_out() -> None:
    chart = chart_of(BOARDS["Stop-Reason Mix"], [{"day": "2026-03-02", "reason": "x", "runs": 1}])
    told = {"in": "2026-03-02T23:00:00Z", "before": "2026-03-01T23:00:00Z", "none": None}
    notes = [{"content": text, "date_marker": at} for text, at in told.items()]
    notes.append({"content": "gone", "date_marker": "2026-03-02T23:00:00Z", "deleted": True})
    assert [mark.text for mark in marks_of(chart, notes)] == ["in"]
    funnel = chart_of(BOARDS["Round Funnel"], [{"loop": "l", "stage": "kept", "rounds": 1}])
    assert marks_of(funnel, notes) == []


@pytest.mark.parametrize(
    ("value", "column", "said"),
    [
        (0.0123, "cost_usd", "$0.0123"),
        (1234.5, "cost_usd", "$1,234.50"),
        (0.761, "revert_rate", "76 %"),
        (12000.0, "rounds", "12,000"),
        (640.0, "p95_latency_ms", "640 ms"),
        (None, "best", "–"),
    ],
)
def test_a_value_says_its_unit(value: float | None, column: str, said: str) -> None:
    assert shown(value, column) == said
