"""Judging a candidate: measured as often as the rule asks, by files nobody could have changed.

Every measurement is taken between two looks at the protected files, with git's own files and the
ledger put back; what still lets the candidate write its score makes it a reported one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nightpane.errors import LoopError
from nightpane.loops.keep import Decision, KeepRule, break_tie
from nightpane.loops.scoring import Score, Scorer
from nightpane.loops.standing import Standing
from nightpane.loops.trust import forget_bytecode, planted, why_reported
from nightpane.loops.workspace import Workspace

__all__ = ["Judge", "Judgement", "no_decision"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A candidate's first score, every value measured, and the decision."""

    score: Score
    values: list[float]
    decision: Decision

    @property
    def value(self) -> float | None:
        """The mean of what was measured; None without a score."""
        return sum(self.values) / len(self.values) if self.values else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Scores what lies in a workspace. ``writes`` are the loop's own files."""

    workspace: Workspace
    scorer: Scorer
    rule: KeepRule
    output: Path
    writes: tuple[Path, ...]

    def judge(
        self, best: Standing, environ: Mapping[str, str], *, is_proposal: bool, since_ns: int | None
    ) -> Judgement:
        """Measure once, and again as the rule wants it for what looks better.

        ``since_ns`` is when the first round, which had no proposal, was over.
        """
        first = self._measure(environ, since_ns)
        if first.value is None:
            return Judgement(first, [], no_decision(first))
        values = [first.value]
        baseline = not is_proposal or best.score is None
        for _ in range(self.rule.repeats if baseline or best.is_better(first.value) else 0):
            again = self._measure(environ, since_ns)
            if again.value is None:
                return Judgement(again, [], no_decision(again))
            values.append(again.value)
            first = replace(first, reported=first.reported or again.reported)
        if baseline:
            why = "the first score there is"
            decision = Decision(keep=True, rule=self.rule.name, gain=0.0, why=why)
        else:
            decision = self.rule.decide(best.scores, values, best.direction)
            decision = break_tie(decision, best.ties, first.ties)
        return Judgement(first, values, decision)

    def _measure(self, environ: Mapping[str, str], since_ns: int | None) -> Score:
        workspace = self.workspace
        try:
            workspace.check_protected()
            forget_bytecode(workspace)
            with workspace.guarded(*self.writes):
                found = self.scorer.score(workspace.root, self.output, environ)
            workspace.check_protected()
        except LoopError as error:
            return Score(value=None, failure="invalid", reason=str(error))
        if found.value is None or found.reported:
            return found
        return replace(found, reported=self._doubt(since_ns))

    def _doubt(self, since_ns: int | None) -> str:
        """Return why the proposer could have written a score itself, "" when it could not."""
        commands = [getattr(self.scorer, name, None) for name in ("measure", "command")]
        command = next((one for one in commands if isinstance(one, str)), None)
        if command is None:
            return ""
        if why := why_reported(self.workspace, command):
            return why
        if foreign := [one for one in self.workspace.changed() if not self.workspace.may_edit(one)]:
            return f"{foreign[0]} was changed while it was scored"
        if since_ns is not None and (name := planted(self.workspace, since_ns)):
            return f"{name} is new since the first round, and may be loaded by what scores"
        return ""


def no_decision(score: Score) -> Decision:
    """Return the decision on what has no score."""
    return Decision(keep=False, rule="none", gain=0.0, why=score.reason)
