"""Git hooks in real repositories: what is added, what is left alone, what a commit becomes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nightpane import config, hooks
from nightpane.annotations import Annotated, annotate, flush, latest, waiting
from nightpane.cli.main import run
from nightpane.errors import ConfigError
from nightpane.testing import LocalServer

_DEADLINE_S = 20.0
GIT = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")


class Repo:
    """A real repository, whose git does not know this machine's settings."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(
        self, *words: str, check: bool = True, **environ: str
    ) -> subprocess.CompletedProcess[str]:

        return subprocess.run(
            ["git", *GIT, *words],
            cwd=self.path,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    def commit(self, message: str, **written: str) -> str:
        for name, text in (written or {"file": message}).items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "--allow-empty-message", "-m", message)
        return self.sha()

    def sha(self) -> str:
        return self.git("rev-parse", "HEAD").stdout.strip()

    def hook(self, name: str = "post-commit", folder: str = ".git/hooks") -> Path:
        return self.path / folder / name

    def at(self) -> hooks.Repository:
        return hooks.Repository.at(self.path)


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NIGHTPANE_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("NIGHTPANE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / 'a "loop"\'s $(repo)')


def kept(count: int) -> list[str]:
    """Return the contents of the annotations that wait, once there are so many."""
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline:
        found = waiting(config.load(find_server=False))
        if len(found) >= count:
            break
        time.sleep(0.02)
    return [one.annotation.content for one in found]


def seen(repo: Repo, hook: str = "post-commit", branch: str = "main") -> str | None:
    """Return what a commit becomes, None when it does not count."""
    made: list[str] = []

    def mark(text: str) -> Annotated:
        made.append(text)
        return annotate(text, from_git=True)

    done = hooks.run(hook, "HEAD", branch, repo.at(), mark)
    assert bool(done.why) is not bool(made)
    return made[0] if made else None


def script(path: Path, text: str | bytes, mode: int = 0o755) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)


def test_a_commit_is_kept_offline_and_delivered_online(
    repo: Repo, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing on the PATH but what git puts there itself."""
    repo.git("commit", "-q", "--allow-empty", "-m", "before")
    assert hooks.install(repo.at()).is_complete
    words = "tune 'planner' \"v2\" $(x) `y`\n\nbody\x07"
    done = repo.git("commit", "-q", "--allow-empty", "-m", words)
    assert (done.stdout, done.stderr) == ("", "")
    short = repo.sha()[:7]
    content = f"tune 'planner' \"v2\" $(x) `y` ({short} on main)"
    assert kept(1) == [content]
    for name in ("HOST", "PROJECT_ID", "API_KEY", "PERSONAL_API_KEY"):
        monkeypatch.setenv(f"POSTHOG_{name}", server.environ[f"POSTHOG_{name}"])
    assert flush(config.load()).delivered == 1
    (document,) = latest(server.query())
    assert (document["content"], document["creation_type"]) == (content, "GIT")


def test_install_twice_changes_nothing_and_uninstall_leaves_nothing(repo: Repo) -> None:
    before = (repo.path / ".git/config").read_bytes()
    assert hooks.install(repo.at()).changed
    first = repo.hook().read_bytes(), repo.hook().stat().st_mtime_ns
    again = hooks.install(repo.at())
    assert (again.changed, again.is_complete) == (False, True)
    assert (repo.hook().read_bytes(), repo.hook().stat().st_mtime_ns) == first
    assert sys.executable not in repo.hook().read_text()
    gone = hooks.uninstall(repo.at())
    assert (gone.changed, gone.is_complete) == (True, False)
    assert not repo.hook().exists()
    assert not repo.hook("post-merge").exists()
    assert "python" not in repo.git("config", "--local", "--list").stdout
    assert len((repo.path / ".git/config").read_bytes()) - len(before) < 20
    assert not hooks.uninstall(repo.at()).changed


@pytest.mark.parametrize(
    ("text", "mode", "is_run"),
    [
        ("#!/bin/sh\nset -eu\necho ran > ran\nexit 3\n", 0o755, True),
        ("#!/usr/bin/env bash\nexec sh -c 'echo ran > ran'", 0o755, True),
        ("echo ran > ran\n", 0o755, True),
        (f"#!{sys.executable}\nopen('ran', 'w').write('ran')\n", 0o755, True),
        ("#!/bin/sh\necho ran > ran\n", 0o644, False),
    ],
    ids=["sh", "exec", "no-first-line", "python", "not-executable"],
)
def test_a_hook_that_was_there_is_run_as_before_and_comes_back(
    repo: Repo, text: str, mode: int, is_run: bool
) -> None:
    script(repo.hook(), text, mode)
    hooks.install(repo.at())
    assert not hooks.install(repo.at()).changed
    sha = repo.commit("x")
    assert (repo.path / "ran").exists() is is_run
    assert kept(1) == [f"x ({sha[:7]} on main)"]
    hooks.uninstall(repo.at())
    assert repo.hook().read_text() == text
    assert repo.hook().stat().st_mode & 0o777 == mode
    assert [path.name for path in repo.hook().parent.glob("*nightpane*")] == []


@pytest.mark.parametrize("first", ["#!/bin/sh", f"#!{sys.executable}"])
def test_the_exit_code_of_a_chained_hook_stays_its_own(repo: Repo, first: str) -> None:
    body = "exit 7" if first == "#!/bin/sh" else "raise SystemExit(7)"
    script(repo.hook(), f"{first}\n{body}\n")
    hooks.install(repo.at())
    repo.commit("x")
    assert subprocess.run([repo.hook()], cwd=repo.path).returncode == 7


def test_a_symbolic_link_is_not_written_through(repo: Repo) -> None:
    target = repo.path / "scripts" / "hook"
    script(target, "#!/bin/sh\necho ran > ran\n")
    repo.hook().parent.mkdir(exist_ok=True)
    repo.hook().symlink_to("../../scripts/hook")
    hooks.install(repo.at())
    assert target.read_text() == "#!/bin/sh\necho ran > ran\n"
    repo.commit("x")
    assert (repo.path / "ran").exists()
    hooks.uninstall(repo.at())
    assert repo.hook().is_symlink()


def test_a_hook_without_nightpane_or_git_settings_does_nothing(repo: Repo) -> None:
    hooks.install(repo.at())
    repo.git("config", "nightpane.python", "/no such/python")
    report = hooks.status(repo.at())
    assert not report.is_complete
    assert "cannot be run any more" in report.notes[0]
    done = repo.git("commit", "-q", "--allow-empty", "-m", "x")
    repo.git("config", "--unset", "nightpane.python")
    also = repo.git("commit", "-q", "--allow-empty", "-m", "y")
    assert (done.stdout + done.stderr, also.stdout + also.stderr) == ("", "")


def test_a_folder_of_the_repositorys_own_is_respected(repo: Repo) -> None:
    repo.git("config", "core.hooksPath", "my hooks")
    hooks.install(repo.at())
    assert repo.hook(folder="my hooks").exists()
    assert not repo.hook().exists()
    repo.commit("x")
    assert len(kept(1)) == 1


def test_a_shared_folder_is_asked_for_and_stays_quiet_elsewhere(repo: Repo, tmp_path: Path) -> None:
    other = Repo(tmp_path / "other")
    for one in (repo, other):
        one.git("config", "core.hooksPath", str(tmp_path / "shared"))
    with pytest.raises(ConfigError, match="--shared"):
        hooks.install(repo.at())
    assert hooks.install(repo.at(), shared=True).is_complete
    other.commit("not annotated")
    sha = repo.commit("annotated")
    assert kept(1) == [f"annotated ({sha[:7]} on main)"]
    report = hooks.uninstall(repo.at())
    assert "stay for other repositories" in report.notes[0]
    assert (tmp_path / "shared" / "post-commit").exists()
    hooks.uninstall(repo.at(), shared=True)
    assert not (tmp_path / "shared" / "post-commit").exists()


def test_hooks_that_are_switched_off(repo: Repo) -> None:
    repo.git("config", "core.hooksPath", "/dev/null")
    with pytest.raises(ConfigError, match="cannot be changed"):
        hooks.install(repo.at(), shared=True)
    assert "python" not in repo.git("config", "--local", "--list").stdout


def test_husky_keeps_its_generated_folder(repo: Repo) -> None:
    """Laid out as husky 9 does it: git runs ``_``, which runs the file beside it."""
    runner = '#!/bin/sh\nsh -e "$(dirname "$0")/../$(basename "$0")" "$@"\n'
    script(repo.hook(folder=".husky/_"), runner)
    script(repo.hook(folder=".husky"), "echo ran > ran\n", 0o644)
    repo.git("config", "core.hooksPath", ".husky/_")
    hooks.install(repo.at())
    assert repo.hook(folder=".husky/_").read_text() == runner
    repo.commit("x")
    assert (repo.path / "ran").exists()
    assert len(kept(1)) == 1
    hooks.uninstall(repo.at())
    assert repo.hook(folder=".husky").read_text() == "echo ran > ran\n"


def test_pre_commit_may_move_ours_and_is_noted(repo: Repo) -> None:
    hooks.install(repo.at())
    repo.hook().rename(repo.hook("post-commit.legacy"))
    script(repo.hook(), '#!/bin/sh\n# File generated by pre-commit\n"$0.legacy" "$@"\n')
    report = hooks.status(repo.at())
    assert report.hooks[0].manager == "pre-commit"
    assert report.is_complete
    hooks.uninstall(repo.at())
    assert not repo.hook("post-commit.legacy").exists()
    assert repo.hook().exists()


def test_a_work_tree_shares_the_hooks(repo: Repo, tmp_path: Path) -> None:
    repo.commit("first")
    repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "tree"))
    assert hooks.install(hooks.Repository.at(tmp_path / "tree")).is_complete
    subprocess.run(
        ["git", *GIT, "commit", "-q", "--allow-empty", "-m", "x"], cwd=tmp_path / "tree", check=True
    )
    (content,) = kept(1)
    assert content.endswith(" on side)")
    assert repo.hook().exists()


def test_a_pull_tells_how_many_commits_came(repo: Repo, tmp_path: Path) -> None:
    repo.commit("one")
    repo.git("clone", "-q", str(repo.path), str(tmp_path / "clone"))
    clone = Repo.__new__(Repo)
    clone.path = tmp_path / "clone"
    hooks.install(clone.at())
    repo.commit("two")
    sha = repo.commit("three")
    clone.git("pull", "-q", "--ff-only")
    assert kept(1) == [f"merged 2 commits: three ({sha[:7]} on main)"]


def test_an_amend_counts_when_a_file_changed_and_a_rebase_never(repo: Repo) -> None:
    repo.commit("base")
    repo.commit("one")
    repo.git("commit", "-q", "--amend", "-m", "reworded")
    assert seen(repo) is None
    (repo.path / "file").write_text("other")
    repo.git("commit", "-q", "--amend", "-a", "-m", "changed")
    assert str(seen(repo)).startswith("changed (")
    repo.git("checkout", "-q", "-b", "side", "HEAD~1")
    repo.commit("side", other="x")
    repo.git("rebase", "-q", "main")
    assert seen(repo) is None


@pytest.mark.parametrize(
    ("setting", "value", "counts"),
    [
        ("path", "prompts/**", True),
        ("path", "*.md", False),
        ("path", "!prompts/**", False),
        ("path", "!docs/**", True),
        ("branch", "ma*", True),
        ("branch", "release/*", False),
        ("message", r"^(feat|fix)\b", True),
        ("message", "wip", False),
    ],
)
def test_which_commits_count(repo: Repo, setting: str, value: str, counts: bool) -> None:
    repo.commit("first", base="x")
    repo.commit("feat: planner", **{"prompts/the planner.txt": "v2"})
    repo.git("config", f"nightpane.{setting}", value)
    assert (seen(repo) is not None) is counts


def test_the_author_is_told_only_when_asked_for(repo: Repo) -> None:
    sha = repo.commit("x")
    assert seen(repo) == f"x ({sha[:7]} on main)"
    repo.git("config", "nightpane.author", "true")
    assert seen(repo, branch="") == f"x ({sha[:7]}) by Ada"


def test_odd_messages(repo: Repo) -> None:
    sha = repo.commit("")
    assert seen(repo) == f"commit {sha[:7]} on main"
    repo.commit("l" * 500)
    assert len(str(seen(repo)).partition(" (")[0]) == 200


def test_rules_that_cannot_be_used(repo: Repo) -> None:
    repo.commit("x")
    repo.git("config", "nightpane.message", "(")
    with pytest.raises(ConfigError, match=r"nightpane\.message"):
        seen(repo)
    with pytest.raises(ConfigError, match="none of nightpane's"):
        hooks.run("pre-push", "HEAD", "", repo.at(), annotate)
    with pytest.raises(ConfigError, match="not the name of a commit"):
        hooks.run("post-commit", "--all", "", repo.at(), annotate)
    with pytest.raises(ConfigError, match="not a folder"):
        hooks.Repository.at(repo.path / "nowhere")


def test_the_command(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    def asked(*words: str) -> tuple[int, Any]:
        code = run(["hooks", *words, "--repo", str(repo.path), "--json"])
        return code, json.loads(capsys.readouterr().out)

    assert asked("status")[0] == 1
    assert asked("install")[0] == 0
    repo.git("config", "nightpane.path", "prompts/**")
    code, shown = asked("status")
    assert (code, shown["rules"]["path"], shown["python"]) == (0, ["prompts/**"], sys.executable)
    assert asked("uninstall")[0] == 0
    assert run(["hooks", "status", "--repo", str(repo.path)]) == 1
    assert "post-commit: missing" in capsys.readouterr().out


def test_run_by_hand(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sha = repo.commit("x")
    monkeypatch.chdir(repo.path)
    assert run(["hooks", "run", "post-commit"]) == 0
    assert capsys.readouterr().out.strip() == f"kept, not delivered yet: x ({sha[:7]} on main)"
    repo.git("config", "nightpane.path", "none")
    assert run(["hooks", "run", "post-commit", "--json"]) == 0
    assert "nightpane.path" in json.loads(capsys.readouterr().out)["why"]
