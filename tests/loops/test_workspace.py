"""What a proposal may touch in a repository, and how it is taken back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nightpane.errors import LoopError
from nightpane.loops.workspace import Workspace


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "a repository"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    for name, value in (("user.name", "Test"), ("user.email", "test@example.org")):
        git(root, "config", name, value)
    (root / "train.py").write_text("rate = 1\n", "utf-8")
    (root / "score.py").write_text("print('score')\n", "utf-8")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "start")
    (root / "notes.txt").write_text("of the user\n", "utf-8")
    return root


def workspace(root: Path) -> Workspace:
    return Workspace(root, editable=["train.py", "extra/*"], protected=["score.py"])


def test_a_round_is_committed_or_taken_back(repository: Path) -> None:
    place = workspace(repository)
    place.begin("loop/1")
    best = place.head
    (repository / "train.py").write_text("rate = 2\n", "utf-8")
    (repository / "extra").mkdir()
    (repository / "extra" / "new é.py").write_text("x = 1\n", "utf-8")
    change = place.change()
    assert change.files == ("extra/new é.py", "train.py")
    assert "+rate = 2" in change.diff
    assert change.lines == 3
    kept = place.commit(change, "kept\n\nwith 'quotes'")
    assert place.branch == "loop/1"
    assert git(repository, "log", "--format=%s") == "kept\nstart"
    place.back_to(best)
    assert place.head == best != kept
    assert (repository / "train.py").read_text("utf-8") == "rate = 1\n"
    assert not (repository / "extra" / "new é.py").exists()
    assert (repository / "notes.txt").exists()


def test_what_was_not_committed_is_taken_back_too(repository: Path) -> None:
    place = workspace(repository)
    (repository / "train.py").unlink()
    (repository / "elsewhere.py").write_text("x\n", "utf-8")
    with pytest.raises(LoopError, match=r"touches elsewhere\.py"):
        place.change()
    place.back_to(place.head)
    assert (repository / "train.py").exists()
    assert not (repository / "elsewhere.py").exists()
    assert (repository / "notes.txt").exists()


def test_nothing_changed_is_an_empty_change(repository: Path) -> None:
    assert workspace(repository).change().files == ()


def test_the_scorers_files_are_not_to_be_edited(repository: Path) -> None:
    place = Workspace(repository, editable=["*"], protected=["score.py"])
    (repository / "score.py").write_text("print('better')\n", "utf-8")
    with pytest.raises(LoopError, match=r"touches score\.py"):
        place.change()
    with pytest.raises(LoopError, match=r"score\.py changed while the loop ran"):
        place.check_protected()


def test_a_branch_is_taken_up_again(repository: Path) -> None:
    workspace(repository).begin("loop/1")
    git(repository, "checkout", "--quiet", "main")
    place = workspace(repository)
    place.begin("loop/1")
    assert place.branch == "loop/1"


def test_a_tree_with_changes_is_refused(repository: Path) -> None:
    (repository / "train.py").write_text("mine\n", "utf-8")
    with pytest.raises(LoopError, match=r"not committed \(train\.py\)"):
        workspace(repository).begin("loop/1")


def test_what_is_no_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoopError, match="is no git repository"):
        Workspace(tmp_path, editable=["x"])
    git(tmp_path, "init", "--quiet")
    with pytest.raises(LoopError, match="has no commit yet"):
        Workspace(tmp_path, editable=["x"])


def test_nothing_to_edit_or_to_protect_is_refused(repository: Path) -> None:
    with pytest.raises(LoopError, match="no file may be edited"):
        Workspace(repository, editable=[])
    with pytest.raises(LoopError, match=r"'gone\.py' in .* is to be protected"):
        Workspace(repository, editable=["x"], protected=["gone.py"])
