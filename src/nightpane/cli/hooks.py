"""``nightpane hooks``: commits become annotations."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from nightpane import config, hooks
from nightpane.annotations import annotate, flush, waiting
from nightpane.cli._output import emit, json_option, printable
from nightpane.errors import NightpaneError

__all__ = ["command"]

_LIMIT_S = 60


@click.group()
def command() -> None:
    """Annotate commits: install, look at or remove git hooks.

    A commit, or a merge that arrives by pull, becomes an annotation, in the background and without
    holding up git. Which ones count is told by the git settings nightpane.path, nightpane.branch,
    nightpane.message and nightpane.author.
    """


def _where(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--repo", type=click.Path(path_type=Path), help="A folder in the repository. Default: here."
    )(function)


_shared = click.option(
    "--shared", is_flag=True, help="Also in a hooks folder outside of the repository."
)


@command.command("install")
@_where
@_shared
@json_option
def install(repo: Path | None, shared: bool, as_json: bool) -> int:
    """Install the hooks post-commit and post-merge; twice changes nothing.

    Hooks that are there already stay and are run as before.
    """
    report = hooks.install(hooks.Repository.at(repo), shared=shared)
    _show(report, as_json=as_json)
    return 0 if report.is_complete else 1


@command.command("uninstall")
@_where
@_shared
@json_option
def uninstall(repo: Path | None, shared: bool, as_json: bool) -> None:
    """Remove what install added, and nothing else."""
    report = hooks.uninstall(hooks.Repository.at(repo), shared=shared)
    _show(report, as_json=as_json)


@command.command("status")
@_where
@json_option
def status(repo: Path | None, as_json: bool) -> int:
    """Show the hooks, their rules and what waits. Ends with 1 when one is missing or broken."""
    repository = hooks.Repository.at(repo)
    rules = hooks.Rules.of(repository)
    kept = len(waiting(config.load(find_server=False, cwd=repository.top)))
    report = hooks.status(repository)
    _show(report, as_json=as_json, rules=rules, kept=kept)
    return 0 if report.is_complete else 1


@command.command("run")
@click.argument("hook", type=click.Choice(hooks.HOOKS))
@click.argument("sha", default="HEAD")
@click.option("--branch", help="The branch it was made on. Default: the one checked out.")
@click.option("--quiet", is_flag=True, help="Print nothing and end with 0: what a hook needs.")
@json_option
def run(hook: str, sha: str, branch: str | None, quiet: bool, as_json: bool) -> int:
    """Annotate a commit if it counts: what the hooks call."""
    if quiet:
        _behave()
        try:
            _run(hook, sha, branch)
        except NightpaneError:
            # Nobody is there to read it. A commit must not fail for it.
            return 0
        return 0
    seen = _run(hook, sha, branch)
    done = seen.annotated
    report = {"why": seen.why, "state": None, "content": None}
    line = f"not annotated: {seen.why}"
    if done is not None:
        report |= {"state": done.state, "content": done.annotation.content}
        word = "kept, not delivered yet" if done.state == "kept" else done.state
        line = f"{word}: {done.annotation.content}"
    emit(report, as_json=as_json, render=lambda to: to.print(_safe(line)))
    return 0


def _run(hook: str, sha: str, branch: str | None) -> hooks.Seen:
    repository = hooks.Repository.at()
    settings = config.load(cwd=repository.top)
    if branch is None:
        branch = repository.git("rev-parse", "--symbolic-full-name", "HEAD")
    branch = "" if branch == "HEAD" else branch.removeprefix("refs/heads/")
    mark = functools.partial(annotate, settings=settings, from_git=True)
    seen = hooks.run(hook, sha, branch, repository, mark)
    if seen.annotated is None:
        flush(settings)
    return seen


def _behave() -> None:
    """Be out of everyone's way: end after a minute, and with no terminal but one's own."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_LIMIT_S)
    try:
        os.setsid()
    except PermissionError:
        return  # it leads its group already


def _show(
    report: hooks.Report,
    *,
    as_json: bool,
    rules: hooks.Rules | None = None,
    kept: int | None = None,
) -> None:
    document: dict[str, Any] = {
        "hooks": [{**asdict(hook), "path": str(hook.path)} for hook in report.hooks],
        "python": report.python,
        "changed": report.changed,
        "notes": list(report.notes),
    }
    if rules is not None:
        document["rules"] = {
            "path": list(rules.paths),
            "branch": list(rules.branches),
            "message": None if rules.message is None else rules.message.pattern,
            "author": rules.author,
        }
        document["waiting"] = kept

    def render(to: Console) -> None:
        for hook in report.hooks:
            to.print(f"{hook.name}: {hook.state}, {_safe(str(hook.path))}")
        to.print(f"python: {_safe(report.python or 'none recorded')}")
        for name, value in document.get("rules", {}).items():
            if value:
                shown = ", ".join(value) if isinstance(value, list) else str(value)
                to.print(f"nightpane.{name}: {_safe(shown)}")
        if kept:
            to.print(f"{kept:,} annotations wait to be delivered")
        for note in report.notes:
            to.print(f"note: {_safe(note)}")

    emit(document, as_json=as_json, render=render)


def _safe(text: str) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8")
    return escape(printable(text))
