"""What the renderers make of text that means harm, and of figures that are missing."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.pane_events import event, one_round, send

from nightpane import digest
from nightpane.digest.terminal import print_page
from nightpane.digest.words import plain, usd
from nightpane.testing import LocalServer

EVENING = datetime(2026, 3, 8, 21, tzinfo=UTC)
HARM = "\x1b]0;owned\x07[bold]<img src=x onerror=alert(1)> [a](javascript:alert(1)) |\u202e\nend"


@pytest.fixture(scope="module")
def harmful(server: LocalServer) -> digest.Digest:
    """Give a night whose every word means harm, with a regression, noise and annotations."""
    events = []
    for days in (1, 0):
        for i in range(10):
            at = EVENING - timedelta(days=days) + timedelta(minutes=i)
            score = 10.0 * days + i % 3
            events += one_round(
                at, project=HARM, metric=HARM, failure_mode=HARM, client="harm",
                score=score, kept=i == 5, end={"keep_rule": HARM, "delta": 0.1},
            )  # fmt: skip
    fallen = {"project": HARM, "client": "harm", "case_id": HARM, "dim": HARM, "delta": -1.0}
    events.append(event("eval.regression", EVENING, **fallen))
    events.append(event("stop_triggered", EVENING, project=HARM, client="harm", reason=HARM))
    escalated = {"from_model": HARM, "to_model": HARM}
    events.append(event("model_escalated", EVENING, project=HARM, client="harm", **escalated))
    send(server, events)
    changes = [digest.Change(EVENING - timedelta(hours=1), HARM)]
    return digest.compare(server.query(), tz=UTC, client="harm", changes=changes)


@pytest.fixture(scope="module")
def page(harmful: digest.Digest, server: LocalServer) -> digest.Page:
    return digest.page(harmful, digest.Links.of(server.host))


def test_the_night_that_means_harm_has_something_of_everything(page: digest.Page) -> None:
    assert len(page.regressions) == 2
    (section,) = page.loops
    words = {item.word for item in (*section.verdicts, *section.notes)}
    assert {"worse", "kept on noise", "noted before", "reverted for"} <= words


def test_terminal_shows_hostile_names_as_inert_text(page: digest.Page) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=200, color_system=None)
    print_page(page, console)
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())  # rich's own styles
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "[bold]" in text


def test_markdown_shows_hostile_names_as_inert_text(page: digest.Page) -> None:
    text = digest.to_markdown(page)
    assert "\x1b" not in text
    assert not re.search(r"(?<!\\)<img", text)
    assert not re.search(r"(?<!\\)\[a", text)
    assert all(line.count("|") - line.count(r"\|") in (0, 5) for line in text.splitlines())


class Tags(HTMLParser):
    """Collects the names of tags, their attributes and the text of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]


def test_html_is_one_file_without_script_or_foreign_address(
    page: digest.Page, server: LocalServer
) -> None:
    found = Tags()
    text = digest.to_html(page)
    found.feed(text)
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert not found.tags & {"img", "script", "link", "iframe", "object", "form"}
    assert not {name for name in found.attributes if name.startswith("on")} | {"src", "style"} & (
        found.attributes
    )
    assert found.addresses
    assert all(address.startswith(f"{server.host}/") for address in found.addresses)
    assert "default-src &#x27;none&#x27;" in text


def test_slack_mentions_nobody_and_links_only_to_the_server(
    page: digest.Page, server: LocalServer
) -> None:
    text = digest.to_slack(page)
    links = re.findall(r"<([^|>]*)", text)
    assert links
    assert all(link.startswith(f"{server.host}/") for link in links)
    assert "&lt;img" in text
    assert "Got worse: 2" in text


def test_slack_is_cut_between_lines(page: digest.Page) -> None:
    long = replace(page, loops=page.loops * 40)
    text = digest.to_slack(long)
    assert len(text) < 30_100
    assert text.endswith("nightpane morning prints it whole")
    assert text.count("<") == text.count(">")


def test_json_can_be_written_and_read(harmful: digest.Digest, server: LocalServer) -> None:
    links = digest.Links.of(server.host)
    found = json.loads(json.dumps(digest.whole_json(harmful, links), allow_nan=False))
    morning = digest.to_json(harmful.morning, with_rounds=True)
    assert set(morning) - {"series"} <= set(found)
    assert len(morning["series"]) == found["rounds"]
    (report,) = found["compared"]
    assert report["scores"][0]["verdict"] == "worse"
    assert report["scores"][0]["changes_before"][0]["text"] == HARM


def test_an_unknown_cost_is_said_and_never_a_zero(server: LocalServer) -> None:
    events = one_round(EVENING, project="unknown cost", kept=True)
    events += one_round(
        EVENING + timedelta(minutes=1), project="half known", kept=True, end={"cost_usd": 0.5}
    )
    events += one_round(EVENING + timedelta(minutes=2), project="half known")
    send(server, events)

    def markdown(project: str) -> str:
        found = digest.compare(server.query(), tz=UTC, project=project)
        return digest.to_markdown(digest.page(found, digest.Links()))

    unknown, half = markdown("unknown cost"), markdown("half known")
    assert "| cost | unknown | – |" in unknown
    assert "$" not in unknown
    assert "Whether a score got worse cannot be told yet" in unknown
    assert "| cost | ≥ $0.50 | – |" in half
    assert "at least $0.50 (known for 1 of 2 rounds)" in half


@given(st.text())
def test_plain_text_is_one_line_of_printable_characters(text: str) -> None:
    found = plain(text)
    assert len(found) <= 80
    assert not [char for char in found if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl")]


def test_small_amounts_keep_their_digits() -> None:
    assert [usd(value) for value in (None, 0.0, 0.000123, 0.5, 1234.5)] == [
        "unknown",
        "$0.00",
        "$0.00012",
        "$0.50",
        "$1,234.50",
    ]
