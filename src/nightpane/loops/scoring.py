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

_LINE = re.compile(r"^\s*(?:METRIC\s+)?([\w./-]+)\s*[:=]\s*([-+]?[\w.+-]+)\s*$", re.MULTILINE)
_TAIL_CHARS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a scorer found: the metric, or why there is none (``failure`` is a failure mode).

    ``cases`` are what the metric was made of. ``ties`` decide between scores that are equal, in
    their order, higher first: the names are the reasons that a kept round tells.
    ``cells`` are texts for the ledger, by column.
    """

    value: float | None
    dims: Mapping[str, float] = field(default_factory=dict)
    cost_usd: float | None = None
    failure: str | None = None
    reason: str = ""
    cases: Sequence[Case] = ()
    ties: Mapping[str, float] = field(default_factory=dict)
    cells: Mapping[str, str] = field(default_factory=dict)


class Scorer(Protocol):
    """Measures the candidate that lies in a folder."""

    def score(self, root: Path, output: Path, environ: Mapping[str, str]) -> Score:
        """Return the score; what a command prints goes to ``output``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandScorer:
    """Runs a command in the repository and takes the last line ``metric: value`` (or
    ``METRIC metric=value``) of its output; other such lines are dimensions when they are named in
    ``dims``. A command that fails, takes longer than ``timeout_s`` or prints no finite number has
    no score."""

    command: str
    metric: str
    timeout_s: float
    dims: tuple[str, ...] = ()

    def score(self, root: Path, output: Path, environ: Mapping[str, str]) -> Score:
        """Return the score of what the command printed."""
        done = run_command(
            self.command, cwd=root, output=output, timeout_s=self.timeout_s, environ=environ
        )
        if (failed := failure_of(done, self.timeout_s)) is not None:
            return failed
        found = _metrics(done.tail())
        value = found.get(self.metric)
        if value is None:
            reason = f"printed no line '{self.metric}: number'"
            return Score(value=None, failure="invalid", reason=reason)
        return Score(value=value, dims={name: found[name] for name in self.dims if name in found})


def failure_of(done: Outcome, timeout_s: float) -> Score | None:
    """Return the score of a command that did not end well, None when it did."""
    if done.timed_out:
        return Score(value=None, failure="timeout", reason=f"took longer than {timeout_s:g} s")
    if done.exit_code != 0:
        last = done.tail().strip()[-_TAIL_CHARS:]
        return Score(value=None, failure="crash", reason=f"exit code {done.exit_code}: {last}")
    return None


def _metrics(text: str) -> dict[str, float]:
    """Return the last finite number printed for each name."""
    found: dict[str, float] = {}
    for name, number in _LINE.findall(text):
        try:
            value = float(number)
        except ValueError:
            continue
        if math.isfinite(value):
            found[name] = value
    return found
