"""The HogQL console in a real browser, over a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from tests.ui.axe import violations
from tests.ui.conftest import HARM, Tab, url

from nightpane.testing import LocalServer

Fresh = Callable[..., Tab]


def opened(server: LocalServer, tab: Fresh, query: str = "", **options: Any) -> tuple[Tab, Any]:
    """Return the console with a query that has been run."""
    seen = tab(**options)
    seen.page.goto(url(server).replace("/?", "/console?"))
    page = seen.open(f"{server.host}/console" + (f"#q={quote(query)}" if query else ""))
    if query:
        page.reload()
        seen.settled()
    return seen, page


def write(page: Any, query: str) -> None:
    page.fill("#editor", query)
    page.keyboard.press("Control+Enter")


def test_a_query_is_run_by_keys_and_stands_in_the_address(server: LocalServer, tab: Fresh) -> None:
    seen, page = opened(server, tab)
    write(page, "select event, count() as n from events group by event order by n desc limit 2")
    page.wait_for_selector("#result tr:not(.gap) td")
    assert "2 rows" in page.inner_text("#status")
    assert page.locator("#result tbody tr:not(.gap)").count() == 2
    address = page.url
    assert "q=select" in address
    write(page, "select 41 + 1 as answer")
    page.wait_for_selector("#result td:text('42')")
    page.go_back()
    page.wait_for_selector("#result th:text('event')")
    assert page.url == address
    assert seen.faults == []


def test_a_mistake_is_shown_at_its_line_and_column(server: LocalServer, tab: Fresh) -> None:
    _, page = opened(server, tab)
    write(page, "select event\nfrom events\nwhere nonsense = 1")
    page.wait_for_selector("#error:not([hidden])")
    assert "line 3, column 7" in page.inner_text("#error")
    assert page.inner_text("#gutter b") == "3"
    selected = "editor.value.slice(editor.selectionStart, editor.selectionEnd)"
    assert (
        page.evaluate(
            f"(() => {{ const editor = document.getElementById('editor'); return {selected}; }})()"
        )
        == "nonsense"
    )


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        ("select * from ev", "select * from events"),
        ("select toStartOfDa", "select toStartOfDay("),
        (
            "select event from events where event = 'round_ke",
            "select event from events where event = 'round_kept",
        ),
        ("select properties.metri", "select properties.metric"),
        ("select times", "select timestamp"),
    ],
)
def test_names_are_completed(server: LocalServer, tab: Fresh, typed: str, taken: str) -> None:
    _, page = opened(server, tab)
    page.fill("#editor", typed[:-1])
    page.keyboard.press("End")
    page.keyboard.type(typed[-1])
    page.wait_for_selector("#completions [aria-selected=true]")
    page.keyboard.press("Tab")
    assert page.input_value("#editor") == taken
    assert page.query_selector("#completions:not([hidden])") is None


def test_a_query_is_saved_renamed_opened_and_deleted(server: LocalServer, tab: Fresh) -> None:
    seen, page = opened(server, tab)
    page.fill("#editor", "select 7 as seven")
    page.click("#save")
    page.fill("#name", HARM)
    page.keyboard.press("Enter")
    page.wait_for_selector("#saved li[aria-current=true]")
    assert page.inner_text("#saved .open") == HARM
    page.fill("#editor", "select 8 as eight")
    page.click("#save")
    page.wait_for_selector("#status:text('saved')")
    page.get_by_role("button", name="Rename").click()
    page.fill("#name", "Eight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#saved .open:text('Eight')")
    page.fill("#editor", "select 1")
    page.click("#saved .open")
    page.wait_for_selector("#result th:text('eight')")
    insights = requests.get(
        f"{server.host}/api/projects/@current/insights/",
        headers={"Authorization": f"Bearer {server.personal_api_key}"},
        timeout=10,
    ).json()["results"]
    assert [entry["query"]["source"]["query"] for entry in insights] == ["select 8 as eight"]
    page.get_by_role("button", name="Delete").click()
    page.wait_for_selector("#saved .none")
    assert seen.faults == []


def test_an_answer_is_saved_as_csv_and_parquet(
    server: LocalServer, tab: Fresh, tmp_path: Path
) -> None:
    _, page = opened(server, tab, "select number, '=x' as risky from numbers(150) limit 120")
    page.wait_for_selector("#result tr:not(.gap) td")
    with page.expect_download() as download:
        page.click("#csv")
    download.value.save_as(tmp_path / "query.csv")
    lines = (tmp_path / "query.csv").read_text("utf-8").splitlines()
    assert lines[:2] == ["number,risky", "0,'=x"]
    with page.expect_download() as download:
        page.click("#parquet")
    download.value.save_as(tmp_path / "query.parquet")
    content = (tmp_path / "query.parquet").read_bytes()
    assert content[:4] == content[-4:] == b"PAR1"


def test_parquet_has_the_rows_of_the_query_and_no_more(server: LocalServer, tmp_path: Path) -> None:
    chdb = pytest.importorskip("chdb")
    headers = {"Authorization": f"Bearer {server.personal_api_key}"}
    body = {"query": "select number as n from numbers(150) order by n desc"}
    answer = requests.post(f"{server.host}/pane/parquet", json=body, headers=headers, timeout=30)
    path = tmp_path / "answer.parquet"
    path.write_bytes(answer.content)
    sql = f"SELECT count(), max(n), min(n) FROM file('{path}', Parquet)"
    read = chdb.query(sql, "JSONCompactEachRow").data()
    assert json.loads(read) == [100, 149, 50]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select * from system.tables", "system"),
        ("select file('/etc/passwd')", "file"),
        ("", "required"),
        ("select 1 format CSV", ""),
    ],
)
def test_parquet_goes_through_the_allow_list(server: LocalServer, query: str, said: str) -> None:
    headers = {"Authorization": f"Bearer {server.personal_api_key}"}
    address = f"{server.host}/pane/parquet"
    answer = requests.post(address, json={"query": query}, headers=headers, timeout=30)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_without_the_token_nothing_is_served(server: LocalServer) -> None:
    assert requests.get(server.host + "/console", timeout=10).status_code == 401
    assert requests.get(server.host + "/pane/names", timeout=10).status_code == 401
    address = server.host + "/pane/parquet"
    assert requests.post(address, json={"query": "select 1"}, timeout=10).status_code == 401


def test_half_a_hundred_thousand_rows_are_few_elements(server: LocalServer, tab: Fresh) -> None:
    _, page = opened(server, tab, "select number from numbers(50000) limit 50000")
    page.wait_for_selector("#result tr:not(.gap) td")
    assert page.locator("#result tr").count() < 120
    page.evaluate("document.getElementById('result').scrollTop = 1e9")
    page.wait_for_selector("#result td:text-is('49999')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_console_is_accessible_and_fits_a_phone(
    server: LocalServer, tab: Fresh, scheme: str
) -> None:
    seen, page = opened(
        server,
        tab,
        f"select '{HARM}' as harm, event from events",
        color_scheme=scheme,
        viewport={"width": 390, "height": 800},
    )
    page.wait_for_selector("#result tr:not(.gap) td")
    assert HARM in page.inner_text("#result")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert violations(page) == []
    assert seen.faults == []
    assert {address.split("/")[2] for address in seen.asked} == {server.host.split("/")[2]}
