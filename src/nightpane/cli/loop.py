"""``nightpane loop``: run one of the three loops over a target, until a limit is reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nightpane.cli._loop_options import Common, loop_options, run_loop

__all__ = ["command"]


@click.group("loop")
def command() -> None:
    """Run a loop: propose, apply, score, keep or revert.

    The first round measures what is there. Each kept proposal is a commit on a branch of the run's
    own. A loop that was killed goes on when it is started again. Exit code 1 when no round was kept
    but the first.
    """


@command.command("autoresearch")
@click.argument("repository", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--edit", multiple=True, required=True, metavar="GLOB", help="What may be edited.")
@click.option("--run", required=True, metavar="COMMAND", help="Trains, and prints the metric.")
@click.option("--run-timeout", type=click.FloatRange(min=1), default=600, show_default=True)
@click.option("--metric", required=True, help="The name before the number, such as val_bpb.")
@click.option("--direction", type=click.Choice(["min", "max"]), required=True)
@click.option("--dim", "dims", multiple=True, metavar="NAME", help="Another number it prints.")
@click.option("--protect", multiple=True, metavar="GLOB", help="The files that measure.")
@loop_options(project="autoresearch")
def autoresearch(
    repository: Path,
    edit: tuple[str, ...],
    run: str,
    run_timeout: float,
    metric: str,
    direction: str,
    dims: tuple[str, ...],
    protect: tuple[str, ...],
    **given: Any,
) -> int:
    """Train, read a number, keep what makes it better, in the git REPOSITORY.

    results.tsv in the repository is the ledger.
    """
    from nightpane.loops.autoresearch import AutoResearch

    common = Common(**given)
    research = AutoResearch(
        repository=repository,
        edit=edit,
        run=run,
        metric=metric,
        direction="min" if direction == "min" else "max",
        timeout_s=run_timeout,
        limits=common.limits,
        protect=protect,
        dims=dims,
        rule=common.rule,
        escalate_after=common.escalate_after,
    )
    return run_loop(
        common,
        lambda pane, state_dir, say: research.loop(pane, common.proposers, state_dir, say=say),
    )
