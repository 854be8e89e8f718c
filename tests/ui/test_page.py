"""The page in a real browser, over a real server."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from tests.pane_events import one_round, send
from tests.ui.conftest import HARM, Tab, url

from nightpane.testing import LocalServer

Fresh = Callable[..., Tab]


def test_last_night_at_a_glance_without_a_fault_or_a_foreign_address(
    server: LocalServer, tab: Fresh
) -> None:
    seen = tab()
    page = seen.open(url(server))
    page.wait_for_selector("#board-score-trend canvas")
    text = page.inner_text("#night")
    for said in ("8 to 9 March 2026", "2 loops ran 34 rounds and kept 10", "1 improving"):
        assert said in text
    assert "unknown for 4 of 34 rounds" in text
    assert seen.faults == []
    assert {address.split("/")[2] for address in seen.asked} == {server.host.split("/")[2]}
    assert "token=" not in page.url


def test_all_of_the_page_s_modules_are_read_at_once(server: LocalServer) -> None:
    session = requests.Session()
    text = session.get(url(server), timeout=10).text
    named = re.findall(r'"modulepreload" href="([^"]+)"|async src="([^"]+)"', text)
    asked, waiting = set(), re.findall(r'"module" src="([^"]+/app.js)"', text)
    while waiting:
        address = waiting.pop()
        source = session.get(server.host + address, timeout=10).text if "/js/" in address else ""
        for found in re.findall(r'(?:from|import\() ?"(\.[^"]+)"', source):
            path = urljoin(address, found)
            if path not in asked:
                asked.add(path)
                waiting.append(path)
    assert sorted(map("".join, named)) == sorted(asked)


def test_one_loop_has_its_best_and_the_night_before(server: LocalServer, tab: Fresh) -> None:
    page = tab().open(url(server))
    page.select_option("select[name=project]", "climb")
    page.wait_for_selector("text=climb ran 31 rounds")
    assert "project=climb" in page.url
    figures = page.inner_text(".figures")
    assert "0.765" in figures
    assert "0.225 better than 0.99" in figures
    assert "$0.60" in figures
    page.go_back()
    page.wait_for_selector("text=2 loops ran 34 rounds")


def test_an_address_brings_back_its_filters(server: LocalServer, tab: Fresh) -> None:
    seen = tab()
    seen.open(url(server))
    page = seen.open(f"{server.host}/?project=climb&range=all&night=2026-03-07")
    assert "7 to 8 March 2026" in page.inner_text("#night")
    assert page.input_value("select[name=project]") == "climb"
    assert page.input_value("select[name=range]") == "all"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_no_sideways_scroll(server: LocalServer, tab: Fresh, scheme: str) -> None:
    seen = tab(viewport={"width": 375, "height": 800}, color_scheme=scheme)
    page = seen.open(url(server))
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = sum(int(part) for part in background[4:-1].split(",")) < 200
    assert dark == (scheme == "dark")


def test_a_chosen_theme_stays(server: LocalServer, tab: Fresh) -> None:
    seen = tab(color_scheme="light")
    page = seen.open(url(server))
    page.focus("#theme")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.get_attribute("html", "data-theme") == "dark"
    page.reload()
    seen.settled()
    assert page.get_attribute("html", "data-theme") == "dark"
    assert seen.faults == []


def test_hostile_names_are_text(server: LocalServer, tab: Fresh) -> None:
    seen = tab()
    page = seen.open(url(server))
    page.get_by_role("button", name=HARM).first.click()
    for summary in page.query_selector_all("summary"):
        summary.click()
    page.hover("#board-round-funnel .chart")
    assert HARM in page.inner_text("main")
    assert page.title() == "nightpane"
    assert page.query_selector_all("main img") == []
    assert seen.faults == []


def test_a_stage_never_emitted_is_no_loss(server: LocalServer, tab: Fresh) -> None:
    seen = tab()
    page = seen.open(url(server))
    page.select_option("select[name=project]", HARM)
    page.wait_for_selector("#night :text('ran 3 rounds')")
    seen.settled()
    page.click("#board-round-funnel summary:text('Table')")
    cells = page.inner_text("#board-round-funnel table").split("\n")
    generated = next(line for line in cells if "generated" in line)
    scored = next(line for line in cells if "scored" in line)
    assert "not emitted" in generated
    assert scored.count("100 %") == 2


def test_a_run_shows_its_rounds(server: LocalServer, tab: Fresh) -> None:
    page = tab().open(url(server))
    page.click("#runs tr:has-text('0.765') button")
    page.wait_for_selector("#rounds :text('Of run')")
    assert "run=" in page.url
    assert len(page.query_selector_all("#rounds tbody tr")) == 32
    assert "crash" in page.inner_text("#rounds")
    link = page.get_attribute("#rounds tbody a.id", "href")
    assert link is not None
    assert re.fullmatch(r"/round/[0-9A-Za-z-]{26}", link)


def test_each_board_shows_the_query_it_asked(server: LocalServer, tab: Fresh) -> None:
    page = tab().open(url(server))
    for board in ("round-funnel", "score-trend"):
        page.click(f"#board-{board} summary:text('Query')")
        query = page.inner_text(f"#board-{board} pre")
        assert server.query().hogql(query).rows


def test_an_empty_store_says_what_to_do_and_fills_by_itself(
    empty_server: LocalServer, tab: Fresh
) -> None:
    seen = tab()
    page = seen.open(url(empty_server))
    text = page.inner_text("#night")
    assert "nightpane demo" in text
    assert "nightpane import" in text
    now = datetime.now(UTC)
    send(empty_server, one_round(now, project="first", kept=True))
    page.wait_for_selector("text=first ran 1 round and kept 1", timeout=15_000)
    page.wait_for_selector("#live[data-state=running]")
    assert seen.faults == []


def test_a_server_that_is_away_is_said_and_waited_for(server: LocalServer, tab: Fresh) -> None:
    page = tab().open(url(server))
    page.route("**/pane/mark", lambda route: route.abort())
    page.wait_for_selector("#live[data-state=away]", timeout=15_000)
    page.unroute("**/pane/mark")
    page.wait_for_selector("#live:not([data-state=away])", timeout=15_000)
    page.wait_for_selector("#notice", state="hidden")


def test_without_the_token_nothing_is_served(server: LocalServer) -> None:
    assert requests.get(server.host + "/", timeout=10).status_code == 401
    for path in ("/pane/digest", "/pane/boards"):
        assert requests.get(server.host + path, timeout=10).status_code == 401


def test_the_policy_lets_no_foreign_script_run(server: LocalServer) -> None:
    session = requests.Session()
    answer = session.get(url(server), timeout=10)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text
    assert "style=" not in answer.text
    assert (
        session.get(server.host + "/pane/static/any/../../errors.py", timeout=10).status_code == 404
    )


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"night": "soon"}, "night 'soon' is not a date"),
        ({"tz": "Mars/Olympus"}, "is not a time zone's name"),
        ({"tz": "../../etc/passwd"}, "is not a time zone's name"),
    ],
)
def test_a_bad_parameter_is_a_400_that_says_so(
    server: LocalServer, parameters: dict[str, Any], said: str
) -> None:
    headers = {"Authorization": f"Bearer {server.personal_api_key}"}
    for path in ("/pane/digest", "/pane/boards"):
        answer = requests.get(server.host + path, params=parameters, headers=headers, timeout=10)
        assert answer.status_code == 400
        assert said in answer.json()["detail"]
