"""GTM-AutoResearch: a Tag Manager container is changed by operations, and scored in this process.

The container lies in a repository of the loop's own, so the file one gives is never touched. A
candidate that breaks an invariant is reverted as invalid, whatever it would have scored.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nightpane.client.pane import Pane
from nightpane.errors import GtmError, LoopError
from nightpane.gtm.asking import asking
from nightpane.gtm.case import Case as Check
from nightpane.gtm.container import Container
from nightpane.gtm.corpus import told
from nightpane.gtm.invariants import check
from nightpane.gtm.judge import Judge, blended
from nightpane.gtm.mending import propose
from nightpane.gtm.mutations import Operation, apply, operations
from nightpane.gtm.rubric import Rubric
from nightpane.gtm.scorer import Verdict, score
from nightpane.gtm.signals import Signals
from nightpane.loops.autoresearch import LEDGER, state_folder
from nightpane.loops.cases import Case
from nightpane.loops.engine import Loop
from nightpane.loops.keep import Better, KeepRule
from nightpane.loops.proposing import Brief, NoProposalError, Proposal, Proposer
from nightpane.loops.scoring import Score
from nightpane.loops.stop import Limits
from nightpane.loops.workspace import Workspace

__all__ = ["CONTAINER", "LIMITS", "VERDICT", "GtmAutoResearch", "Rules", "proposals"]

CONTAINER, OPERATIONS = "container.json", "operations.json"
"""The files of a round: the container, and, where a proposer writes operations, those."""
VERDICT = "NIGHTPANE_VERDICT"
"""Names the file in which a proposer's command finds the verdict on the best container."""
LIMITS = Limits(max_rounds=30, target=0.92, sustained=3, regressions=3, failures=5)
"""When the public loop stops."""

_PROPOSALS, _BEFORE = "proposals.jsonl", "before.json"
_ROUND = re.compile(r"nightpane\.round_id=(\w+)")
_MOST_CASES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class GtmAutoResearch:
    """What a person decides: the container, what it is scored by, when to stop.

    ``old_signals`` allows a snapshot of more than 72 hours. ``judge`` is a model that grades every
    candidate too: its grades are dimensions named ``judge_…``, and change the score only as the
    rubric's judge_weight says.
    """

    container: Path
    signals: Signals | None = None
    rubric: Rubric = field(default_factory=Rubric.default)
    profile: str | None = None
    limits: Limits = LIMITS
    rule: KeepRule | None = None
    escalate_after: int | None = None
    kill_flag: str | None = None
    old_signals: bool = False
    judge: str | None = None

    def folder(self, state_dir: Path, seed: Container) -> Path:
        """Return where the loop keeps its journal and its repository: one folder for each container
        and each state in which one gave it."""
        digest = hashlib.sha256(seed.text.encode()).hexdigest()
        return state_folder(state_dir, self.container) / digest[:16]

    def scorer(self, seed: Container, folder: Path) -> ContainerScorer:
        """Return the scorer. Raises GtmError when the rubric has no such profile."""
        profile = score(seed, self.signals, self.rubric, self.profile).profile
        return ContainerScorer(
            signals=self.signals,
            rubric=self.rubric,
            profile=profile,
            folder=folder,
            judge=self.judge,
        )

    def loop(
        self,
        pane: Pane,
        proposers: Sequence[Proposer],
        state_dir: Path,
        *,
        say: Callable[[str], None] = lambda _text: None,
    ) -> Loop:
        """Return the loop. Its repository and journal lie below ``state_dir``, by the container's
        path. Without proposers the rules of ``nightpane.gtm.mending`` propose.

        Raises GtmError when the container, the signals or the profile are not fit.
        """
        seed = Container.read(self.container)
        if self.signals is not None and not self.old_signals:
            warning = self.signals.age_warning(datetime.now(UTC))
            if warning:
                say(warning)
        folder = self.folder(state_dir, seed)
        root = _repository(folder / "repository", seed)
        (folder / _BEFORE).unlink(missing_ok=True)
        scorer = self.scorer(seed, folder)
        return Loop(
            workspace=Workspace(root, editable=[CONTAINER], own=(LEDGER,)),
            proposers=[_Operating(one, scorer, folder) for one in proposers or [Rules(scorer)]],
            scorer=scorer,
            metric="score",
            direction="max",
            limits=self.limits,
            pane=pane,
            folder=folder,
            results=root / LEDGER,
            columns=("commit", "score", "status", "description"),
            rule=self.rule or Better(),
            escalate_after=self.escalate_after,
            kill_flag=self.kill_flag,
            say=say,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerScorer:
    """Scores the container of a folder; one that breaks an invariant has no score."""

    signals: Signals | None
    rubric: Rubric
    profile: str
    folder: Path
    judge: str | None = None

    def verdict(self, container: Container) -> Verdict:
        """Return the verdict on a container."""
        return score(container, self.signals, self.rubric, self.profile)

    def score(
        self,
        root: Path,
        output: Path,
        environ: Mapping[str, str],
    ) -> Score:
        """Return the score of the folder's container; what is wrong with it goes to ``output``.

        Without the judge's grades there is no score where the rubric weighs them; where it does
        not, what the judge said instead is in ``output``.
        """
        try:
            found = Container.read(root / CONTAINER)
        except GtmError as error:
            return Score(value=None, failure="invalid", reason=str(error))
        before = self.folder / _BEFORE
        breaches = check(Container.read(before), found) if before.exists() else []
        if breaches:
            why = "; ".join(str(one) for one in breaches[:5])
            return Score(value=None, failure="invalid", reason=f"breaks an invariant: {why}")
        verdict = self.verdict(found)
        value, grades, silence = verdict.score, {}, ""
        if self.judge is not None:
            asked = Judge(asking(self.judge, baggage=environ.get("BAGGAGE")), self.rubric)
            try:
                grades = dict(asked.grade(found, verdict))
                value = blended(verdict, grades, self.rubric)
            except GtmError as error:
                if self.rubric.judge_weight:
                    return Score(value=None, failure="invalid", reason=str(error))
                silence = f"{error}\n"
        output.write_text(_written(verdict) + silence, "utf-8")
        judged = {f"judge_{name}": one.grade for name, one in grades.items()}
        return Score(
            value=value,
            dims={**verdict.dimensions, **judged},
            cases=[_case(name, verdict) for name in verdict.cases],
        )


def _case(dimension: str, verdict: Verdict) -> Case:
    """Return a dimension as a case: it passes at the rubric's threshold."""
    value, wrong = verdict.dimensions[dimension], verdict.wrong(dimension)
    said = "; ".join(one.rationale for one in wrong[:5])
    more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    return Case(
        case_id=dimension,
        dim=dimension,
        score=value,
        passed=value >= verdict.threshold,
        rationale=f"{said}{more}"[:800] or "nothing is wrong",
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """Proposes by rules, without a model."""

    scorer: ContainerScorer

    @property
    def name(self) -> str:
        """Who proposes."""
        return "rules"

    def propose(
        self,
        brief: Brief,
        root: Path,
        output: Path,  # noqa: ARG002 (nothing is printed)
        environ: Mapping[str, str],  # noqa: ARG002 (it is in this process)
    ) -> Proposal:
        """Write the operations that mend the most pressing flaw. Raises LoopError when no rule
        knows one that was not tried."""
        container = Container.read(root / CONTAINER)
        done = {one.summary for one in brief.tried if one.status not in ("kept", "interrupted")}
        tried = list(_tried(self.scorer.folder, done))
        found = propose(self.scorer.verdict(container), container, tried)
        if found is None:
            raise LoopError("no rule knows what would make the container better")
        text = json.dumps(list(found.operations), ensure_ascii=False, indent=1)
        (root / OPERATIONS).write_text(text, "utf-8")
        return Proposal(summary=found.summary)


@dataclass(frozen=True, slots=True)
class _Operating:
    """Lets a proposer write operations instead of the container, and applies them.

    The verdict on the best container lies beside it, in the file that ``NIGHTPANE_VERDICT`` names.
    """

    inner: Proposer
    scorer: ContainerScorer
    folder: Path

    @property
    def name(self) -> str:
        return self.inner.name

    def propose(
        self, brief: Brief, root: Path, output: Path, environ: Mapping[str, str]
    ) -> Proposal:
        best = Container.read(root / CONTAINER)
        best.write(self.folder / _BEFORE)
        verdict = self.scorer.verdict(best)
        self._note(environ, {**told(best, verdict), "profile": verdict.profile})
        path = self.folder / "verdict.json"
        path.write_text(_written(verdict), "utf-8")
        said = self.inner.propose(brief, root, output, {**environ, VERDICT: str(path)})
        given = root / OPERATIONS
        done: list[Operation] | None = None
        if given.exists():
            try:
                done = operations(given.read_text("utf-8"))
                apply(best, done).write(root / CONTAINER)
            except (GtmError, UnicodeDecodeError) as error:
                raise NoProposalError(str(error), cost_usd=said.cost_usd) from error
            finally:
                given.unlink()
        summary = _named(said.summary, done)
        self._note(environ, {"summary": summary, "operations": done})
        return Proposal(summary=summary, cost_usd=said.cost_usd)

    def _note(self, environ: Mapping[str, str], facts: Mapping[str, Any]) -> None:
        """Keep what is known of a round's proposal, for the store and the next proposals."""
        found = _ROUND.search(environ.get("BAGGAGE", ""))
        entry = {"round_id": found[1] if found else None, **facts}
        with (self.folder / _PROPOSALS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _named(summary: str, done: Sequence[Operation] | None) -> str:
    """Return a summary that no other operations have."""
    if done is None:
        return summary
    digest = hashlib.sha256(json.dumps(done, sort_keys=True).encode()).hexdigest()
    return f"{summary} [{digest[:8]}]"


def proposals(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return what is known of proposals, by ``round_id``: how the best container stood before
    (``state``, ``problem``, ``profile``), and, of those that were made, ``summary`` and
    ``operations``, which may be None."""
    path = folder / _PROPOSALS
    found: dict[str, dict[str, Any]] = {}
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            # The last line of a process that was killed while it wrote.
            continue
        found.setdefault(str(entry["round_id"]), {}).update(entry)
    return dict(found)


def _tried(folder: Path, summaries: set[str]) -> list[Sequence[Operation]]:
    return [
        one["operations"]
        for one in proposals(folder).values()
        if one.get("summary") in summaries and one["operations"] is not None
    ]


def _written(verdict: Verdict) -> str:
    """Return a verdict as JSON, with what is wrong and what to do."""

    def told(one: Check) -> dict[str, str]:
        return {"severity": one.severity, "found": one.rationale, "fix": one.fix}

    wrong = {
        name: [told(one) for one in verdict.wrong(name)[:_MOST_CASES]] for name in verdict.cases
    }
    document = {
        "score": verdict.score,
        "profile": verdict.profile,
        "dimensions": dict(verdict.dimensions),
        "gates": verdict.gates,
        "wrong": wrong,
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _repository(here: Path, seed: Container) -> Path:
    """Return the loop's own repository with the container in it, made whole or not at all."""
    if here.is_dir():
        return here
    new = here.with_name(f"{here.name}.{os.getpid()}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    seed.write(new / CONTAINER)
    for arguments in (
        ("init", "--quiet", "--initial-branch", "main"),
        ("config", "user.name", "nightpane"),
        ("config", "user.email", "nightpane@localhost"),
        ("add", CONTAINER),
        ("commit", "--quiet", "--no-verify", "--message", "the container as given"),
    ):
        command = ["git", "-C", str(new), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LoopError(f"git {arguments[0]} failed in {new}: {done.stderr.strip()}")
    new.rename(here)
    return here
