"""The loop itself: propose, apply, score, keep or revert, until a limit is reached.

Everything that happens is written to the journal before anything follows from it, so a loop that
was killed at any point goes on from there: a round that was decided is settled, one that was not is
taken back as interrupted. The first round measures what is there, without a proposal.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nightpane.client.pane import Pane
from nightpane.errors import LoopError
from nightpane.ids import new_ulid
from nightpane.loops.cases import Case, best_of, regressions
from nightpane.loops.journal import Entry, Journal
from nightpane.loops.keep import Better, Decision, Direction, KeepRule, break_tie
from nightpane.loops.proposing import Brief, Proposer, Tried
from nightpane.loops.results import Results
from nightpane.loops.scoring import Score, Scorer
from nightpane.loops.stop import Limits, Progress
from nightpane.loops.told import tell
from nightpane.loops.workspace import Change, Workspace

__all__ = ["Loop", "Outcome"]

_DIFF_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    run_id: str
    reason: str
    progress: Progress
    best_score: float | None
    best_commit: str


@dataclass(kw_only=True)
class Loop:
    """A loop over one repository. ``run`` it; run it again after a crash to go on.

    ``proposers`` is the ladder: after ``escalate_after`` rounds without a kept one the next takes
    over, and after a kept round the first again. ``folder`` holds the journal and what commands
    print, and must lie outside of what the repository tracks. The ledger ``results`` has
    ``columns``; besides commit, the metric, cost_usd, status and description, a scorer's ``cells``
    fill them.
    """

    workspace: Workspace
    proposers: Sequence[Proposer]
    scorer: Scorer
    metric: str
    direction: Direction
    limits: Limits
    pane: Pane
    folder: Path
    results: Path
    columns: tuple[str, ...] | None = None
    rule: KeepRule = field(default_factory=Better)
    escalate_after: int | None = None
    clock: Callable[[], float] = time.time
    say: Callable[[str], None] = lambda _text: None

    def run(self) -> Outcome:
        """Run to a limit and return how it ended; SIGTERM and SIGINT end it in order.

        Raises LoopError when the target is not fit, or another loop works on it.
        """
        if not self.proposers:
            raise LoopError("a loop needs somebody who proposes")
        with Journal.open(self.folder) as journal, _signals() as signalled:
            return _Run(self, journal, signalled).go()


class _Run:
    """One run, new or taken up again."""

    def __init__(self, loop: Loop, journal: Journal, signalled: threading.Event) -> None:
        self.loop, self.journal, self.signalled = loop, journal, signalled
        columns = loop.columns or ("commit", loop.metric, "status", "description")
        self.results = Results(loop.results, columns)
        self.entries = journal.since("run")
        if not self.entries or self.entries[-1]["kind"] == "ended":
            self._begin()
        begun = self.entries[0]
        self.run_id: str = begun["run_id"]
        self.best: list[float] = []
        self.best_ties: dict[str, float] = {}
        self.best_cases: dict[str, Case] = {}
        self.best_commit: str = begun["commit"]
        self.progress = Progress()
        self.tier, self.since_tier = 0, 0

    def _begin(self) -> None:
        run_id = new_ulid()
        branch = f"nightpane/{run_id.lower()}"
        self.loop.workspace.begin(branch)
        commit = self.loop.workspace.head
        self.journal.write(
            "run",
            run_id=run_id,
            branch=branch,
            commit=commit,
            at=self.loop.clock(),
            workspace=self.loop.workspace.memory(),
        )
        self.entries = self.journal.since("run")

    def go(self) -> Outcome:
        self._take_up()
        while (reason := self._reason()) is None:
            self._round()
        if self.journal.entries[-1]["kind"] != "stopped":
            self._write(
                "stopped",
                reason=reason,
                rounds_completed=self.progress.rounds,
                total_cost_usd=self.progress.cost_usd,
                final_best_score=self._best_score,
            )
        tell(self.loop.pane, self.run_id, self.journal.entries[-1])
        self.journal.write("ended")
        return Outcome(self.run_id, reason, self.progress, self._best_score, self.best_commit)

    # Going on

    def _take_up(self) -> None:
        """Rebuild what the run has come to, and finish what it was in the middle of."""
        self.loop.workspace.take_up(self.entries[0]["workspace"])
        rounds: dict[int, list[Entry]] = {}
        for entry in self.entries[1:]:
            if entry["kind"] == "escalated":
                self.tier, self.since_tier = entry["tier"], 0
            elif "number" in entry:
                rounds.setdefault(entry["number"], []).append(entry)
                if entry["kind"] == "scored":
                    self._remember(entry["cases"])
                elif entry["kind"] == "settled":
                    self._count(_of(rounds[entry["number"]], "decided"))
        if rounds:
            last = rounds[max(rounds)]
            if last[-1]["kind"] != "settled":
                self._finish(last)
        self._check_branch()

    def _finish(self, entries: list[Entry]) -> None:
        """Settle a round that was decided; take one that was not back as interrupted."""
        for entry in entries:
            tell(self.loop.pane, self.run_id, entry)
        decided = next((one for one in entries if one["kind"] == "decided"), None)
        if decided is None:
            failed = Score(value=None, failure="interrupted", reason="the loop was ended in it")
            decided = self._decide(entries[0], None, failed, _no_decision(failed), cost_usd=None)
        self._settle(decided)

    def _check_branch(self) -> None:
        workspace, branch = self.loop.workspace, self.entries[0]["branch"]
        if workspace.branch != branch:
            workspace.begin(branch)
        workspace.back_to(self.best_commit)

    # A round

    def _reason(self) -> str | None:
        last = self.journal.entries[-1]
        if last["kind"] == "stopped":
            return str(last["reason"])
        if self.signalled.is_set():
            return "interrupted"
        elapsed_s = self.loop.clock() - self.entries[0]["at"]
        return self.loop.limits.reason(replace(self.progress, elapsed_s=elapsed_s))

    def _round(self) -> None:
        self._climb()
        number = self.progress.rounds
        proposer = self.loop.proposers[self.tier] if number else None
        round_id = new_ulid()
        here: dict[str, Any] = {"number": number, "round_id": round_id}
        name = proposer.name if proposer else "baseline"
        begun = self._write(
            "round", **here, model=name, baseline_score=self._best_score, n_prior_rounds=number
        )
        environ = self._environ(round_id)
        try:
            change, cost_usd = self._propose(here, proposer, environ)
        except LoopError as error:
            failed = Score(value=None, failure="invalid", reason=str(error))
            self._settle(self._decide(begun, None, failed, _no_decision(failed), cost_usd=None))
            return
        commit = None
        if change is not None:
            summary = self.journal.entries[-1]["summary"] or "proposal"
            commit = self.loop.workspace.commit(change, f"{summary}\n\nround {round_id}")
            self._write(
                "applied", **here, commit=commit, target=", ".join(change.files),
                diff_bytes=len(change.diff.encode("utf-8", "replace")),
            )  # fmt: skip
        score, scores, decision = self._score(here, commit, environ)
        total = _sum(cost_usd, score.cost_usd)
        self._settle(self._decide(begun, commit, score, decision, cost_usd=total, scores=scores))

    def _climb(self) -> None:
        """Go up the ladder after so many rounds without a gain."""
        after, ladder = self.loop.escalate_after, self.loop.proposers
        if after is None or self.since_tier < after or self.tier + 1 >= len(ladder):
            return
        self._write(
            "escalated",
            number=self.progress.rounds,
            tier=self.tier + 1,
            from_model=ladder[self.tier].name,
            to_model=ladder[self.tier + 1].name,
            stall_rounds=self.since_tier,
            reason=f"{self.since_tier} rounds without a gain",
            cost_usd=self.progress.cost_usd,
            kept_rounds=self.progress.kept,
        )
        self.tier, self.since_tier = self.tier + 1, 0

    def _propose(
        self, here: dict[str, Any], proposer: Proposer | None, environ: dict[str, str]
    ) -> tuple[Change | None, float | None]:
        if proposer is None:
            return None, None
        started = time.monotonic()
        output = self.loop.folder / "propose.log"
        said = proposer.propose(self._brief(), self.loop.workspace.root, output, environ)
        change = self.loop.workspace.change()
        if not change.files:
            raise LoopError(f"{proposer.name} changed nothing")
        self._write(
            "proposed", **here, summary=said.summary, diff=change.diff[:_DIFF_CHARS],
            model=proposer.name, cost_usd=said.cost_usd,
            latency_ms=round((time.monotonic() - started) * 1000),
        )  # fmt: skip
        return change, said.cost_usd

    def _score(
        self, here: dict[str, Any], commit: str | None, environ: dict[str, str]
    ) -> tuple[Score, list[float], Decision]:
        """Measure once, and again as the rule wants it; return score, all values, decision."""
        first = self._measure(environ)
        scores = [] if first.value is None else [first.value]
        baseline = commit is None or not self.best
        promising = first.value is not None and (baseline or self._better(first.value, self.best))
        if promising:
            for _ in range(self.loop.rule.repeats):
                again = self._measure(environ)
                if again.value is None:
                    first, scores = again, []
                    break
                scores.append(again.value)
        shown = sum(scores) / len(scores) if scores else None
        worse = regressions(self.best_cases, first.cases, self.loop.direction)
        cases = [case.document for case in first.cases]
        self._write(
            "scored", **here, score=shown, scores=scores, metric=self.loop.metric,
            direction=self.loop.direction, dims=dict(first.dims), measured=True,
            suite_id=new_ulid() if cases else None, cases=cases,
            regressions=[one.document for one in worse],
        )  # fmt: skip
        self._remember(cases)
        if first.value is None:
            return first, scores, _no_decision(first)
        if baseline:
            why = "the first score there is"
            decision = Decision(keep=True, rule=self.loop.rule.name, gain=0.0, why=why)
        else:
            decision = self.loop.rule.decide(self.best, scores, self.loop.direction)
            decision = break_tie(decision, self.best_ties, first.ties)
        return first, scores, decision

    def _remember(self, cases: Sequence[Mapping[str, Any]]) -> None:
        """Take a round's cases among the best of each."""
        judged = [Case(**case) for case in cases]
        self.best_cases = best_of(self.best_cases, judged, self.loop.direction)

    def _measure(self, environ: dict[str, str]) -> Score:
        workspace = self.loop.workspace
        try:
            workspace.check_protected()
            found = self.loop.scorer.score(workspace.root, self.loop.folder / "score.log", environ)
            workspace.check_protected()
        except LoopError as error:
            return Score(value=None, failure="invalid", reason=str(error))
        return found

    def _decide(
        self,
        begun: Entry,
        commit: str | None,
        score: Score,
        decision: Decision,
        *,
        cost_usd: float | None,
        scores: Sequence[float] = (),
    ) -> Entry:
        kept = decision.keep
        failure = None if kept else score.failure or "score_missed"
        interval = {"low": decision.low, "n": decision.n_candidate, "n_best": decision.n_best}
        return self._write(
            "decided",
            number=begun["number"],
            round_id=begun["round_id"],
            kept=kept,
            commit=commit,
            score=sum(scores) / len(scores) if scores else None,
            scores=list(scores),
            dims=dict(score.dims),
            ties=dict(score.ties),
            cells=dict(score.cells),
            gain=decision.gain if scores else None,
            failure_mode=failure,
            reason=score.reason or decision.why,
            cost_usd=cost_usd,
            evidence={"rule": decision.rule, "why": decision.why, **interval},
            ledger_at=self.results.size,
        )

    def _settle(self, decided: Entry) -> None:
        """Bring files, branch and ledger to what was decided; doing so twice changes nothing."""
        before = self.best_commit
        kept = decided["kept"]
        target = (decided["commit"] or before) if kept else before
        self.loop.workspace.back_to(target)
        status = "keep" if kept else "discard" if decided["score"] is not None else "crash"
        self.results.add(decided["ledger_at"], self._row(decided, before, status))
        self.journal.write("settled", number=decided["number"])
        self._count(decided)
        score = "no score" if decided["score"] is None else f"{decided['score']:.6g}"
        self.loop.say(f"{decided['number']}  {status}  {score}  {self._summary(decided['number'])}")

    def _row(self, decided: Entry, before: str, status: str) -> dict[str, str]:
        """Return the ledger's row of a round."""
        score, cost_usd = decided["score"], decided["cost_usd"]
        return {
            **decided["cells"],
            "commit": (decided["commit"] or before)[:7],
            self.loop.metric: "" if score is None else f"{score:.6f}",
            "cost_usd": "" if cost_usd is None else f"{cost_usd:.4f}",
            "status": status,
            "description": self._summary(decided["number"]),
        }

    def _count(self, decided: Entry) -> None:
        kept = bool(decided["kept"])
        if kept:
            # Only what was measured after the first look: that one was chosen for being good.
            scores = decided["scores"]
            self.best = scores[1:] if len(scores) > 1 and decided["number"] else scores
            self.best_ties = decided["ties"]
            self.best_commit = decided["commit"] or self.best_commit
            self.tier, self.since_tier = 0, 0
        elif decided["number"]:
            self.since_tier += 1
        self.progress = self.progress.after(
            kept=kept,
            failed=decided["score"] is None,
            interrupted=decided["failure_mode"] == "interrupted",
            at_target=self.loop.limits.is_reached(self._best_score, self.loop.direction),
            cost_usd=decided["cost_usd"],
        )

    # Small things

    @property
    def _best_score(self) -> float | None:
        return sum(self.best) / len(self.best) if self.best else None

    def _better(self, value: float, best: Sequence[float]) -> bool:
        if not best:
            return True
        mean = sum(best) / len(best)
        return value > mean if self.loop.direction == "max" else value < mean

    def _brief(self) -> Brief:
        decided = [one for one in self.journal.since("run") if one["kind"] == "decided"]
        tried = tuple(
            Tried(
                number=one["number"],
                summary=self._summary(one["number"]),
                status="kept" if one["kept"] else str(one["failure_mode"]),
                score=one["score"],
                reason=one["reason"],
            )
            for one in decided
        )
        return Brief(
            metric=self.loop.metric,
            direction=self.loop.direction,
            best_score=self._best_score,
            editable=self.loop.workspace.editable,
            tried=tried,
        )

    def _summary(self, number: int) -> str:
        if number == 0:
            return "baseline"
        for entry in self.journal.since("run"):
            if entry["kind"] == "proposed" and entry["number"] == number:
                return str(entry["summary"])
        return "no proposal"

    def _environ(self, round_id: str) -> dict[str, str]:
        """Return what lets a command's events join the round."""
        parts = {
            "nightpane.project": self.loop.pane.project,
            "nightpane.client": self.loop.pane.client,
            "nightpane.run_id": self.run_id,
            "nightpane.round_id": round_id,
        }
        return {"BAGGAGE": ",".join(f"{name}={value}" for name, value in parts.items() if value)}

    def _write(self, kind: str, **facts: Any) -> Entry:
        entry = self.journal.write(kind, at=self.loop.clock(), **facts)
        if kind != "stopped":
            tell(self.loop.pane, self.run_id, entry)
        return entry


def _no_decision(score: Score) -> Decision:
    return Decision(keep=False, rule="none", gain=0.0, why=score.reason)


def _of(entries: Sequence[Entry], kind: str) -> Entry:
    return next(entry for entry in entries if entry["kind"] == kind)


def _sum(*costs: float | None) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set: the round that runs is finished first."""
    found = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield found
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: found.set()) for number in numbers}
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
