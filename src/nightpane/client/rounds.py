"""A round, written by hand as a ``with`` block.

The right thing is the easy thing: ids are made, a round is always closed once, and improvement is
positive whichever way the metric points. An exception passes through unchanged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from nightpane.catalog import RoundKept, RoundReverted, RoundStarted
from nightpane.client.envelope import Place, round_properties
from nightpane.client.scopes import failure, number
from nightpane.client.working import Direction, Working
from nightpane.errors import NightpaneError
from nightpane.ids import new_ulid

if TYPE_CHECKING:
    from nightpane.client.runs import Run

__all__ = ["Round", "better"]

log = logging.getLogger("nightpane")

_LEFT_OPEN = "the round was left without keep() or revert()"


class Round(Working):
    """One propose, apply, score, keep or revert: made by ``Run.round()``.

    Entering it emits ``round_started``; ``keep()`` or ``revert()`` closes it, once.
    """

    def __init__(
        self,
        run: Run,
        *,
        agent: str,
        model: str | None,
        baseline_score: float | None,
        diff_lines: int | None,
        round_id: str | None,
        extra: Mapping[str, Any],
    ) -> None:
        self.run = run
        self.agent = agent
        self.baseline_score = baseline_score
        self.outcome: Literal["kept", "reverted"] | None = None
        self._diff_lines = diff_lines
        self._extra = extra
        properties = {"run_id": run.run_id, **round_properties(round_id or new_ulid())}
        super().__init__(run._pane, Place(properties, agent), model=model)
        self._knobs_kind = run._knobs_kind

    def keep(
        self,
        *,
        delta: float | None = None,
        new_best: float | None = None,
        cost_usd: float | None = None,
        **extra: Any,
    ) -> str | None:
        """Emit ``round_kept`` and close the round.

        ``delta`` (improvement over the baseline, positive whichever way the metric points),
        ``new_best`` and ``cost_usd`` (the sum of what ``generated`` was told) are worked out when
        not given.
        """
        if not self._close("kept"):
            return None
        direction = self.direction or self.run.direction or "max"
        if delta is None and self.score is not None and self.baseline_score is not None:
            gain = self.score - self.baseline_score
            delta = gain if direction == "max" else -gain
        reached = better(self.baseline_score, self.score, direction)
        best = self.run._improve(reached if new_best is None else number(new_best), direction)
        cost_usd = self._settle(cost_usd)
        event = RoundKept(
            delta=delta, new_best=best if new_best is None else new_best, cost_usd=cost_usd
        )
        return self.emit(event, **extra)

    def revert(
        self,
        failure_mode: str,
        *,
        reason: str | None = None,
        cost_usd: float | None = None,
        regressed_dimensions: Sequence[str] | None = None,
        **extra: Any,
    ) -> str | None:
        """Emit ``round_reverted`` and close the round.

        Known failure modes: score_missed, crash, timeout, invalid, exception, interrupted,
        wrong_model. ``regressed_dimensions`` are those that the round's suites found, unless given.
        """
        if not self._close("reverted"):
            return None
        if regressed_dimensions is None:
            found = (one for suite in self.suites for one in suite.regressions)
            regressed_dimensions = sorted({str(one.dim or one.case_id) for one in found})
        event = RoundReverted(
            failure_mode=failure_mode,
            reason=reason,
            cost_usd=self._settle(cost_usd),
            regressed_dimensions=list(regressed_dimensions) if regressed_dimensions else None,
        )
        return self.emit(event, **extra)

    def _begin(self) -> None:
        if self.run._reads_knobs:
            self._read_knobs()
        event = RoundStarted(
            model=self.model,
            diff_lines=self._diff_lines,
            baseline_score=self.baseline_score,
            n_prior_rounds=self.run._opened(self),
        )
        self.emit(event, **self._extra)

    def _end(self, error: BaseException | None) -> None:
        if error is None:
            self._close_open("invalid", _LEFT_OPEN)
            return
        mode, reason = failure(error)
        try:
            self._close_open(mode, reason)
        except NightpaneError as second:
            log.error("round_reverted could not be emitted: %s", second)

    def _measure(
        self, metric: str | None, direction: Direction | None
    ) -> tuple[str | None, Direction | None]:
        run = self.run
        run.metric, run.direction = run.metric or metric, run.direction or direction
        return metric or run.metric, direction or run.direction

    def _close_open(self, mode: str, reason: str) -> None:
        if self.outcome is None:
            self.revert(mode, reason=reason)

    def _close(self, outcome: Literal["kept", "reverted"]) -> bool:
        with self.run._lock:
            before, self.outcome = self.outcome, self.outcome or outcome
        if before is not None:
            self._pane._say_misuse(
                f"round {self.round_id} is {before} already: not {outcome} again"
            )
        return before is None

    def _settle(self, cost_usd: float | None) -> float | None:
        cost_usd = self._cost_usd if cost_usd is None else cost_usd
        self.run._settled(self, number(cost_usd))
        return cost_usd


def better(best: float | None, score: float | None, direction: Direction) -> float | None:
    """Return the better of two scores, either of which may be missing."""
    if best is None or score is None:
        return score if best is None else best
    return max(best, score) if direction == "max" else min(best, score)
