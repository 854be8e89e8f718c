"""The options every loop takes: who proposes, what is kept, when it stops; and how one is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nightpane.cli._output import emit, json_option
from nightpane.config import load

if TYPE_CHECKING:
    from rich.console import Console

    from nightpane import Pane
    from nightpane.loops import KeepRule, Limits, Loop, Outcome, Proposer

__all__ = ["Common", "loop_options", "run_loop"]

_F = TypeVar("_F", bound=Callable[..., Any])

_PROPOSING = (
    click.option(
        "--propose",
        multiple=True,
        metavar="COMMAND",
        help="Edits the files, told by NIGHTPANE_BRIEF. Again: the next on the ladder.",
    ),
    click.option(
        "--propose-timeout", type=click.FloatRange(min=1), default=1800, show_default=True
    ),
    click.option("--escalate-after", type=click.IntRange(1), metavar="ROUNDS"),
)
_KEEPING = (
    click.option(
        "--keep",
        default="better",
        show_default=True,
        metavar="RULE",
        help="better, a minimum gain such as 0.001, or noise (measures a gain again).",
    ),
    click.option("--repeats", type=click.IntRange(2, 100), default=5, show_default=True),
)
_STOPPING = (
    click.option("--max-rounds", type=click.IntRange(1)),
    click.option("--hours", type=float),
    click.option("--budget-usd", type=float),
    click.option("--plateau", type=click.IntRange(1), metavar="ROUNDS"),
    click.option("--regressions", type=click.IntRange(1), metavar="ROUNDS"),
    click.option(
        "--failures", type=click.IntRange(1), default=5, show_default=True, metavar="ROUNDS"
    ),
    click.option("--target", type=float),
    click.option(
        "--sustained", type=click.IntRange(1), default=1, show_default=True, metavar="ROUNDS"
    ),
    click.option(
        "--kill-file", type=click.Path(path_type=Path), help="Stops when this file is there."
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What was given for the options of ``loop_options``."""

    propose: tuple[str, ...]
    propose_timeout: float
    escalate_after: int | None
    keep: str
    repeats: int
    max_rounds: int | None
    hours: float | None
    budget_usd: float | None
    plateau: int | None
    regressions: int | None
    failures: int
    target: float | None
    sustained: int
    kill_file: Path | None
    project: str
    as_json: bool

    @property
    def limits(self) -> Limits:
        """When the loop stops. Raises ConfigError when it never would."""
        from nightpane.loops import Limits

        return Limits(
            max_rounds=self.max_rounds,
            hours=self.hours,
            budget_usd=self.budget_usd,
            plateau=self.plateau,
            regressions=self.regressions,
            failures=self.failures,
            target=self.target,
            sustained=self.sustained,
            kill_file=self.kill_file,
        )

    @property
    def rule(self) -> KeepRule:
        """What is kept. Raises BadParameter for a rule that is none."""
        from nightpane.loops import Better, MinimumDelta, NoiseAware

        if self.keep == "better":
            return Better()
        if self.keep == "noise":
            return NoiseAware(repeats=self.repeats, rounds=self.max_rounds or 100)
        try:
            return MinimumDelta(float(self.keep))
        except ValueError:
            raise click.BadParameter(
                f"{self.keep!r} is neither better, noise nor a number", param_hint="--keep"
            ) from None

    @property
    def proposers(self) -> list[Proposer]:
        """The ladder of those who propose. Raises UsageError when it is empty."""
        from nightpane.loops import CommandProposer

        if not self.propose:
            raise click.UsageError("nobody proposes: give --propose COMMAND")
        return [
            CommandProposer(name=one.split()[0], command=one, timeout_s=self.propose_timeout)
            for one in self.propose
        ]


def loop_options(*, project: str) -> Callable[[_F], _F]:
    """Add the shared options to a command; ``project`` is the default one's name."""
    options = (
        *_PROPOSING,
        *_KEEPING,
        *_STOPPING,
        click.option("--project", default=project, show_default=True),
        json_option,
    )

    def add(function: _F) -> _F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def run_loop(common: Common, build: Callable[[Pane, Path, Callable[[str], None]], Loop]) -> int:
    """Build a loop with a pane, the state folder and where it tells its rounds, run it, and print
    how it ended; return the exit code: 1 when nothing was kept but the first round."""
    from nightpane import Pane

    settings = load(project=common.project)
    with Pane(project=common.project) as pane:
        loop = build(pane, settings.state_dir, lambda text: click.echo(text, err=True))
        outcome = loop.run()
        pane.flush(timeout_s=10)
    emit(_document(outcome), as_json=common.as_json, render=lambda console: _draw(outcome, console))
    return 0 if outcome.progress.kept > 1 else 1


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
