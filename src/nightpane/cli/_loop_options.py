"""The options every loop takes: who proposes, what is kept, when it stops; and how one is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nightpane.cli._output import emit, json_option, printable
from nightpane.config import load

if TYPE_CHECKING:
    from rich.console import Console

    from nightpane import Pane
    from nightpane.loops import KeepRule, Limits, Loop, Outcome, Proposer, Rehearsal
    from nightpane.loops.rehearsal import Scored

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
        "--agent",
        "agents",
        multiple=True,
        metavar="NAME[:MODEL]",
        help="A coding agent proposes: claude, codex, gemini, opencode or aider. Again: the next.",
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
    click.option("--kill-flag", metavar="KEY", help="Stops when this feature flag is on."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What was given for the options of ``loop_options``."""

    propose: tuple[str, ...]
    agents: tuple[str, ...]
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
    kill_flag: str | None
    dry_run: bool
    project: str
    as_json: bool

    @property
    def has_limits(self) -> bool:
        """Whether anything was given that ends a loop that works."""
        given = (self.max_rounds, self.hours, self.budget_usd, self.plateau, self.target)
        return any(one is not None for one in given)

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
        """The ladder of those who propose: commands, then agents. Raises UsageError when it is
        empty."""
        from nightpane.loops import AgentProposer, CommandProposer

        if not (self.propose or self.agents):
            raise click.UsageError("nobody proposes: give --propose COMMAND or --agent NAME")
        found: list[Proposer] = [
            CommandProposer(name=one.split()[0], command=one, timeout_s=self.propose_timeout)
            for one in self.propose
        ]
        for one in self.agents:
            agent, _, model = one.partition(":")
            found.append(
                AgentProposer(agent=agent, model=model or None, timeout_s=self.propose_timeout)
            )
        return found


def loop_options(*, project: str) -> Callable[[_F], _F]:
    """Add the shared options to a command; ``project`` is the default one's name."""
    options = (
        *_PROPOSING,
        *_KEEPING,
        *_STOPPING,
        click.option(
            "--dry-run",
            is_flag=True,
            help="Try the first round and one proposal in a copy; change and send nothing.",
        ),
        click.option("--project", default=project, show_default=True),
        json_option,
    )

    def add(function: _F) -> _F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def run_loop(common: Common, build: Callable[[Pane, Path, Callable[[str], None]], Loop]) -> int:
    """Build a loop with a pane, the state folder and where it tells its rounds, run it or try it,
    and print how it ended; return the exit code: 1 when nothing was kept but the first round, or
    when a dry run found that a night would not work."""
    from nightpane import Pane

    settings = load(project=common.project)
    with Pane(project=common.project) as pane:
        loop = build(pane, settings.state_dir, lambda text: click.echo(text, err=True))
        if common.dry_run:
            return _rehearse(loop, common)
        outcome = loop.run()
        if settings.host is not None:
            pane.flush(timeout_s=10)
    emit(_document(outcome), as_json=common.as_json, render=lambda console: _draw(outcome, console))
    return 0 if outcome.progress.kept > 1 else 1


def _rehearse(loop: Loop, common: Common) -> int:
    found = loop.rehearse()
    document = {**asdict(found), "ok": found.ok}
    emit(document, as_json=common.as_json, render=lambda console: _draw_rehearsal(found, console))
    return 0 if found.ok else 1


def _document(outcome: Outcome) -> dict[str, object]:
    return {
        "run_id": outcome.run_id,
        "reason": outcome.reason,
        "best_score": outcome.best_score,
        "best_commit": outcome.best_commit,
        "measured": outcome.measured,
        **asdict(outcome.progress),
    }


def _draw(outcome: Outcome, console: Console) -> None:
    done = outcome.progress
    best = "none" if outcome.best_score is None else f"{outcome.best_score:.6g}"
    console.print(
        f"stopped for {outcome.reason}: {done.rounds} rounds, {done.kept} kept, best {best} "
        f"{_word(outcome.measured)}at {outcome.best_commit[:7]}",
        markup=False,
        highlight=False,
    )


def _draw_rehearsal(found: Rehearsal, console: Console) -> None:
    def scored(one: Scored) -> str:
        return one.why if one.score is None else f"{one.score:.6g} {_word(one.measured)}".strip()

    lines = [f"the first round: {scored(found.baseline)}"]
    if found.proposal is None:
        lines.append(f"{found.proposer} made no proposal: {found.why}")
    else:
        lines.append(f"{found.proposer}: {found.summary}")
        lines.append(f"  {', '.join(found.files)}, {found.lines} lines")
        lines.append(f"  {scored(found.proposal)}; {'kept' if found.keep else 'reverted'}")
    if found.left_out:
        lines.append(f"not in the copy, too large: {', '.join(found.left_out)}")
    for line in lines:
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def _word(measured: bool | None) -> str:
    """Return whether a score was measured, as a word with a space; empty where it is not known."""
    return "" if measured is None else "measured " if measured else "reported "
