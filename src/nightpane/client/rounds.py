"""A night and its rounds, written by hand as ``with`` blocks.

The right thing is the easy thing: ids are made, a round is always closed once, a run always ends
with one ``stop_triggered``, and improvement is positive whichever way the metric points. An
exception passes through unchanged.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from nightpane.catalog import (
    Event,
    FinetuneBatchPublished,
    ModelEscalated,
    ProposalApplied,
    ProposalGenerated,
    RoundKept,
    RoundReverted,
    RoundScored,
    RoundStarted,
    StopTriggered,
)
from nightpane.client import sigterm
from nightpane.client.envelope import DEFAULT_AGENT, Place, round_properties
from nightpane.client.scopes import Scope, failure
from nightpane.errors import NightpaneError
from nightpane.ids import new_ulid

if TYPE_CHECKING:
    from nightpane.client.pane import Pane

__all__ = ["Direction", "Round", "Run"]

Direction = Literal["max", "min"]

log = logging.getLogger("nightpane")

_LEFT_OPEN = "the round was left without keep() or revert()"


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
    ) -> None:
        self.run_id = run_id or new_ulid()
        self.agent = agent or DEFAULT_AGENT
        self.metric = metric
        self.direction = direction
        self.best_score = baseline_score
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
            self.best_score = _better(self.best_score, score, direction)
            return self.best_score


class Round(Scope):
    """One propose, apply, score, keep or revert: made by ``Run.round()``.

    Its methods may be called from any thread. Each returns the event's uuid, None when the event
    could not be written. Further keyword arguments become properties of the event.
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
        self.round_id = round_id or new_ulid()
        self.agent = agent
        self.model = model
        self.baseline_score = baseline_score
        self.score: float | None = None
        self.direction: Direction | None = None
        self.outcome: Literal["kept", "reverted"] | None = None
        self._diff_lines = diff_lines
        self._extra = extra
        self._cost_usd: float | None = None
        properties = {"run_id": run.run_id, **round_properties(self.round_id)}
        super().__init__(run._pane, Place(properties, agent))

    def generated(
        self,
        *,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        cost_usd: float | None = None,
        latency_ms: int | None = None,
        model: str | None = None,
        summary: str | None = None,
        diff: str | None = None,
        **extra: Any,
    ) -> str | None:
        """Emit ``proposal_generated``. Its ``cost_usd`` counts towards the round's."""
        cost = number(cost_usd)
        if cost is not None:
            self._cost_usd = (self._cost_usd or 0.0) + cost
        event = ProposalGenerated(
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cost_usd=cost_usd,
            latency_ms=latency_ms,
            model=self.model if model is None else model,
            summary=summary,
            diff=diff,
        )
        return self._emit(event, extra)

    def applied(
        self,
        *,
        target: str | None = None,
        diff_bytes: int | None = None,
        apply_latency_ms: int | None = None,
        **extra: Any,
    ) -> str | None:
        """Emit ``proposal_applied``."""
        event = ProposalApplied(
            target=target, diff_bytes=diff_bytes, apply_latency_ms=apply_latency_ms
        )
        return self._emit(event, extra)

    def scored(
        self,
        score: float | None,
        *,
        dims: Mapping[str, float] | None = None,
        metric: str | None = None,
        direction: Direction | None = None,
        scorer_version: str | None = None,
        scorer_variant: str | None = None,
        quality_score: float | None = None,
        measured: bool | None = None,
        **extra: Any,
    ) -> str | None:
        """Emit ``round_scored``; ``dims`` become ``dim_<name>``. A score of None means a crash.

        ``metric`` and ``direction`` are those of the run unless given; the first ones given here
        become the run's. Without any direction, higher is better.
        """
        run = self.run
        self.score = number(score)
        run.metric, run.direction = run.metric or metric, run.direction or direction
        self.direction = direction or run.direction
        event = RoundScored(
            score=score,
            metric=metric or run.metric,
            direction=self.direction,
            measured=measured,
            crashed=True if score is None else None,
            scorer_version=scorer_version,
            scorer_variant=scorer_variant,
            quality_score=quality_score,
        )
        by_dimension = {f"dim_{name}": value for name, value in (dims or {}).items()}
        return self._emit(event, {**by_dimension, **extra})

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
        reached = _better(self.baseline_score, self.score, direction)
        best = self.run._improve(reached if new_best is None else number(new_best), direction)
        cost_usd = self._settle(cost_usd)
        event = RoundKept(
            delta=delta, new_best=best if new_best is None else new_best, cost_usd=cost_usd
        )
        return self._emit(event, extra)

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
        wrong_model.
        """
        if not self._close("reverted"):
            return None
        event = RoundReverted(
            failure_mode=failure_mode,
            reason=reason,
            cost_usd=self._settle(cost_usd),
            regressed_dimensions=list(regressed_dimensions) if regressed_dimensions else None,
        )
        return self._emit(event, extra)

    def track(self, event: str, /, *, agent: str | None = None, **props: Any) -> str | None:
        """Track any event of this round, from any thread."""
        return self._pane._track(event, props, place=self.place, agent=agent)

    def emit(self, event: Event, /, *, agent: str | None = None, **extra: Any) -> str | None:
        """Emit a catalogue event of this round, from any thread."""
        return self._pane._emit(event, self.place, agent, extra)

    def _begin(self) -> None:
        event = RoundStarted(
            model=self.model,
            diff_lines=self._diff_lines,
            baseline_score=self.baseline_score,
            n_prior_rounds=self.run._opened(self),
        )
        self._emit(event, self._extra)

    def _end(self, error: BaseException | None) -> None:
        if error is None:
            self._close_open("invalid", _LEFT_OPEN)
            return
        mode, reason = failure(error)
        try:
            self._close_open(mode, reason)
        except NightpaneError as second:
            log.error("round_reverted could not be emitted: %s", second)

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

    def _emit(self, event: Event, extra: Mapping[str, Any]) -> str | None:
        return self._pane._emit(event, self.place, None, extra)


def number(value: Any) -> float | None:
    """Return a finite number, None for anything else; never raises."""
    if value is None or isinstance(value, bool | str | bytes):
        return None
    try:
        result = float(value)
    except Exception:  # noqa: BLE001 (a user's object may raise anything)
        return None
    return result if result - result == 0.0 else None


def _better(best: float | None, score: float | None, direction: Direction) -> float | None:
    if best is None or score is None:
        return score if best is None else best
    return max(best, score) if direction == "max" else min(best, score)
