"""What the renderers make of text that means harm, and of figures that are missing."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.pane_events import event, one_round, send

from nightpane import digest
from nightpane.digest.terminal import print_morning
from nightpane.digest.words import plain, usd
from nightpane.testing import LocalServer

EVENING = datetime(2026, 3, 8, 21, tzinfo=UTC)
HARM = "\x1b]0;owned\x07[bold]<img src=x onerror=alert(1)> [a](javascript:alert(1)) |\u202e\nend"


def harmful(server: LocalServer) -> digest.Morning:
    events = one_round(EVENING, project=HARM, metric=HARM, failure_mode=HARM, client="harm")
    events.append(event("stop_triggered", EVENING, project=HARM, client="harm", reason=HARM))
    send(server, events)
    return digest.build(server.query(), tz=UTC, client="harm")


def test_terminal_shows_hostile_names_as_inert_text(server: LocalServer) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=200, color_system=None)
    print_morning(harmful(server), console)
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())  # rich's own styles
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "[bold]" in text


def test_markdown_shows_hostile_names_as_inert_text(server: LocalServer) -> None:
    text = digest.to_markdown(harmful(server))
    assert "\x1b" not in text
    assert not re.search(r"(?<!\\)<img", text)
    assert not re.search(r"(?<!\\)\[a", text)
    assert all(line.count("|") - line.count(r"\|") in (0, 3) for line in text.splitlines())


def test_json_can_be_written_and_read(server: LocalServer) -> None:
    found = json.loads(json.dumps(digest.to_json(harmful(server), with_rounds=True)))
    assert found["loops"][0]["scores"][0]["progress"]["verdict"] == "not enough data"
    assert len(found["series"]) == found["rounds"]


def test_an_unknown_cost_is_said_and_never_a_zero(server: LocalServer) -> None:
    events = one_round(EVENING, project="unknown cost", kept=True)
    events += one_round(
        EVENING + timedelta(minutes=1), project="half known", kept=True, end={"cost_usd": 0.5}
    )
    events += one_round(EVENING + timedelta(minutes=2), project="half known")
    send(server, events)
    unknown = digest.to_markdown(digest.build(server.query(), tz=UTC, project="unknown cost"))
    half = digest.to_markdown(digest.build(server.query(), tz=UTC, project="half known"))
    assert "| cost | unknown |" in unknown
    assert "$" not in unknown
    assert "| cost | at least $0.50 (known for 1 of 2 rounds) |" in half


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
