"""``nightpane loop``: run one of the three loops over a target, until a limit is reached."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from nightpane.cli._loop_options import Common, loop_options, run_loop
from nightpane.config import load

__all__ = ["command"]

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


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
@click.option("--measure", metavar="COMMAND", help="Prints the metric in place of --run.")
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
    measure: str | None,
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
        measure=measure,
        rule=common.rule,
        escalate_after=common.escalate_after,
        kill_flag=common.kill_flag,
    )
    return run_loop(
        common,
        lambda pane, state_dir, say: research.loop(pane, common.proposers, state_dir, say=say),
    )


@command.command("autoagent")
@click.argument("repository", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--edit", multiple=True, required=True, metavar="GLOB", help="The harness's files.")
@click.option("--run", required=True, metavar="COMMAND", help="Runs the benchmark.")
@click.option("--run-timeout", type=click.FloatRange(min=1), default=3600, show_default=True)
@click.option(
    "--rewards",
    type=click.Path(path_type=Path),
    default=Path("jobs"),
    show_default=True,
    help="Where the benchmark leaves its rewards: Harbor's jobs, or a JSON file.",
)
@click.option(
    "--tasks",
    required=True,
    metavar="FOLDER|N",
    help="The benchmark's tasks, or how many: one without a reward is not passed.",
)
@click.option(
    "--metric",
    type=click.Choice(["pass_rate", "avg_score"]),
    default="pass_rate",
    show_default=True,
)
@click.option("--threshold", type=float, default=1.0, show_default=True, help="Passes a task.")
@click.option("--protect", multiple=True, metavar="GLOB", help="The files that measure.")
@loop_options(project="autoagent")
def autoagent(
    repository: Path,
    edit: tuple[str, ...],
    run: str,
    run_timeout: float,
    rewards: Path,
    tasks: str,
    metric: str,
    threshold: float,
    protect: tuple[str, ...],
    **given: Any,
) -> int:
    """Run a benchmark over an agent's harness in the git REPOSITORY, keep what passes more tasks.

    As many tasks passed: the higher average reward wins, then the simpler harness. results.tsv in
    the repository is the ledger.
    """
    from nightpane.loops.autoagent import AutoAgent, task_names

    common = Common(**given)
    agent = AutoAgent(
        repository=repository,
        edit=edit,
        run=run,
        rewards=rewards,
        tasks=_count(tasks) or task_names(repository / tasks),
        timeout_s=run_timeout,
        limits=common.limits,
        metric="avg_score" if metric == "avg_score" else "pass_rate",
        threshold=threshold,
        protect=protect,
        rule=common.rule,
        escalate_after=common.escalate_after,
        kill_flag=common.kill_flag,
    )
    return run_loop(
        common,
        lambda pane, state_dir, say: agent.loop(pane, common.proposers, state_dir, say=say),
    )


@command.command("gtm")
@click.argument("container", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--signals", type=_FILE, help="A snapshot of what the advertising accounts saw.")
@click.option("--old-signals", is_flag=True, help="Allow a snapshot of more than 72 hours.")
@click.option("--profile", help="Weigh by this profile of the rubric.")
@click.option("--rubric", type=_FILE, help="A rubric of your own.")
@click.option("--judge", metavar="MODEL", help="A model grades too, at OPENAI_BASE_URL.")
@click.option(
    "--stage",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the best container here.",
)
@click.option(
    "--workspace",
    metavar="PATH",
    help="Stage in Tag Manager too: accounts/1/containers/2/NAME, a workspace of that name.",
)
@click.option("--store", metavar="ADDRESS", help="Keep versions here: a folder, s3://…, R2.")
@loop_options(project="gtm-autoresearch")
def gtm(
    container: Path,
    signals: Path | None,
    old_signals: bool,
    profile: str | None,
    rubric: Path | None,
    judge: str | None,
    stage: Path | None,
    workspace: str | None,
    store: str | None,
    **given: Any,
) -> int:
    """Improve a Tag Manager CONTAINER's export by operations, within its invariants.

    Rules propose, unless commands or agents do: they edit container.json, or write
    operations.json; NIGHTPANE_VERDICT names what is wrong. Without limits it stops as the public
    loop does. The file itself is never changed, and nothing is published.
    """
    from nightpane.gtm.container import Container
    from nightpane.gtm.rubric import Rubric
    from nightpane.gtm.signals import Signals
    from nightpane.gtm.store import Store
    from nightpane.loops.gtm import LIMITS, GtmAutoResearch
    from nightpane.loops.gtm_versions import deliver

    common = Common(**given)
    if workspace is not None and not re.fullmatch(r"accounts/\d+/containers/\d+/[^/]+", workspace):
        raise click.BadParameter(
            f"{workspace!r} is not accounts/N/containers/N/NAME", param_hint="--workspace"
        )
    research = GtmAutoResearch(
        container=container,
        signals=None if signals is None else Signals.read(signals),
        rubric=Rubric.default() if rubric is None else Rubric.read(rubric),
        profile=profile,
        limits=common.limits if common.has_limits else LIMITS,
        rule=common.rule,
        escalate_after=common.escalate_after,
        kill_flag=common.kill_flag,
        old_signals=old_signals,
        judge=judge,
    )
    opened = None if store is None else Store(store)
    proposers = common.proposers if common.propose or common.agents else []
    code = run_loop(
        common,
        lambda pane, state_dir, say: research.loop(pane, proposers, state_dir, say=say),
    )
    if not common.dry_run:
        folder = research.folder(load().state_dir, Container.read(container))
        deliver(
            research,
            folder,
            client=load().client,
            stage=stage,
            workspace=workspace,
            store=opened,
            say=lambda text: click.echo(text, err=True),
        )
    return code


def _count(tasks: str) -> int | None:
    """Return how many tasks a text says there are, None when it names a folder."""
    if not tasks.isdecimal():
        return None
    if int(tasks) == 0:
        raise click.BadParameter("a benchmark has one task or more", param_hint="--tasks")
    return int(tasks)
