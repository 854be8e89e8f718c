"""The programs in docs/model-calls.md run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.client.support import read_events
from tests.llm.provider import ANSWER, Provider

PAGE = Path(__file__).parents[2] / "docs" / "model-calls.md"
PROGRAMS = [
    block
    for block in re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    if "nightpane.Pane(" in block
]


def name_of(program: str) -> str:
    return re.findall(r"llm\.(\w+\(\w*)", program)[0]


@pytest.mark.parametrize("program", PROGRAMS, ids=name_of)
def test_it_runs_and_its_call_is_recorded_in_the_round(
    program: str, provider: Provider, tmp_path: Path
) -> None:
    environ = {
        **os.environ,
        "POSTHOG_HOST": "http://127.0.0.1:9",
        "POSTHOG_API_KEY": "phc_test",
        "NIGHTPANE_SPOOL_DIR": str(tmp_path / "spool"),
        "NIGHTPANE_STATE_DIR": str(tmp_path / "state"),
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": provider.host + "/v1",
        "ANTHROPIC_API_KEY": "sk-test",
        "ANTHROPIC_BASE_URL": provider.host,
        "GEMINI_API_KEY": "test",
        "GOOGLE_GEMINI_BASE_URL": provider.host,
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert ANSWER in done.stdout
    events = list(read_events(tmp_path / "spool"))
    (call,) = (e["properties"] for e in events if e["event"] == "$ai_generation")
    (began,) = (e["properties"] for e in events if e["event"] == "round_started")
    assert call["$ai_trace_id"] == call["round_id"] == began["round_id"]
    assert ANSWER in str(call["$ai_output_choices"]).replace("steps. ", "steps.")


def test_there_is_one_for_each_provider() -> None:
    assert len(PROGRAMS) == 6
