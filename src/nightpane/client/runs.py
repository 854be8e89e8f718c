"""A night: the run that its rounds belong to, written by hand as a ``with`` block.

A run always ends with one ``stop_triggered``, and its open rounds are closed before. An exception
passes through unchanged.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from nightpane.catalog import FinetuneBatchPublished, ModelEscalated, StopTriggered
from nightpane.client import sigterm
from nightpane.client.envelope import DEFAULT_AGENT, Place
from nightpane.client.knobs import Knobs, read_knobs
from nightpane.client.rounds import Round, better
from nightpane.client.scopes import Scope, failure, number
from nightpane.client.working import Direction
from nightpane.errors import NightpaneError
from nightpane.ids import new_ulid

if TYPE_CHECKING:
    from nightpane.client.pane import Pane

__all__ = ["Run"]

log = logging.getLogger("nightpane")


class Run(Scope):
    """One night: made by ``Pane.run()``, used as ``with`` or ``async with``.

    Its rounds may run in several threads or tasks.
    """

    def __init__(
        self,
        pane: Pane,
        *,
        agent: str | None,
        run_id: str | None,
        metric: str | None,
        direction: Direction | None,
        baseline_score: float | None,
        knobs: type[Knobs] | bool = False,
    ) -> None:
        self.run_id = run_id or new_ulid()
        self.agent = agent or DEFAULT_AGENT
        self.metric = metric
        self.direction = direction
        self.best_score = baseline_score
        self._knobs_kind = Knobs if isinstance(knobs, bool) else knobs
        self._reads_knobs = bool(knobs)
        self.rounds_completed = 0
        self.total_cost_usd: float | None = None
        self._n_rounds = 0
        self._last_round: Place | None = None
        self._open: dict[str, Round] = {}
        self._lock = threading.RLock()
        self._reason: str | None = None
        self._closed = False
        super().__init__(pane, Place({"run_id": self.run_id}, self.agent))

    def round(
        self,
        *,
        agent: str | None = None,
        model: str | None = None,
        baseline_score: float | None = None,
        diff_lines: int | None = None,
        round_id: str | None = None,
        **extra: Any,
    ) -> Round:
        """Return a new round, to be entered with ``with``; it emits ``round_started`` then.

        ``baseline_score`` is the score to beat, by default the run's best so far. ``extra`` become
        properties of ``round_started``.
        """
        return Round(
            self,
            agent=agent or self.agent,
            model=model,
            baseline_score=self.best_score if baseline_score is None else baseline_score,
            diff_lines=diff_lines,
            round_id=round_id,
            extra=extra,
        )

    @property
    def knobs(self) -> Knobs:
        """What the run's knobs are set to now, for its agent; asking emits nothing."""
        return read_knobs(self._pane, self._knobs_kind, self.place)[0]

    def escalated(
        self,
        *,
        from_model: str,
        to_model: str,
        stall_rounds: int | None = None,
        reason: str | None = None,
        agent: str | None = None,
        **extra: Any,
    ) -> str | None:
        """Emit ``model_escalated``, on the round it happens in, or else the last one."""
        event = ModelEscalated(
            from_model=from_model, to_model=to_model, stall_rounds=stall_rounds, reason=reason
        )
        with self._lock:
            place = next(reversed(self._open.values())).place if self._open else self._last_round
        return self._pane._emit(event, place or self.place, agent, extra)

    def published(
        self,
        *,
        batch_id: str,
        n_examples: int | None = None,
        r2_key: str | None = None,
        target_model: str | None = None,
        agent: str | None = None,
        **extra: Any,
    ) -> str | None:
        """Emit ``finetune_batch_published``."""
        event = FinetuneBatchPublished(
            batch_id=batch_id, n_examples=n_examples, r2_key=r2_key, target_model=target_model
        )
        return self._pane._emit(event, self.place, agent, extra)

    def stop(self, reason: str) -> None:
        """Say why the run ends; ``stop_triggered`` is emitted when the run is left.

        Known reasons: max_rounds, budget, plateau, kill_switch, target, regressions, failures.
        """
        self._reason = reason

    def _begin(self) -> None:
        sigterm.watch(self)

    def _end(self, error: BaseException | None) -> None:
        sigterm.unwatch(self)
        if error is None:
            # Left at its own end: it did the rounds it was given.
            self._close(self._reason or "max_rounds", "left open at the end of the run")
            return
        mode, reason = failure(error)
        try:
            self._close("interrupted" if mode == "interrupted" else "error", reason, mode=mode)
        except NightpaneError as second:
            log.error("stop_triggered could not be emitted: %s", second)

    def interrupt(self, reason: str) -> None:
        """Close the run and its open rounds at once as interrupted; leaving it adds nothing."""
        self._close("interrupted", reason, mode="interrupted")

    def _close(self, reason: str, why: str, *, mode: str = "invalid") -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            open_rounds = list(self._open.values())
        for round_ in open_rounds:
            round_._close_open(mode, why)
        event = StopTriggered(
            reason=reason,
            rounds_completed=self.rounds_completed,
            total_cost_usd=self.total_cost_usd,
            final_best_score=self.best_score,
        )
        self._pane._emit(event, self.place, None, {})

    def _opened(self, round_: Round) -> int:
        """Count a round that begins; return how many began before it."""
        with self._lock:
            self._open[round_.round_id] = round_
            self._last_round = round_.place
            if self.best_score is None:
                self.best_score = number(round_.baseline_score)
            self._n_rounds += 1
            return self._n_rounds - 1

    def _settled(self, round_: Round, cost_usd: float | None) -> None:
        with self._lock:
            self._open.pop(round_.round_id, None)
            self.rounds_completed += 1
            if cost_usd is not None:
                self.total_cost_usd = (self.total_cost_usd or 0.0) + cost_usd

    def _improve(self, score: float | None, direction: Direction) -> float | None:
        """Take a kept score into account; return the best so far."""
        with self._lock:
            self.best_score = better(self.best_score, score, direction)
            return self.best_score
