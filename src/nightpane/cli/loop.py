"""``nightpane loop``: run an AutoResearch loop over a repository."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nightpane.cli._output import emit, json_option
from nightpane.config import load

if TYPE_CHECKING:
    from rich.console import Console

    from nightpane.loops import KeepRule, Outcome

__all__ = ["command"]


@click.command("loop")
@click.argument("repository", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--edit", multiple=True, required=True, metavar="GLOB", help="What may be edited.")
@click.option("--run", required=True, metavar="COMMAND", help="Trains, and prints the metric.")
@click.option("--metric", required=True, help="The name before the number, such as val_bpb.")
@click.option("--direction", type=click.Choice(["min", "max"]), required=True)
@click.option(
    "--propose",
    multiple=True,
    required=True,
    metavar="COMMAND",
    help="Edits the files; NIGHTPANE_BRIEF names what it is told. Again: the next on the ladder.",
)
@click.option("--protect", multiple=True, metavar="GLOB", help="The files that measure.")
@click.option("--dim", "dims", multiple=True, metavar="NAME", help="Another number it prints.")
@click.option("--run-timeout", type=click.FloatRange(min=1), default=600, show_default=True)
@click.option("--propose-timeout", type=click.FloatRange(min=1), default=1800, show_default=True)
@click.option(
    "--keep",
    default="better",
    show_default=True,
    metavar="RULE",
    help="better, a minimum gain such as 0.001, or noise (measures a gain again).",
)
@click.option("--repeats", type=click.IntRange(2, 100), default=5, show_default=True)
@click.option("--escalate-after", type=click.IntRange(1), metavar="ROUNDS")
@click.option("--max-rounds", type=click.IntRange(1))
@click.option("--hours", type=float)
@click.option("--budget-usd", type=float)
@click.option("--plateau", type=click.IntRange(1), metavar="ROUNDS")
@click.option("--failures", type=click.IntRange(1), default=5, show_default=True, metavar="ROUNDS")
@click.option("--target", type=float)
@click.option("--kill-file", type=click.Path(path_type=Path), help="Stops when this file is there.")
@click.option("--project", default="autoresearch", show_default=True)
@json_option
def command(
    repository: Path,
    edit: tuple[str, ...],
    run: str,
    metric: str,
    direction: str,
    propose: tuple[str, ...],
    protect: tuple[str, ...],
    dims: tuple[str, ...],
    run_timeout: float,
    propose_timeout: float,
    keep: str,
    repeats: int,
    escalate_after: int | None,
    max_rounds: int | None,
    hours: float | None,
    budget_usd: float | None,
    plateau: int | None,
    failures: int,
    target: float | None,
    kill_file: Path | None,
    project: str,
    as_json: bool,
) -> int:
    """Run a loop over the git REPOSITORY: propose, train, score, keep or revert.

    The first round measures what is there. Each kept proposal is a commit on a branch of the run's
    own; results.tsv in the repository is the ledger. A loop that was killed goes on when it is
    started again. Exit code 1 when no round was kept but the first.
    """
    from nightpane import Pane
    from nightpane.loops import CommandProposer, Limits
    from nightpane.loops.autoresearch import AutoResearch

    settings = load(project=project)
    research = AutoResearch(
        repository=repository,
        edit=edit,
        run=run,
        metric=metric,
        direction="min" if direction == "min" else "max",
        timeout_s=run_timeout,
        limits=Limits(
            max_rounds=max_rounds,
            hours=hours,
            budget_usd=budget_usd,
            plateau=plateau,
            failures=failures,
            target=target,
            kill_file=kill_file,
        ),
        protect=protect,
        dims=dims,
        rule=_rule(keep, repeats, max_rounds),
        escalate_after=escalate_after,
    )
    ladder = [
        CommandProposer(name=one.split()[0], command=one, timeout_s=propose_timeout)
        for one in propose
    ]
    with Pane(project=project) as pane:
        loop = research.loop(
            pane, ladder, settings.state_dir, say=lambda text: click.echo(text, err=True)
        )
        outcome = loop.run()
        pane.flush(timeout_s=10)
    emit(_document(outcome), as_json=as_json, render=lambda console: _draw(outcome, console))
    return 0 if outcome.progress.kept > 1 else 1


def _rule(text: str, repeats: int, max_rounds: int | None) -> KeepRule:
    from nightpane.loops import Better, MinimumDelta, NoiseAware

    if text == "better":
        return Better()
    if text == "noise":
        return NoiseAware(repeats=repeats, rounds=max_rounds or 100)
    try:
        return MinimumDelta(float(text))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither better, noise nor a number", param_hint="--keep"
        ) from None


def _document(outcome: Outcome) -> dict[str, object]:
    return {
        "run_id": outcome.run_id,
        "reason": outcome.reason,
        "best_score": outcome.best_score,
        "best_commit": outcome.best_commit,
        **asdict(outcome.progress),
    }


def _draw(outcome: Outcome, console: Console) -> None:
    done = outcome.progress
    best = "none" if outcome.best_score is None else f"{outcome.best_score:.6g}"
    console.print(
        f"stopped for {outcome.reason}: {done.rounds} rounds, {done.kept} kept, best {best} "
        f"at {outcome.best_commit[:7]}",
        markup=False,
        highlight=False,
    )
