"""A type checker sees what a loop's author gets wrong in a call."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CALLS = """\
from nightpane.catalog import RoundReverted, RoundScored, StepPlan
RoundReverted(failure_mode="crash", reason=None)
RoundScored(score=1, direction="min")
RoundReverted()  # [call-arg]
RoundScored(0.7)  # [call-arg]
RoundReverted(failure_mode="crash", cost="0.1")  # [call-arg]
RoundScored(score="0.7")  # [arg-type]
RoundScored(score=0.7, direction="up")  # [arg-type]
StepPlan(step_id=None)  # [arg-type]
StepPlan(step_id="x").plan = "y"  # [misc]
"""


def test_mypy_checks_calls(tmp_path: Path) -> None:
    calls = tmp_path / "calls.py"
    calls.write_text(CALLS, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(calls)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    found = re.findall(r"calls\.py:(\d+): error: .*(\[[a-z-]+\])", done.stdout)
    wanted = [
        (str(number), line.split("# ")[1])
        for number, line in enumerate(CALLS.splitlines(), 1)
        if "# [" in line
    ]
    assert found == wanted, done.stdout + done.stderr
