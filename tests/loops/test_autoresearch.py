"""``nightpane loop`` on the example, which trains for real."""

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

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "autoresearch"
MEASURE = ["--metric", "val_loss", "--direction", "min", "--dim", "accuracy"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    pytest.importorskip("sklearn")
    root = tmp_path / "digits"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".gitignore").write_text("__pycache__\n", "utf-8")
    git(root, "init", "--quiet", "--initial-branch", "main")
    for name, value in (("user.name", "Test"), ("user.email", "test@example.org")):
        git(root, "config", name, value)
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "start")
    return root


def loop(
    root: Path, *more: str, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "nightpane",
        "loop",
        "autoresearch",
        str(root),
        "--edit",
        "train.py",
    ]
    command += ["--protect", "prepare.py", "--run", f"{sys.executable} train.py", *MEASURE]
    command += ["--propose", f"{sys.executable} propose.py", "--json", *more]
    given = {**os.environ, "NIGHTPANE_STATE_DIR": str(root.parent / "state"), **(environ or {})}
    return subprocess.run(command, capture_output=True, text=True, env=given)


def test_a_night_of_training_gets_better(repository: Path, server: LocalServer) -> None:
    environ = {"POSTHOG_HOST": server.host, "POSTHOG_API_KEY": server.api_key}
    done = loop(repository, "--max-rounds", "3", environ=environ)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["reason"], outcome["rounds"]) == ("max_rounds", 3)
    ledger = (repository / "results.tsv").read_text("utf-8").splitlines()
    assert ledger[0] == "commit\tval_loss\tmemory_gb\tstatus\tdescription"
    scores = [float(line.split("\t")[1]) for line in ledger[1:]]
    assert len(scores) == 3
    assert outcome["best_score"] == pytest.approx(min(scores), abs=1e-6)
    assert outcome["best_score"] < scores[0] * 0.97
    assert git(repository, "rev-parse", "HEAD") == outcome["best_commit"]
    assert git(repository, "rev-parse", "--abbrev-ref", "HEAD").startswith("nightpane/")
    answer = server.query().hogql(
        "select count(), min(toFloat(properties.score)), max(toFloat(properties.dim_accuracy)) "
        "from events where event = 'round_scored' and properties.run_id = {run}",
        {"run": outcome["run_id"]},
    )
    ((count, best, accuracy),) = answer.rows
    assert count == 3
    assert best == pytest.approx(outcome["best_score"])
    assert 0 < accuracy <= 1


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ((), "the loop would never end"),
        (("--max-rounds", "3", "--keep", "often"), "neither better, noise nor a number"),
        (("--max-rounds", "3", "--protect", "gone.py"), "is to be protected, but is not there"),
    ],
)
def test_what_is_wrong_is_told(repository: Path, more: tuple[str, ...], says: str) -> None:
    done = loop(repository, *more)
    assert done.returncode in (1, 2, 3)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
