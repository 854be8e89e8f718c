"""AutoAgent: an agent's harness is edited, a benchmark rewards each task, passed tasks count.

A harness that passes as many tasks is kept when its average reward is higher, else when it is
simpler. A task without a reward is a task that was not passed: none may vanish from the total.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from nightpane.client.pane import Pane
from nightpane.errors import LoopError
from nightpane.loops.autoresearch import LEDGER, state_folder
from nightpane.loops.cases import Case
from nightpane.loops.engine import Loop
from nightpane.loops.harbor import TaskReward, read_rewards, seen
from nightpane.loops.keep import Better, KeepRule
from nightpane.loops.processes import run_command
from nightpane.loops.proposing import Proposer
from nightpane.loops.scoring import Score, failure_of
from nightpane.loops.stop import Limits
from nightpane.loops.workspace import Workspace

__all__ = ["AutoAgent", "Benchmark", "task_names"]

_COLUMNS = ("commit", "avg_score", "passed", "task_scores", "cost_usd", "status", "description")


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoAgent:
    """What a person decides: the harness's repository, what may be edited, the benchmark.

    ``run`` is the benchmark's command, ``rewards`` where it leaves its rewards (Harbor's jobs, or a
    file), ``tasks`` the names of its tasks or how many they are, ``timeout_s`` the most it may
    take. A task is passed at ``threshold`` or more.
    """

    repository: Path
    edit: Sequence[str]
    run: str
    rewards: Path
    tasks: Sequence[str] | int
    timeout_s: float
    limits: Limits
    metric: Literal["pass_rate", "avg_score"] = "pass_rate"
    threshold: float = 1.0
    protect: Sequence[str] = ()
    rule: KeepRule | None = None
    escalate_after: int | None = None
    kill_flag: str | None = None

    def loop(
        self,
        pane: Pane,
        proposers: Sequence[Proposer],
        state_dir: Path,
        *,
        say: Callable[[str], None] = lambda _text: None,
    ) -> Loop:
        """Return the loop. Its journal lies below ``state_dir``, by the repository's path.

        Raises LoopError when the repository is not fit for one.
        """
        workspace = Workspace(
            self.repository, editable=self.edit, protected=self.protect, own=(LEDGER,)
        )
        return Loop(
            workspace=workspace,
            proposers=proposers,
            scorer=Benchmark(
                command=self.run,
                rewards=self.rewards,
                tasks=self.tasks,
                timeout_s=self.timeout_s,
                metric=self.metric,
                threshold=self.threshold,
                editable=tuple(self.edit),
            ),
            metric=self.metric,
            direction="max",
            limits=self.limits,
            pane=pane,
            folder=state_folder(state_dir, workspace.root),
            results=workspace.root / LEDGER,
            columns=_COLUMNS,
            rule=self.rule or Better(),
            escalate_after=self.escalate_after,
            kill_flag=self.kill_flag,
            say=say,
        )


def task_names(folder: Path) -> tuple[str, ...]:
    """Return the names of a folder's tasks in Harbor's format: its folders with a ``task.toml``.

    Raises LoopError when there is none.
    """
    found = tuple(sorted(path.parent.name for path in folder.glob("*/task.toml")))
    if not found:
        raise LoopError(f"{folder} holds no task: each is a folder with a task.toml")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Runs a benchmark's command in the repository and counts the tasks that were passed."""

    command: str
    rewards: Path
    tasks: Sequence[str] | int
    timeout_s: float
    metric: str
    threshold: float
    editable: tuple[str, ...]

    def score(self, root: Path, output: Path, environ: Mapping[str, str]) -> Score:
        """Return the score of the rewards that the command wrote."""
        path = root / self.rewards
        before = seen(path)
        done = run_command(
            self.command, cwd=root, output=output, timeout_s=self.timeout_s, environ=environ
        )
        if (failed := failure_of(done, self.timeout_s)) is not None:
            return failed
        attempts = read_rewards(path, before=before, threshold=self.threshold)
        costs = [one.cost_usd for one in attempts if one.cost_usd is not None]
        cost_usd = sum(costs) if costs else None
        if all(one.reward is None for one in attempts):
            # Nothing was verified, so nothing is known: a broken sandbox is not a bad harness.
            why = f"no task has a reward: {attempts[0].why}"
            return Score(value=None, failure="crash", reason=why, cost_usd=cost_usd)
        return self._score(self._cases(attempts), _words(root, self.editable), cost_usd)

    def _cases(self, attempts: Sequence[TaskReward]) -> list[Case]:
        """Return a case for each task; several attempts at one give their mean."""
        named = {} if isinstance(self.tasks, int) else dict.fromkeys(self.tasks)
        cases = {name: _not_run(name) for name in named}
        for task, group in groupby(attempts, key=lambda one: one.task):
            name = task if task in named else task.rpartition("/")[2]
            if named and name not in named:
                raise LoopError(f"the benchmark gave a reward to {task!r}, which is no task of it")
            cases[name] = _case(name, list(group))
        missing = 0 if named else int(str(self.tasks)) - len(cases)
        if missing < 0:
            raise LoopError(f"the benchmark gave {len(cases)} tasks a reward; it has {self.tasks}")
        unnamed = [_not_run(f"not run {number}") for number in range(1, missing + 1)]
        return [*(cases[name] for name in sorted(cases)), *unnamed]

    def _score(self, cases: Sequence[Case], words: int, cost_usd: float | None) -> Score:
        passed, total = sum(case.passed is True for case in cases), len(cases)
        average = statistics.fmean(case.score or 0.0 for case in cases)
        values = {"pass_rate": passed / total, "avg_score": average}
        tasks = (f"{case.case_id}:{case.score or 0.0:g}" for case in cases)
        return Score(
            value=values[self.metric],
            dims=values,
            cost_usd=cost_usd,
            cases=cases,
            ties={"the average reward is higher": average, "the harness is simpler": -words},
            cells={
                "avg_score": f"{average:.3f}",
                "passed": f"{passed}/{total}",
                "task_scores": ",".join(tasks),
            },
        )


def _case(name: str, attempts: Sequence[TaskReward]) -> Case:
    passed = sum(one.passed for one in attempts)
    whys = [one.why for one in attempts if one.why]
    told = f"{passed} of {len(attempts)} attempts passed" if len(attempts) > 1 else ""
    return Case(
        case_id=name,
        score=statistics.fmean(one.reward or 0.0 for one in attempts),
        passed=2 * passed > len(attempts),
        rationale="; ".join(filter(None, [told, *whys])) or None,
    )


def _not_run(name: str) -> Case:
    return Case(case_id=name, score=0.0, passed=False, rationale="the benchmark gave it no reward")


def _words(root: Path, editable: Sequence[str]) -> int:
    """Return how many words the harness has: neither long lines nor short names hide its size."""
    paths = {path for glob in editable for path in root.glob(glob) if path.is_file()}
    return sum(len(path.read_text("utf-8", "replace").split()) for path in paths)
