"""The boards on the page: files, annotations, dates, keys, accessibility."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.pane_events import event, send
from tests.ui.axe import violations
from tests.ui.conftest import EVENING, HARM, Tab, night, url

from nightpane import ui
from nightpane.boards import BOARDS
from nightpane.testing import LocalServer

Fresh = Callable[..., Tab]
STATIC = f"/pane/static/{ui.version()}"
NOTES = ((EVENING + timedelta(hours=1), f"New prompt {HARM}"), (EVENING, "Deploy"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("server")) as running:
        formula = event("round_started", EVENING, project="=1+1", round_id="f", run_id="f")
        send(running, [*night(), formula])
        for at, content in NOTES:
            annotate(running, at, content)
        yield running


def annotate(server: LocalServer, at: datetime, content: str) -> None:
    body = {"content": content, "date_marker": at.isoformat(), "scope": "project"}
    requests.post(
        f"{server.host}/api/projects/@current/annotations/",
        json=body,
        headers={"Authorization": f"Bearer {server.personal_api_key}"},
        timeout=10,
    ).raise_for_status()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(server: LocalServer, tab: Fresh, scheme: str) -> None:
    seen = tab(
        color_scheme=scheme, reduced_motion="reduce", viewport={"width": 1240, "height": 6000}
    )
    page = seen.open(url(server))
    page.wait_for_selector("#boards:not(:has(section[aria-busy=true]))")
    for summary in page.query_selector_all("summary"):
        summary.click()
    assert violations(page) == []
    assert seen.faults == []


def test_every_board_is_drawn_or_says_what_to_do(server: LocalServer, tab: Fresh) -> None:
    seen = tab(viewport={"width": 1240, "height": 8000})
    page = seen.open(url(server))
    page.wait_for_selector("#boards:not(:has(section[aria-busy=true]))")
    for section in page.query_selector_all("#boards > section"):
        drawn = section.query_selector("canvas") or section.query_selector("table")
        said = section.query_selector(".empty")
        assert (drawn is None) != (said is None)
        assert said is None or len(said.inner_text()) > 20
    assert seen.faults == []


def test_rows_are_asked_for_when_a_board_comes_near(server: LocalServer, tab: Fresh) -> None:
    page = tab(viewport={"width": 390, "height": 300}).open(url(server))
    last = page.locator("#boards > section").last
    assert last.get_attribute("aria-busy") == "true"
    last.scroll_into_view_if_needed()
    page.wait_for_selector("#boards > section:last-child[aria-busy=false]")


def test_a_board_is_saved_as_csv_that_runs_no_formula(
    server: LocalServer, tab: Fresh, tmp_path: Path
) -> None:
    page = tab().open(url(server))
    with page.expect_download() as download:
        page.get_by_role("button", name="Round Funnel as CSV").click()
    assert download.value.suggested_filename == "round-funnel.csv"
    download.value.save_as(tmp_path / "board.csv")
    with (tmp_path / "board.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.reader(lines))
    assert rows[0] == ["loop", "stage", "rounds"]
    assert ["climb", "started", "32"] in rows
    assert {row[0] for row in rows[1:]} == {"climb", HARM, "'=1+1"}


def test_a_chart_is_saved_as_png(server: LocalServer, tab: Fresh, tmp_path: Path) -> None:
    page = tab().open(url(server))
    with page.expect_download() as download:
        page.get_by_role("button", name="Score Trend as PNG").click()
    download.value.save_as(tmp_path / "board.png")
    content = (tmp_path / "board.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert int.from_bytes(content[16:20]) > 600


def test_annotations_are_lines_with_their_text(server: LocalServer, tab: Fresh) -> None:
    seen = tab()
    page = seen.open(url(server))
    page.wait_for_selector("#board-score-trend canvas")
    marks = page.evaluate(
        """async (files) => {
          const { marks } = await import(`${files}/js/boards/annotations.js`);
          const { annotations } = await import(`${files}/js/api.js`);
          const all = await annotations();
          const at = all.map((entry) => entry.at);
          return marks({}, all, at[0], at[1]).data.map((mark) => [mark.xAxis, mark.text]);
        }""",
        STATIC,
    )
    told = sorted(NOTES)
    assert marks == [[at.timestamp() * 1000, text] for at, text in told]
    assert seen.faults == []


DRAWN = """async ([files, board, rows, annotations]) => {
  const { drawerOf } = await import(`${files}/js/boards/drawers.js`);
  const echarts = await import(`${files}/vendor/echarts-6.1.0/echarts.esm.min.js`);
  const element = document.createElement("div");
  element.style.width = element.style.height = "400px";
  document.body.append(element);
  const note = drawerOf(board, rows)(element, rows, annotations);
  const [first] = echarts.getInstanceByDom(element).getOption().series;
  const lines = (first.markLine?.data ?? []).map((line) => (line[0] ?? line).text ?? line[0].said);
  element.remove();
  return [note, element.getAttribute("aria-label"), lines];
}"""


def drawn(page: Any, slug: str, rows: list[dict[str, Any]], annotations: Any = ()) -> Any:
    board = next(board for board in BOARDS.values() if board.slug == slug)
    told = {"slug": slug, "name": board.name, "question": board.question, "x": board.x}
    told |= {"y": board.y, "series": board.series, "display": board.display}
    told |= {"annotated": board.annotated}
    return page.evaluate(DRAWN, [STATIC, told, rows, list(annotations)])


def test_what_a_colour_or_a_bar_cannot_tell_is_written_beside_it(
    server: LocalServer, tab: Fresh
) -> None:
    seen = tab()
    page = seen.open(url(server))
    gates = [("clear", 0.25), ("{safe|}", 0.75)]
    cells = [
        {"day": "2026-03-07", "dimension": name, "average": 0.5, "gate_share": share}
        for name, share in gates
    ]
    note, label, _ = drawn(page, "dimension-heatmap", cells)
    assert "the dimension gates the score" in note
    assert "{safe|} 0.5 on average, lowest 75 %" in label

    ended = {"rounds_ended": "after", "revert_rate": 0.5, "rounds": 90}
    both = [
        {**ended, "low_rate": 0.4, "high_rate": 0.6},
        {**ended, "rounds_ended": "other", "low_rate": 0.55, "high_rate": 0.7},
    ]
    note, _, lines = drawn(page, "anomaly-regression", both)
    assert "a coincidence explains the difference" in note
    assert lines[0] == "50 %, n = 90\n95 %: 40 % to 60 %"
    both[1]["low_rate"] = 0.65
    assert "not yet a cause" in drawn(page, "anomaly-regression", both)[0]

    weeks = [{"week": f"2026-03-{day:02}", "task_type": "t", "cost_usd": 1} for day in (2, 9)]
    at = datetime(2026, 3, 15, 12, tzinfo=UTC).timestamp() * 1000
    rule = {"at": at, "text": "routing rule: haiku"}
    assert drawn(page, "cost-compression", weeks, [rule])[2] == ["routing rule: haiku"]
    assert seen.faults == []


def test_dates_are_in_the_address_and_the_back_button_undoes_them(
    server: LocalServer, tab: Fresh
) -> None:
    seen = tab()
    seen.open(url(server))
    page = seen.open(f"{server.host}/?from=2026-03-07&to=2026-03-07&agent=judge")
    assert page.input_value("[name=range]") == "dates"
    assert page.input_value("[name=from]") == "2026-03-07"
    page.wait_for_selector("#runs tbody tr")
    assert page.locator("#runs tbody tr").count() == 1
    page.fill("[name=to]", "2026-03-09")
    page.wait_for_selector("#runs tbody tr:nth-child(2)")
    assert "to=2026-03-09" in page.url
    page.go_back()
    page.wait_for_selector("#runs tbody tr:nth-child(2)", state="detached")
    page.click("#clear")
    page.wait_for_selector("#clear", state="hidden")
    assert "?" not in page.url


def test_keys_lead_to_the_filters_and_are_told(server: LocalServer, tab: Fresh) -> None:
    page = tab().open(url(server))
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "project"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    assert "to the filters" in page.inner_text("dialog[open]")
    page.keyboard.press("Escape")
    assert page.query_selector("dialog[open]") is None
    page.keyboard.press("r")
    page.keyboard.press("ArrowDown")
    focused = "document.activeElement.closest('tr').rowIndex"
    assert page.evaluate(focused) == 2
    page.keyboard.press("Enter")
    page.wait_for_selector("#rounds :text('Of run')")


def test_an_unchanged_board_is_not_drawn_again(server: LocalServer, tab: Fresh) -> None:
    page = tab().open(url(server))
    page.wait_for_selector("#board-score-trend canvas")
    page.evaluate("document.querySelector('#board-score-trend header').dataset.mark = 'old'")
    page.evaluate("window.scrollTo(0, 400)")
    send(server, [event("unrelated", datetime.now(UTC), project="climb")])
    with page.expect_response("**/pane/digest*"):
        pass
    page.wait_for_selector("main[aria-busy=false]")
    assert page.query_selector("#board-score-trend header[data-mark=old]")
    assert page.evaluate("window.scrollY") == 400


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"from": "soon"}, "from 'soon' is not a date"),
        ({"to": "2026-13-01"}, "to '2026-13-01' is not a date"),
        ({"range": "3y"}, "range '3y' is not one of"),
    ],
)
def test_a_bad_filter_is_a_400_that_says_so(
    server: LocalServer, parameters: dict[str, Any], said: str
) -> None:
    headers = {"Authorization": f"Bearer {server.personal_api_key}"}
    address = f"{server.host}/pane/boards"
    answer = requests.get(address, params=parameters, headers=headers, timeout=10)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]
