"""Running a loop: propose, apply, score, keep or revert, until a limit is reached.

Everything that happens is written to the journal before anything follows from it, so a loop that
was killed at any point goes on from there: a round that was decided is settled, one that was not is
taken back as interrupted. The first round measures what is there, without a proposal.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from nightpane.errors import LoopError
from nightpane.ids import new_ulid
from nightpane.loops.briefing import Briefing, summary_of
from nightpane.loops.cases import regressions
from nightpane.loops.journal import Entry, Journal
from nightpane.loops.judging import Judge, Judgement, no_decision
from nightpane.loops.processes import end_leftovers
from nightpane.loops.proposing import NoProposalError, Proposer
from nightpane.loops.results import Results
from nightpane.loops.scoring import Score
from nightpane.loops.signals import Asked
from nightpane.loops.standing import Standing
from nightpane.loops.stop import Progress
from nightpane.loops.told import tell
from nightpane.loops.workspace import Change

if TYPE_CHECKING:
    from nightpane.loops.engine import Loop

__all__ = ["LOOP", "Outcome", "Run"]

LOOP = "NIGHTPANE_LOOP"
"""Set for every command of a loop: its folder, by which a new process finds what was left over."""

_DIFF_CHARS = 20_000
_WHY_CHARS = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. ``measured`` is of the best score: None when there is none."""

    run_id: str
    reason: str
    progress: Progress
    best_score: float | None
    best_commit: str
    measured: bool | None = None


class Run:
    """One run, new or taken up again."""

    def __init__(self, loop: Loop, journal: Journal, asked: Asked) -> None:
        self.loop, self.journal, self.asked = loop, journal, asked
        columns = loop.columns or ("commit", loop.metric, "status", "description")
        self.results = Results(loop.results, columns)
        self.entries = journal.since("run")
        if not self.entries or self.entries[-1]["kind"] == "ended":
            self._begin()
        begun = self.entries[0]
        self.run_id: str = begun["run_id"]
        self.best = Standing(loop.direction, loop.limits, begun["commit"])
        # When the first round was over: what is newer may be a proposal's.
        self.since_ns: int | None = None
        self.doubt = ""
        self.judge = Judge(
            workspace=loop.workspace,
            scorer=loop.scorer,
            rule=loop.rule,
            output=loop.folder / "score.log",
            writes=(loop.results,),
        )
        self.briefing = Briefing(lambda: loop.query or loop.pane.query(), {
            "project": loop.pane.project, "client": loop.pane.client, "run_id": self.run_id,
            "metric": loop.metric, "direction": loop.direction,
        }, loop.say)  # fmt: skip

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
        best = self.best
        if self.journal.entries[-1]["kind"] != "stopped":
            self._write(
                "stopped",
                reason=reason,
                rounds_completed=best.progress.rounds,
                total_cost_usd=best.progress.cost_usd,
                final_best_score=best.score,
            )
        tell(self.loop.pane, self.run_id, self.journal.entries[-1])
        self.journal.write("ended")
        progress = replace(best.progress, elapsed_s=self._elapsed_s)
        return Outcome(self.run_id, reason, progress, best.score, best.commit, best.measured)

    # Going on

    def _take_up(self) -> None:
        """Rebuild what the run has come to, and finish what it was in the middle of."""
        end_leftovers(LOOP, self._mark)
        self.loop.workspace.take_up(self.entries[0]["workspace"])
        rounds: dict[int, list[Entry]] = {}
        for entry in self.entries[1:]:
            if entry["kind"] == "escalated":
                self.best.stand_on(entry["tier"])
            elif "number" in entry:
                rounds.setdefault(entry["number"], []).append(entry)
                if entry["kind"] == "scored":
                    self.best.remember(entry["cases"])
                elif entry["kind"] == "settled":
                    self._settled(entry, _of(rounds[entry["number"]], "decided"))
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
            decided = self._decide(entries[0], None, _failed(failed), cost_usd=None)
        self._settle(decided)

    def _check_branch(self) -> None:
        workspace, branch = self.loop.workspace, self.entries[0]["branch"]
        workspace.begin(branch)
        workspace.back_to(self.best.commit)

    # A round

    @property
    def _elapsed_s(self) -> float:
        return float(self.loop.clock() - self.entries[0]["at"])

    def _reason(self) -> str | None:
        last = self.journal.entries[-1]
        if last["kind"] == "stopped":
            return str(last["reason"])
        if self.asked.stop:
            return "interrupted"
        if (key := self.loop.kill_flag) is not None and self.loop.pane.is_on(key):
            return "kill_switch"
        return self.loop.limits.reason(replace(self.best.progress, elapsed_s=self._elapsed_s))

    def _round(self) -> None:
        self._climb()
        best, number = self.best, self.best.progress.rounds
        proposer = self.loop.proposers[best.tier] if number else None
        round_id = new_ulid()
        here: dict[str, Any] = {"number": number, "round_id": round_id}
        name = proposer.name if proposer else "baseline"
        begun = self._write(
            "round", **here, model=name, baseline_score=best.score, n_prior_rounds=number
        )
        environ = self._environ(round_id)
        try:
            change, cost_usd = self._propose(here, proposer, environ)
        except LoopError as error:
            failed = Score(value=None, failure="invalid", reason=str(error))
            cost_usd = error.cost_usd if isinstance(error, NoProposalError) else None
            self._settle(self._decide(begun, None, _failed(failed), cost_usd=cost_usd))
            return
        commit = None
        if change is not None:
            summary = self.journal.entries[-1]["summary"] or "proposal"
            commit = self.loop.workspace.commit(change, f"{summary}\n\nround {round_id}")
            self._write(
                "applied", **here, commit=commit, target=", ".join(change.files),
                diff_bytes=len(change.diff.encode("utf-8", "replace")),
            )  # fmt: skip
        judged = self._score(here, environ, is_proposal=commit is not None)
        total = _sum(cost_usd, judged.score.cost_usd)
        self._settle(self._decide(begun, commit, judged, cost_usd=total))

    def _climb(self) -> None:
        """Go up the ladder after so many rounds without a gain, and back after one."""
        best, ladder = self.best, self.loop.proposers
        step = best.step(self.loop.escalate_after, len(ladder))
        if step is None:
            return
        self._write(
            "escalated",
            number=best.progress.rounds,
            round_id=_last(self.journal.entries, "round")["round_id"],
            from_model=ladder[best.tier].name,
            to_model=ladder[step.tier].name,
            cost_usd=best.progress.cost_usd,
            kept_rounds=best.progress.kept,
            **asdict(step),
        )
        best.stand_on(step.tier)

    def _propose(
        self, here: dict[str, Any], proposer: Proposer | None, environ: dict[str, str]
    ) -> tuple[Change | None, float | None]:
        if proposer is None:
            return None, None
        started = time.monotonic()
        workspace, frame = self.loop.workspace, self.loop.frame(self.best, self._elapsed_s)
        brief = self.briefing.brief(frame, self.journal.since("run"), self.best)
        said = None
        try:
            with workspace.guarded(self.loop.results):
                output = self.loop.folder / "propose.log"
                said = proposer.propose(brief, workspace.root, output, environ)
            change = workspace.change(self.best.commit)
            if not change.files:
                raise LoopError(f"{proposer.name} changed nothing")
        except LoopError as error:
            # What was no proposal has had its price all the same.
            if said is None:
                raise
            raise NoProposalError(str(error), cost_usd=said.cost_usd) from error
        self._write(
            "proposed", **here, summary=said.summary, diff=change.diff[:_DIFF_CHARS],
            model=proposer.name, cost_usd=said.cost_usd,
            latency_ms=round((time.monotonic() - started) * 1000),
        )  # fmt: skip
        return change, said.cost_usd

    def _score(
        self, here: dict[str, Any], environ: dict[str, str], *, is_proposal: bool
    ) -> Judgement:
        """Have the candidate judged, and write down what it was scored."""
        judged = self.judge.judge(
            self.best, environ, is_proposal=is_proposal, since_ns=self.since_ns
        )
        score = judged.score
        worse = regressions(self.best.cases, score.cases, self.loop.direction)
        cases = [case.document for case in score.cases]
        self._write(
            "scored", **here, score=judged.value, scores=judged.values, metric=self.loop.metric,
            direction=self.loop.direction, dims=dict(score.dims), measured=_measured(judged),
            reported=score.reported, suite_id=new_ulid() if cases else None, cases=cases,
            regressions=[one.document for one in worse],
        )  # fmt: skip
        self.best.remember(cases)
        if score.reported and score.reported != self.doubt:
            self.loop.say(f"scores are only reported: {score.reported}")
            self.doubt = score.reported
        return judged

    def _decide(
        self, begun: Entry, commit: str | None, judged: Judgement, *, cost_usd: float | None
    ) -> Entry:
        decision, score = judged.decision, judged.score
        kept, scored = decision.keep, bool(judged.values)
        failure = None if kept else score.failure or "score_missed"
        if self.asked.now and not scored:
            failure = "interrupted"
        interval = {"low": decision.low, "n": decision.n_candidate, "n_best": decision.n_best}
        return self._write(
            "decided",
            number=begun["number"],
            round_id=begun["round_id"],
            kept=kept,
            commit=commit,
            score=judged.value,
            scores=judged.values,
            measured=_measured(judged),
            dims=dict(score.dims),
            ties=dict(score.ties),
            cells=dict(score.cells),
            gain=decision.gain if scored else None,
            failure_mode=failure,
            reason=score.reason or decision.why,
            cost_usd=cost_usd,
            evidence={"rule": decision.rule, "why": decision.why, **interval},
            ledger_at=self.results.size,
        )

    def _settle(self, decided: Entry) -> None:
        """Bring files, branch and ledger to what was decided; doing so twice changes nothing."""
        before = self.best.commit
        kept = decided["kept"]
        target = (decided["commit"] or before) if kept else before
        self.loop.workspace.back_to(target)
        status = "keep" if kept else "discard" if decided["score"] is not None else "crash"
        self.results.add(decided["ledger_at"], self._row(decided, before, status))
        settled = self.journal.write("settled", number=decided["number"], ns=time.time_ns())
        self._settled(settled, decided)
        self.loop.say(f"{decided['number']}  {status}  {self._line(decided)}")

    def _settled(self, settled: Entry, decided: Entry) -> None:
        self.best.count(decided)
        if settled["number"] == 0:
            self.since_ns = settled["ns"]

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

    # Small things

    def _line(self, decided: Entry) -> str:
        """Return what a person is told of a round: its score, and what it did or why it failed."""
        summary = self._summary(decided["number"])
        if decided["score"] is None:
            why = " ".join(decided["reason"].split())[:_WHY_CHARS]
            return f"no score  {summary}: {why}"
        word = " reported" if decided["measured"] is False else ""
        return f"{decided['score']:.6g}{word}  {summary}"

    def _summary(self, number: int) -> str:
        entries = self.journal.since("run")
        found = (one for one in entries if one["kind"] == "proposed" and one["number"] == number)
        return summary_of(number, next(found, {}))

    @property
    def _mark(self) -> str:
        return f"{self.loop.folder.resolve()}/"

    def _environ(self, round_id: str) -> dict[str, str]:
        """Return what lets a command's events join the round."""
        parts = {
            "nightpane.project": self.loop.pane.project,
            "nightpane.client": self.loop.pane.client,
            "nightpane.run_id": self.run_id,
            "nightpane.round_id": round_id,
        }
        baggage = ",".join(f"{name}={value}" for name, value in parts.items() if value)
        return {"BAGGAGE": baggage, LOOP: self._mark}

    def _write(self, kind: str, **facts: Any) -> Entry:
        entry = self.journal.write(kind, at=self.loop.clock(), **facts)
        if kind != "stopped":
            tell(self.loop.pane, self.run_id, entry)
        return entry


def _failed(score: Score) -> Judgement:
    return Judgement(score, [], no_decision(score))


def _measured(judged: Judgement) -> bool | None:
    return not judged.score.reported if judged.values else None


def _of(entries: Sequence[Entry], kind: str) -> Entry:
    return next(entry for entry in entries if entry["kind"] == kind)


def _last(entries: Sequence[Entry], kind: str) -> Entry:
    return _of(entries[::-1], kind)


def _sum(*costs: float | None) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None
