"""What a hook does: look at what came, and annotate it if it counts.

It may run seconds after the commit, beside the user's next command: it is told the commit, asks git
only what cannot change any more, and takes no lock.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from nightpane.annotations import Annotated
from nightpane.errors import ConfigError
from nightpane.hooks.repository import HOOKS, Repository
from nightpane.hooks.rules import Rules

__all__ = ["Seen", "run"]

_SHA = re.compile(r"[0-9a-f]{7,64}\Z")
_SHORT = 7
_SUBJECT = 200
# How far back the reflog is searched for the commit: it is nearly always its first line.
_REFLOG = 50


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a commit: the annotation made, or why it does not count."""

    annotated: Annotated | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Change:
    """Commits that came at once: from ``old`` (None: nothing) to ``new``."""

    new: str
    old: str | None
    action: str


def run(
    hook: str, sha: str, branch: str, repository: Repository, annotate: Callable[[str], Annotated]
) -> Seen:
    """Annotate what a hook was called for, if it counts. ``branch`` is empty for a detached HEAD.

    Raises ConfigError for an unknown hook or commit and for a rule that cannot be used, and what
    ``annotate`` raises.
    """
    if hook not in HOOKS:
        raise ConfigError(f"hook {hook!r} is none of nightpane's: {', '.join(HOOKS)}")
    change = _change(repository, hook, sha)
    rules = Rules.of(repository)
    if why := _unfit(repository, rules, hook, change, branch):
        return Seen(None, why)
    return Seen(annotate(_content(repository, rules, hook, change, branch)))


def _change(repository: Repository, hook: str, sha: str) -> _Change:
    if sha != "HEAD" and not _SHA.match(sha):
        raise ConfigError(f"{sha!r} is not the name of a commit")
    new = repository.git("rev-parse", "--verify", "--quiet", f"{sha}^{{commit}}")
    entries = _reflog(repository)
    at = next((i for i, (commit, _) in enumerate(entries) if commit == new), None)
    action = entries[at][1] if at is not None else ""
    before = entries[at + 1][0] if at is not None and at + 1 < len(entries) else None
    if hook == "post-commit" and not action.startswith("commit (amend)"):
        parents = repository.git("rev-list", "--parents", "--max-count=1", new).split()[1:]
        before = parents[0] if parents else None
    return _Change(new, before, action)


def _reflog(repository: Repository) -> list[tuple[str, str]]:
    """Return where HEAD was, the latest first, and what moved it there; nothing without a log."""
    try:
        text = repository.git("log", "-g", f"--max-count={_REFLOG}", "--format=%H %gs", "HEAD")
    except ConfigError:
        return []
    return [(sha, action) for sha, _, action in (line.partition(" ") for line in text.splitlines())]


def _unfit(
    repository: Repository, rules: Rules, hook: str, change: _Change, branch: str
) -> str | None:
    if change.action.startswith("rebase"):
        return "a rebase: the same changes once more"
    if not rules.on_branch(branch):
        return f"the branch {branch or 'HEAD'!r} does not count (nightpane.branch)"
    is_amended = change.action.startswith("commit (amend)")
    if hook == "post-merge" and change.old is None:
        return "the reflog does not tell what the merge brought"
    if is_amended and change.old is not None and not _files(repository, change, []):
        return "an amended message: the files are the same"
    if rules.paths and not _files(repository, change, rules.pathspecs()):
        return "no file of it counts (nightpane.path)"
    if not rules.says(_messages(repository, hook, change)):
        return "its message does not count (nightpane.message)"
    return None


def _files(repository: Repository, change: _Change, pathspecs: list[str]) -> bool:
    """Tell whether files changed, among those that the pathspecs name."""
    old = [] if change.old is None else [change.old]
    root = ["--root"] if change.old is None else []
    return bool(
        repository.git(
            *("diff-tree", "--no-commit-id", "--name-only", "-r", "-z"),
            *(*root, *old, change.new, "--", *pathspecs),
        )
    )


def _messages(repository: Repository, hook: str, change: _Change) -> list[str]:
    what = ["--max-count=1", change.new]
    if hook == "post-merge" and change.old is not None:
        what = ["--max-count=1000", change.new, f"^{change.old}"]
    return repository.git("log", "-z", "--format=%B", *what).split("\0")


def _content(repository: Repository, rules: Rules, hook: str, change: _Change, branch: str) -> str:
    subject, _, author = repository.git(
        "log", "--max-count=1", "--format=%s%x00%an", change.new
    ).partition("\0")
    subject = " ".join(subject.split())
    if len(subject) > _SUBJECT:
        subject = subject[: _SUBJECT - 1] + "…"
    where = f"{change.new[:_SHORT]} on {branch}" if branch else change.new[:_SHORT]
    text = f"{subject} ({where})" if subject else f"commit {where}"
    if hook == "post-merge" and change.old is not None:
        count = int(repository.git("rev-list", "--count", change.new, f"^{change.old}"))
        text = f"merged {count} {'commit' if count == 1 else 'commits'}: {text}"
    return f"{text} by {author}" if rules.author and author else text
