"""``nightpane loop autoagent`` on the example: a harness that learns to pass real tasks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.loops.test_engine import git

from nightpane.testing import LocalServer

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "autoagent"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "agent"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns("__pycache__", "jobs"))
    (root / ".gitignore").write_text("__pycache__\njobs\n", "utf-8")
    git(root, "init", "--quiet", "--initial-branch", "main")
    for name, value in (("user.name", "Test"), ("user.email", "test@example.org")):
        git(root, "config", name, value)
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "start")
    return root


def loop(
    root: Path, *more: str, propose: str = "propose.py", environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nightpane", "loop", "autoagent", str(root)]
    command += ["--edit", "agent.py", "--protect", "bench.py", "--protect", "tasks/**/*"]
    command += ["--run", f"{sys.executable} bench.py", "--tasks", "tasks"]
    command += ["--propose", f"{sys.executable} {propose}", "--json", *more]
    given = {**os.environ, "NIGHTPANE_STATE_DIR": str(root.parent / "state"), **(environ or {})}
    return subprocess.run(command, capture_output=True, text=True, env=given)


def test_a_harness_learns_tasks(repository: Path, server: LocalServer) -> None:
    environ = {"POSTHOG_HOST": server.host, "POSTHOG_API_KEY": server.api_key}
    done = loop(repository, "--max-rounds", "6", environ=environ)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    lines = (repository / "results.tsv").read_text("utf-8").splitlines()
    header, *rows = (line.split("\t") for line in lines)
    assert " ".join(header) == "commit avg_score passed task_scores cost_usd status description"
    assert rows[0][2] == "2/8"
    passed = [int(row[2].split("/")[0]) for row in rows]
    assert outcome["best_score"] == pytest.approx(max(passed) / 8)
    assert max(passed) > 2
    answer = server.query().hogql(
        "select properties.case_id, properties.passed, count(), uniq(properties.suite_id) "
        "from events where event = 'eval.case' and properties.run_id = {run} "
        "group by 1, 2 order by 1, 2",
        {"run": outcome["run_id"]},
    )
    assert sum(row[2] for row in answer.rows) == 6 * 8
    counted = {case: 0 for case, *_ in answer.rows}
    for case, was_passed, count, _ in answer.rows:
        counted[case] += count if was_passed in (True, "true", 1) else 0
    assert sum(counted.values()) == sum(passed)
    assert counted["copy-notes"] == 6


PROPOSALS = {
    # As good, and less of it: kept. As good, and more of it: reverted. Worse: a regression.
    1: ('    ("make capital letters", shout),\n', ""),
    2: ("IGNORED = {", 'LONGER = "a b c d"\nIGNORED = {'),
    3: ('    ("count lines", count_lines),\n', ""),
}


def test_ties_go_to_the_simpler_harness(repository: Path, server: LocalServer) -> None:
    script = (
        "import json, os, pathlib\n"
        f"moves = {PROPOSALS!r}\n"
        "brief = json.loads(pathlib.Path(os.environ['NIGHTPANE_BRIEF']).read_text())\n"
        "path = pathlib.Path('agent.py')\n"
        "path.write_text(path.read_text().replace(*moves[len(brief['tried'])]))\n"
        "print('move', len(brief['tried']))\n"
    )
    other = repository.parent / "other.py"
    other.write_text(script, "utf-8")
    environ = {"POSTHOG_HOST": server.host, "POSTHOG_API_KEY": server.api_key}
    done = loop(repository, "--max-rounds", "4", propose=str(other), environ=environ)
    outcome = json.loads(done.stdout)
    rows = [line.split("\t") for line in (repository / "results.tsv").read_text().splitlines()]
    assert [row[5] for row in rows[1:]] == ["keep", "keep", "discard", "discard"]
    answer = server.query().hogql(
        "select event, properties.keep_why, properties.case_id, properties.delta from events "
        "where properties.run_id = {run} and event in ('round_kept', 'eval.regression') "
        "order by timestamp, event",
        {"run": outcome["run_id"]},
    )
    assert [(row[0], row[1]) for row in answer.rows if row[0] == "round_kept"] == [
        ("round_kept", "the first score there is"),
        ("round_kept", "as good, and the harness is simpler"),
    ]
    lost = [(row[2], float(row[3])) for row in answer.rows if row[0] == "eval.regression"]
    assert lost == [("count-lines", -1.0)]


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (("--tasks", "0", "--max-rounds", "2"), 2, "one task or more"),
        (("--tasks", "none", "--max-rounds", "2"), 3, "holds no task"),
        (("--metric", "best", "--max-rounds", "2"), 2, "'best' is not one of"),
    ],
)
def test_what_is_wrong_is_told(
    repository: Path, more: tuple[str, ...], code: int, says: str
) -> None:
    done = loop(repository, *more)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
