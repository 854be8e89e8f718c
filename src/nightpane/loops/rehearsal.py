"""A dry run: one round and one proposal in a copy, to see whether a night would work.

Nothing is told to the pane, and nothing of the repository, its git, the ledger or the journal is
touched: everything happens in a clone in a temporary folder that is removed at the end.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from nightpane.errors import LoopError
from nightpane.loops.judging import Judge, Judgement
from nightpane.loops.keep import KeepRule
from nightpane.loops.proposing import Brief, Proposer, Tried
from nightpane.loops.scoring import Score, Scorer
from nightpane.loops.standing import Standing
from nightpane.loops.stop import Limits
from nightpane.loops.workspace import Change, Workspace

__all__ = ["Rehearsal", "Scored", "rehearse"]

_MOST_BYTES = 500 * 1024 * 1024
_BRANCH = "nightpane/rehearsal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What a scoring came to; ``measured`` None: there is no score, and ``why`` tells."""

    score: float | None
    measured: bool | None
    why: str
    dims: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What a run would do. ``proposal`` and ``keep`` are None when there was none to score.

    ``left_out`` are files that git does not track and that were too large for the copy.
    """

    baseline: Scored
    proposer: str
    summary: str
    files: tuple[str, ...]
    lines: int
    cost_usd: float | None
    proposal: Scored | None
    keep: bool | None
    why: str
    left_out: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether both could be scored: a night would work."""
        return self.baseline.score is not None and self.proposal is not None

    @property
    def text(self) -> str:
        """The rehearsal in lines for people."""
        lines = [f"baseline: {_words(self.baseline)}"]
        if self.files:
            cost = "" if self.cost_usd is None else f", {self.cost_usd:.4f} USD"
            what = f"{', '.join(self.files)} ({self.lines} lines{cost})"
            lines.append(f"{self.proposer} would change {what}: {self.summary}")
        if self.proposal is not None:
            lines.append(f"it would score {_words(self.proposal)}")
        verdict = {True: "kept", False: "taken back", None: "no round"}[self.keep]
        lines.append(f"it would be {verdict}: {self.why}")
        if self.left_out:
            lines.append(f"not in the copy, being too large: {', '.join(self.left_out[:5])}")
        lines.append("nothing was changed, and nothing was told to the pane")
        return "\n".join(lines)


def rehearse(
    *,
    workspace: Workspace,
    proposer: Proposer,
    scorer: Scorer,
    rule: KeepRule,
    frame: Brief,
    limits: Limits,
) -> Rehearsal:
    """Return what a first round and one proposal come to in a copy of the workspace.

    Raises LoopError when there can be no copy.
    """
    with tempfile.TemporaryDirectory(prefix="nightpane-rehearsal-") as name:
        folder = Path(name).resolve()
        copy, left_out = _copy(workspace, folder / workspace.root.name)
        judge = Judge(
            workspace=copy, scorer=scorer, rule=rule, output=folder / "score.log", writes=()
        )
        best = Standing(frame.direction, limits, copy.head)
        baseline = judge.judge(best, {}, is_proposal=False, since_ns=None)
        best.scores, best.ties = baseline.values, dict(baseline.score.ties)
        found = _Tried()
        try:
            found.propose(copy, proposer, _after(frame, baseline), folder / "propose.log")
        except LoopError as error:
            return found.rehearsal(proposer, baseline, None, str(error), left_out)
        judged = judge.judge(best, {}, is_proposal=True, since_ns=None)
        return found.rehearsal(proposer, baseline, judged, judged.decision.why, left_out)


class _Tried:
    """A proposal that is made in the copy."""

    def __init__(self) -> None:
        self.change = Change((), "")
        self.summary = ""
        self.cost_usd: float | None = None

    def propose(self, copy: Workspace, proposer: Proposer, brief: Brief, output: Path) -> None:
        base = copy.head
        with copy.guarded():
            said = proposer.propose(brief, copy.root, output, {})
        self.summary, self.cost_usd = said.summary, said.cost_usd
        self.change = copy.change(base)
        if not self.change.files:
            raise LoopError(f"{proposer.name} changed nothing")

    def rehearsal(
        self,
        proposer: Proposer,
        baseline: Judgement,
        judged: Judgement | None,
        why: str,
        left_out: tuple[str, ...],
    ) -> Rehearsal:
        scored = judged is not None and judged.values
        return Rehearsal(
            baseline=_scored(baseline),
            proposer=proposer.name,
            summary=self.summary,
            files=self.change.files,
            lines=self.change.lines,
            cost_usd=self.cost_usd,
            proposal=_scored(judged) if judged is not None and scored else None,
            keep=judged.decision.keep if judged is not None and scored else None,
            why=why,
            left_out=left_out,
        )


def _after(frame: Brief, baseline: Judgement) -> Brief:
    """Return the brief of the first proposal, after the baseline."""
    first = Tried(
        number=0,
        summary="baseline",
        status="kept" if baseline.values else str(baseline.score.failure),
        score=baseline.value,
        reason=baseline.decision.why,
    )
    return replace(
        frame, best_score=baseline.value, best_dims=baseline.score.dims, tried=(first,), rounds=1
    )


def _copy(workspace: Workspace, target: Path) -> tuple[Workspace, tuple[str, ...]]:
    """Clone a workspace, with the files that git does not track as far as they are not too many."""
    workspace.clone(target)
    left_out, room = [], _MOST_BYTES
    for name in [*workspace.ignored(), *workspace.untracked()]:
        source = workspace.root / name
        if source.is_dir() and not source.is_symlink():
            continue
        size = source.lstat().st_size
        if size > room:
            left_out.append(name)
            continue
        room -= size
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target / name, follow_symlinks=False)
    copy = Workspace(
        target, editable=workspace.editable, protected=workspace.protected, own=workspace.own
    )
    copy.begin(_BRANCH)
    return copy, tuple(left_out)


def _scored(judged: Judgement) -> Scored:
    score: Score = judged.score
    return Scored(
        score=judged.value,
        measured=not score.reported if judged.values else None,
        why=score.reported or score.reason,
        dims=dict(score.dims),
    )


def _words(scored: Scored) -> str:
    if scored.score is None:
        return f"no score: {scored.why}"
    if scored.measured:
        return f"{scored.score:.6g}, measured"
    return f"{scored.score:.6g}, only reported: {scored.why}"
