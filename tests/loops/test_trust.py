"""Which scores are measured, by what their command names and loads."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.loops.test_workspace import git, repository

from nightpane.loops.trust import why_reported
from nightpane.loops.workspace import Workspace

__all__ = ["repository"]

SUBPROCESS = "import subprocess, sys\nsubprocess.run([sys.executable, 'train.py'])\n"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("python score.py", ""),
        ("uv run python -m score --fast", ""),
        ("cd / ; python ./score.py", ""),
        ("sh -c 'python score.py'", ""),
        ("python train.py", "the command runs train.py"),
        ("python -m train", "the command runs train.py"),
        ("python score.py && python train.py", "the command runs train.py"),
        ("bash -c 'python train.py; python score.py'", "the command runs train.py"),
        ("harbor run --agent train:Agent -p score.py", "the command runs train.py"),
        ("tool --config=train.py score.py", "the command runs train.py"),
        ("pytest .", "the command runs train.py"),
        ("make score", "names no protected file"),
        ("python -c \"print('score: 1')\"", "names no protected file"),
        ("python /elsewhere/score.py 'unbalanced", "names no protected file"),
    ],
)
def test_what_the_command_names(repository: Path, command: str, why: str) -> None:
    (repository / "score.py").write_text(SUBPROCESS, "utf-8")
    git(repository, "commit", "--quiet", "--all", "--message", "score")
    place = Workspace(repository, editable=["train.py"], protected=["score.py"])
    found = why_reported(place, command)
    assert why in found
    assert bool(why) == bool(found)


@pytest.mark.parametrize(
    "loads",
    [
        "import train",
        "import train as candidate",
        "from train import rate",
        "def later():\n    from train import rate",
        "import importlib; importlib.import_module('train')",
        "import runpy; runpy.run_path('train.py')",
        "exec(open('train.py').read())",
        "import helper",
        "from package import part",
    ],
)
def test_what_may_be_edited_does_not_run_where_it_is_scored(repository: Path, loads: str) -> None:
    (repository / "package").mkdir()
    (repository / "package" / "part.py").write_text("from ..train import rate\n", "utf-8")
    (repository / "helper.py").write_text("import train\n", "utf-8")
    (repository / "score.py").write_text(f"{loads}\n", "utf-8")
    git(repository, "add", "score.py", "helper.py", "package")
    git(repository, "commit", "--quiet", "--message", "score")
    place = Workspace(repository, editable=["train.py"], protected=["score.py"])
    assert "loads train.py, which a proposal may edit" in why_reported(place, "python score.py")


def test_a_script_that_runs_what_may_be_edited_is_no_measurement(repository: Path) -> None:
    (repository / "score.sh").write_text("python train.py\n", "utf-8")
    git(repository, "add", "score.sh")
    place = Workspace(repository, editable=["train.py"], protected=["score.sh"])
    assert "score.sh loads train.py" in why_reported(place, "sh score.sh")


def test_data_may_name_what_is_edited(repository: Path) -> None:
    (repository / "tasks").mkdir()
    (repository / "tasks" / "instruction.md").write_text("change train.py\n", "utf-8")
    place = Workspace(repository, editable=["train.py"], protected=["score.py", "tasks"])
    assert why_reported(place, "python score.py --tasks tasks") == ""
