"""The loop that a person puts together: who proposes, how it is scored, when it stops.

Running it is the work of ``running``; this module must never do any of it by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightpane.client.pane import Pane
from nightpane.errors import LoopError
from nightpane.loops.journal import Journal
from nightpane.loops.keep import Better, Direction, KeepRule
from nightpane.loops.proposing import Brief, Proposer
from nightpane.loops.rehearsal import Rehearsal, rehearse
from nightpane.loops.running import Outcome, Run
from nightpane.loops.scoring import Scorer
from nightpane.loops.signals import asked_to_stop
from nightpane.loops.standing import Standing
from nightpane.loops.stop import Limits
from nightpane.loops.workspace import Workspace
from nightpane.query import Query

__all__ = ["Loop", "Outcome"]


@dataclass(kw_only=True)
class Loop:
    """A loop over one repository. ``run`` it; run it again after a crash to go on.

    ``proposers`` is the ladder: after ``escalate_after`` rounds without a kept one the next takes
    over, and after a kept round the first again. ``folder`` holds the journal and what commands
    print, and must lie outside of what the repository tracks. The ledger ``results`` has
    ``columns``; besides commit, the metric, cost_usd, status and description, a scorer's ``cells``
    fill them. ``kill_flag`` is the key of a feature flag that stops the loop when it is on.
    ``query`` answers what earlier runs tried, by default the API of the pane's settings.
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
    kill_flag: str | None = None
    query: Query | None = None
    clock: Callable[[], float] = time.time
    say: Callable[[str], None] = lambda _text: None

    def run(self) -> Outcome:
        """Run to a limit and return how it ended; SIGTERM and SIGINT end it in order.

        Raises LoopError when the target is not fit, or another loop works on it.
        """
        self._check()
        with Journal.open(self.folder) as journal, asked_to_stop() as asked:
            return Run(self, journal, asked).go()

    def rehearse(self) -> Rehearsal:
        """Return what a first round and one proposal come to in a copy of the repository.

        Nothing of the repository, ledger, journal and pane is touched. Raises LoopError when the
        target is not fit.
        """
        self._check()
        return rehearse(
            workspace=self.workspace,
            proposer=self.proposers[0],
            scorer=self.scorer,
            rule=self.rule,
            frame=self.frame(Standing(self.direction, self.limits, self.workspace.head)),
            limits=self.limits,
        )

    def frame(self, best: Standing, elapsed_s: float = 0.0) -> Brief:
        """Return a brief of everything but what was tried."""
        limits, done = self.limits, best.progress
        return Brief(
            metric=self.metric,
            direction=self.direction,
            best_score=best.score,
            best_dims=best.dims,
            best_measured=best.measured,
            editable=self.workspace.editable,
            protected=self.workspace.protected,
            tried=(),
            rounds_left=_left(limits.max_rounds, done.rounds),
            budget_left_usd=_left(limits.budget_usd, done.cost_usd),
            hours_left=_left(limits.hours, elapsed_s / 3600),
        )

    def _check(self) -> None:
        if not self.proposers:
            raise LoopError("a loop needs somebody who proposes")


def _left(limit: Any, used: float) -> Any:
    return None if limit is None else max(0, limit - used)
