"""The commit of the loop's code, read without starting git."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nightpane.client import gitsha

ENVIRON = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    **{
        f"GIT_{who}_{what}": "a@b.c"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
}


def git(path: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(path), *arguments],
        env=ENVIRON,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    git(path, "commit", "-q", "--allow-empty", "-m", "first")
    return path


def test_the_branchs_commit(repository: Path) -> None:
    inner = repository / "a" / "b"
    inner.mkdir(parents=True)
    assert gitsha.short_sha(inner) == git(repository, "rev-parse", "HEAD")[:7]


def test_a_packed_branch(repository: Path) -> None:
    git(repository, "pack-refs", "--all")
    assert gitsha.short_sha(repository) == git(repository, "rev-parse", "HEAD")[:7]


def test_a_detached_head(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    assert gitsha.short_sha(repository) == git(repository, "rev-parse", "HEAD")[:7]


def test_a_worktree(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    git(tmp_path / "tree", "commit", "-q", "--allow-empty", "-m", "second")
    second = git(tmp_path / "tree", "rev-parse", "HEAD")
    assert gitsha.short_sha(tmp_path / "tree") == second[:7]
    assert gitsha.short_sha(repository) != second[:7]


def test_no_repository_no_commit_no_error(tmp_path: Path) -> None:
    assert gitsha.short_sha(tmp_path) is None
    assert gitsha.short_sha(tmp_path / "absent") is None
    assert gitsha.short_sha(None) is None


@pytest.mark.parametrize(
    "head", ["", "garbage", "ref: refs/heads/none", "ref: ../../x", "\xff" * 40]
)
def test_a_broken_repository_is_none(tmp_path: Path, head: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(head, "utf-8")
    assert gitsha.short_sha(tmp_path) is None


def test_an_empty_repository_is_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert gitsha.short_sha(tmp_path) is None


def test_the_script_tells_where_the_code_is(repository: Path, tmp_path: Path) -> None:
    script = repository / "loop.py"
    script.write_text("from nightpane.client import gitsha; print(gitsha.code_folder())")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(repository.resolve())
