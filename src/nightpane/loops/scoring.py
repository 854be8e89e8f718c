"""Scoring a candidate: run its command for a time, and read the metric from what it printed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nightpane.loops.cases import Case
from nightpane.loops.processes import Outcome, run_command

__all__ = ["CommandScorer", "Score", "Scorer", "failure_of"]

_LINE = re.compile(rb"^\s*(?:METRIC\s+)?([\w./-]+)\s*[:=]\s*([-+]?[\w.+-]+)\s*$")
_TAIL_CHARS = 400
_MOST_LINE_BYTES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a scorer found: the metric, or why there is none (``failure`` is a failure mode).

    ``cases`` are what the metric was made of. ``ties`` decide between scores that are equal, in
    their order, higher first: the names are the reasons that a kept round tells.
    ``cells`` are texts for the ledger, by column. ``reported`` says why the proposer could have
    written the value itself; it is empty for one that was measured. A scorer refuses a candidate
    with ``failure="invalid"`` and a reason.
    """

    value: float | None
    dims: Mapping[str, float] = field(default_factory=dict)
    cost_usd: float | None = None
    failure: str | None = None
    reason: str = ""
    cases: Sequence[Case] = ()
    ties: Mapping[str, float] = field(default_factory=dict)
    cells: Mapping[str, str] = field(default_factory=dict)
    reported: str = ""


class Scorer(Protocol):
    """Measures the candidate that lies in a folder.

    One that runs a command names it as its attribute ``command``: the loop looks whether a proposal
    could write the score of such a command itself. What runs in the loop's own process measures.
    """

    def score(self, root: Path, output: Path, environ: Mapping[str, str]) -> Score:
        """Return the score; what a command prints goes to ``output``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandScorer:
    """Runs a command in the repository and takes the last line ``metric: value`` (or
    ``METRIC metric=value``) of its output; other such lines are dimensions when they are named in
    ``dims``. A command that fails, takes longer than ``timeout_s`` or prints no finite number has
    no score. With ``measure``, a second command that runs when nothing of the first is left, and
    whose output alone has the metric, what it scores can be measured even though the first one runs
    what a proposal edits. A metric that is printed with several values is only reported."""

    command: str
    metric: str
    timeout_s: float
    dims: tuple[str, ...] = ()
    measure: str | None = None

    def score(self, root: Path, output: Path, environ: Mapping[str, str]) -> Score:
        """Return the score of what the command printed."""
        dims: dict[str, float] = {}
        found: dict[str, list[float]] = {}
        for command in (self.command, self.measure):
            if command is None:
                continue
            done = run_command(
                command, cwd=root, output=output, timeout_s=self.timeout_s, environ=environ
            )
            if (failed := failure_of(done, self.timeout_s)) is not None:
                return failed
            found = _metrics(output, {self.metric, *self.dims})
            dims |= {name: found[name][-1] for name in self.dims if name in found}
        values = found.get(self.metric)
        if values is None:
            reason = f"printed no line '{self.metric}: number'"
            return Score(value=None, failure="invalid", reason=reason)
        several = len(set(values)) > 1
        reported = f"{self.metric} was printed {len(values)} times, not once" if several else ""
        return Score(value=values[-1], dims=dims, reported=reported)


def failure_of(done: Outcome, timeout_s: float) -> Score | None:
    """Return the score of a command that did not end well, None when it did."""
    if done.timed_out:
        return Score(value=None, failure="timeout", reason=f"took longer than {timeout_s:g} s")
    if done.exit_code != 0:
        last = done.tail().strip()[-_TAIL_CHARS:]
        return Score(value=None, failure="crash", reason=f"exit code {done.exit_code}: {last}")
    return None


def _metrics(output: Path, names: set[str]) -> dict[str, list[float]]:
    """Return the finite numbers printed for each name, in their order."""
    found: dict[str, list[float]] = {}
    with output.open("rb") as file:
        while line := file.readline(_MOST_LINE_BYTES):
            match = _LINE.match(line)
            if match is None or (name := match[1].decode("utf-8", "replace")) not in names:
                continue
            try:
                value = float(match[2])
            except ValueError:
                continue
            if math.isfinite(value):
                found.setdefault(name, []).append(value)
    return found
