"""The page of a round in a real browser, over a real server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.pane_events import send
from tests.replay.world import HARM, Writer, big, demo
from tests.ui.axe import violations
from tests.ui.conftest import Tab, url

from nightpane.testing import LocalServer

Fresh = Callable[..., Tab]
ROUND, EVENTS = demo()
BIG, BIG_EVENTS = big(5_000)


def hostile() -> Writer:
    """Return a round whose every text would do harm if it were read as markup."""
    w = Writer("hostile", run="hostile")
    w.tell("round_started", 0, None, **{"$ai_span_id": w.round_id}, model=HARM)
    said = {"$ai_input": [{"role": HARM, "content": f"{HARM}\n\n[x](javascript:alert(1))"}]}
    said["$ai_output_choices"] = [{"role": "assistant", "content": [{"type": HARM, "a": HARM}]}]
    said |= {"$ai_model": HARM, "$ai_span_name": HARM, "$ai_error": HARM, "$ai_is_error": True}
    w.call(3, "", 1, **said, **{"$ai_tools": [{"name": HARM}], "$ai_span_id": HARM})
    w.tell("proposal_generated", 4, diff=f"+{HARM}", summary=HARM)
    w.tell(HARM, 5, value=HARM)
    w.tell("round_reverted", 6, failure_mode=HARM, reason=HARM)
    return w


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("server")) as running:
        send(running, [*EVENTS, *BIG_EVENTS, *hostile().events])
        yield running


def address(server: LocalServer, round_id: str) -> str:
    return url(server).replace("/?", f"/round/{round_id}?")


def opened(server: LocalServer, tab: Fresh, round_id: str, **options: Any) -> Tab:
    seen = tab(**options)
    seen.open(address(server, round_id))
    return seen


def test_the_tree_and_what_a_call_said(server: LocalServer, tab: Fresh) -> None:
    seen = opened(server, tab, ROUND)
    page = seen.page
    assert page.locator("[role=treeitem]").count() == 21
    assert "val_bpb" in page.inner_text("#summary")
    assert "$0.0034" in page.inner_text("#summary")
    page.click(".row.generation >> nth=0")
    page.wait_for_selector("#details .message")
    details = page.inner_text("#details")
    for said in (
        "propose one change",
        "calls read",
        "1,024 read from the cache",
        "OpenRouter's list",
    ):
        assert said in details, details
    page.click("text=proposal_generated")
    page.wait_for_selector("#details .diff .add")
    assert page.inner_text("#details .diff .del").startswith("-    lr = 3e-4")
    assert seen.faults == []
    assert {asked.split("/")[2] for asked in seen.asked} == {server.host.split("/")[2]}


def test_keys_folds_search_and_kinds(server: LocalServer, tab: Fresh) -> None:
    page = opened(server, tab, ROUND).page
    page.focus("#rows")
    for key in ("j", "j", "k", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    assert page.inner_text("[aria-selected=true] .name") == "plan"
    page.keyboard.press("ArrowLeft")
    assert page.locator("[role=treeitem]").count() == 20
    assert page.get_attribute(".row.plan", "aria-expanded") == "false"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "details"
    page.keyboard.press("/")
    page.keyboard.type("TimeoutError")
    assert page.inner_text("#found") == "1 of 21 match"
    assert page.locator("[role=treeitem]").count() == 2
    page.fill("#search", "")
    page.click("#kinds button:has-text('Evaluations')")
    assert page.locator(".row.case").count() == 3
    page.click("#kinds button:has-text('Evaluations')")
    page.click("#tab-log")
    assert page.locator("[role=option]").count() == 21
    assert page.inner_text("[role=option] >> nth=-1").startswith("+81.20 s")


def test_the_address_keeps_the_chosen_node(server: LocalServer, tab: Fresh) -> None:
    seen = opened(server, tab, ROUND)
    seen.page.click(".row.case >> nth=1")
    assert seen.page.url.endswith("#suite%3Amemory")
    seen.page.reload()
    page = seen.settled()
    page.wait_for_selector("#details h2:text('memory')")
    assert page.inner_text("[aria-selected=true] .name") == "memory"


def test_hostile_contents_are_text(server: LocalServer, tab: Fresh) -> None:
    w = hostile()
    seen = opened(server, tab, w.round_id)
    page = seen.page
    for i in range(page.locator("[role=treeitem]").count()):
        page.click(f"[role=treeitem] >> nth={i}")
        page.wait_for_selector("#details .more")
        for summary in page.query_selector_all("#details summary"):
            summary.click()
    page.click("#tab-log")
    assert page.query_selector_all("main img") == []
    assert page.query_selector_all("#details a") == []
    assert page.title().startswith("Round")
    assert seen.faults == []


def test_five_thousand_events_open_and_scroll(server: LocalServer, tab: Fresh) -> None:
    seen = opened(server, tab, BIG)
    page = seen.page
    started = time.perf_counter()
    page.goto(f"{server.host}/round/{BIG}")
    page.wait_for_selector(".row.generation")
    assert time.perf_counter() - started < 5, "bench/replay.py measures it; this only bounds it"
    assert page.locator("[role=treeitem]").count() < 80
    page.focus("#rows")
    page.keyboard.press("End")
    page.wait_for_selector("[aria-selected=true]:has-text('round_kept')")
    assert page.locator("[role=treeitem]").count() < 80
    page.fill("#search", "tool 900")
    page.wait_for_selector(".row:has-text('tool 900')")
    assert seen.faults == []


def test_an_open_round_grows_while_one_looks(server: LocalServer, tab: Fresh) -> None:
    w = Writer("live", run="live")
    seen = opened(server, tab, w.round_id)
    page = seen.page
    assert "No event of this round is here yet" in page.inner_text("#empty")
    w.tell("round_started", 0, None, **{"$ai_span_id": w.round_id})
    send(server, w.events)
    page.wait_for_selector(".row.round", timeout=10_000)
    assert page.inner_text("#live") == "running"
    w.tell("step.tool_called", 1, step_id="s", tool="slow")
    w.tell("round_reverted", 2, failure_mode="crash")
    send(server, w.events[1:])
    page.wait_for_selector(".row.tool:has-text('slow')", timeout=10_000)
    page.wait_for_selector("h1 .pill:text('reverted')")
    assert seen.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_no_sideways_scroll(server: LocalServer, tab: Fresh, scheme: str) -> None:
    page = opened(
        server, tab, ROUND, viewport={"width": 390, "height": 800}, color_scheme=scheme
    ).page
    page.click(".row.generation >> nth=1")
    page.wait_for_selector("#details .message")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_page_is_accessible(server: LocalServer, tab: Fresh) -> None:
    for scheme in ("light", "dark"):
        page = opened(server, tab, ROUND, color_scheme=scheme).page
        page.click(".row.generation >> nth=1")
        page.wait_for_selector("#details .message")
        assert violations(page) == []
        page.click("#tab-log")
        assert violations(page) == []
