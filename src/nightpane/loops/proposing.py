"""Making a proposal: a command or a Python function edits the files, given a brief of the past."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from nightpane.errors import LoopError
from nightpane.loops.keep import Direction
from nightpane.loops.processes import run_command

__all__ = [
    "BRIEF",
    "Brief",
    "CommandProposer",
    "FunctionProposer",
    "NoProposalError",
    "Proposal",
    "Proposer",
    "Tried",
]

BRIEF = "NIGHTPANE_BRIEF"
_TAIL_CHARS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """An earlier round, for the one who proposes the next. ``run_id`` is None for this run's.

    ``measured`` is None where there is no score; ``diff`` is only told where it helps.
    """

    number: int | None
    summary: str
    status: str
    score: float | None
    reason: str
    measured: bool | None = None
    cost_usd: float | None = None
    model: str | None = None
    diff: str = ""
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What a proposer is told: the metric, the best so far, what is left, and what was tried.

    ``rounds`` is how many there were in this run; ``tried`` holds the best and the latest of them,
    oldest first, and ``earlier`` those of runs before, best first. What is left is None where no
    limit is set. Paths and limits are the loop's; summaries, reasons and diffs are others' words.
    """

    metric: str
    direction: Direction
    best_score: float | None
    editable: tuple[str, ...]
    tried: tuple[Tried, ...]
    rounds: int = 0
    best_dims: Mapping[str, float] = field(default_factory=dict)
    best_measured: bool | None = None
    protected: tuple[str, ...] = ()
    earlier: tuple[Tried, ...] = ()
    rounds_left: int | None = None
    budget_left_usd: float | None = None
    hours_left: float | None = None

    @property
    def text(self) -> str:
        """The brief as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a proposer says of its change, which itself lies in the files."""

    summary: str
    cost_usd: float | None = None


class NoProposalError(LoopError):
    """There is no proposal, and what looking for one has cost."""

    def __init__(self, text: str, *, cost_usd: float | None) -> None:
        super().__init__(text)
        self.cost_usd = cost_usd


class Proposer(Protocol):
    """Edits the files of a folder."""

    @property
    def name(self) -> str:
        """The model, or whatever else makes the proposals."""
        ...

    def propose(
        self, brief: Brief, root: Path, output: Path, environ: Mapping[str, str]
    ) -> Proposal:
        """Change the files. Raises LoopError when no proposal comes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionProposer:
    """Calls a function with the brief and the folder; it returns a summary or a proposal."""

    name: str
    function: Callable[[Brief, Path], str | Proposal]

    def propose(
        self,
        brief: Brief,
        root: Path,
        output: Path,  # noqa: ARG002 (a function prints where it likes)
        environ: Mapping[str, str],  # noqa: ARG002 (it is in this process)
    ) -> Proposal:
        """Return what the function says. Raises LoopError when it raises."""
        try:
            said = self.function(brief, root)
        except Exception as error:
            raise LoopError(f"{self.name} made no proposal: {error!r}") from error
        return said if isinstance(said, Proposal) else Proposal(summary=said)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandProposer:
    """Runs a command in the folder, such as a coding agent without its screen.

    ``NIGHTPANE_BRIEF`` in its environment is a file with the brief as JSON. Its last printed line
    is the summary.
    """

    name: str
    command: str | Sequence[str]
    timeout_s: float

    def propose(
        self, brief: Brief, root: Path, output: Path, environ: Mapping[str, str]
    ) -> Proposal:
        """Return what the command printed last. Raises LoopError when it fails or is too slow."""
        told = output.with_suffix(".brief.json")
        told.write_text(brief.text, "utf-8")
        done = run_command(
            self.command,
            cwd=root,
            output=output,
            timeout_s=self.timeout_s,
            environ={**environ, BRIEF: str(told)},
        )
        lines = done.tail().strip().splitlines()
        if not done.ok:
            why = (
                f"took longer than {self.timeout_s:g} s"
                if done.timed_out
                else (f"ended with exit code {done.exit_code}: {' '.join(lines)[-_TAIL_CHARS:]}")
            )
            raise LoopError(f"{self.name} made no proposal: it {why}")
        return Proposal(summary=lines[-1] if lines else "")
