"""What may be said inside a round by whoever works on it: proposals, scores, steps and suites.

The round's own process does so, and so does any other that joins it. What is emitted hangs under
the step, case or suite that the calling code stands in, else under the round.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from nightpane.catalog import (
    Event,
    ProposalApplied,
    ProposalGenerated,
    RoundScored,
    StepObservation,
    StepPlan,
    StepReflection,
    StepRetry,
)
from nightpane.client import carrier
from nightpane.client.envelope import Place
from nightpane.client.knobs import Knobs, read_knobs
from nightpane.client.scopes import Scope, current_scope, describe, number
from nightpane.client.steps import Step, ToolStep
from nightpane.client.suites import DEFAULT_THRESHOLD, Suite, mean

if TYPE_CHECKING:
    from nightpane.client.pane import Pane

__all__ = ["Calls", "Direction", "JoinedRound", "Working"]

Direction = Literal["max", "min"]


class Calls(Scope):
    """What calls of models are made for, while the code stands in it: made by ``calls()``."""


class Working(Scope):
    """A round as one who works on it sees it.

    Its methods may be called from any thread. Those that emit one event return its uuid, None when
    it could not be written. ``agent`` is the role that acts, the round's unless given; further
    keyword arguments become properties of the event.
    """

    def __init__(self, pane: Pane, place: Place, *, model: str | None = None) -> None:
        self.round_id = place.round_id or ""
        self.model = model
        self.score: float | None = None
        self.direction: Direction | None = None
        self.suites: list[Suite] = []
        self._cost_usd: float | None = None
        self._grades: list[float] = []
        self._retries: dict[str | None, int] = {}
        self._seen: dict[str, float] = {}
        self._knobs: Knobs | None = None
        self._knobs_kind = Knobs
        super().__init__(pane, place)

    @property
    def knobs(self) -> Knobs:
        """What the round's knobs are set to, read once; the first use of each is tracked.

        Events say so from the round's start when the run was made with ``knobs=``, else from now.
        """
        return self._knobs or self._read_knobs()

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
        return self.emit(event, **extra)

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
        return self.emit(event, **extra)

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
        become the run's. Without any direction, higher is better. ``quality_score`` is the mean of
        the round's suites unless given, else that of its grades; the suites' dimensions join
        ``dims``, which come first.
        """
        self.score = number(score)
        metric, self.direction = self._measure(metric, direction)
        event = RoundScored(
            score=score,
            metric=metric,
            direction=self.direction,
            measured=measured,
            crashed=True if score is None else None,
            scorer_version=scorer_version,
            scorer_variant=scorer_variant,
            quality_score=self._quality() if quality_score is None else quality_score,
        )
        known = {name: value for suite in self.suites for name, value in suite.dims().items()}
        by_dimension = {f"dim_{name}": value for name, value in {**known, **(dims or {})}.items()}
        return self.emit(event, **{**by_dimension, **extra})

    def graded(self, quality_score: float | None) -> None:
        """Take note of a grader's verdict; their mean is the round's quality without a suite."""
        grade = number(quality_score)
        if grade is not None:
            self._grades.append(grade)

    def plan(
        self,
        plan: str | None = None,
        *,
        next_action: str | None = None,
        confidence: float | None = None,
        agent: str | None = None,
        **extra: Any,
    ) -> Step:
        """Emit ``step.plan``; ``with`` the step, the calls that make the plan hang under it.

        A plan that is known only later is told by ``step.says(plan=…)``.
        """
        about = {"plan": plan, "next_action": next_action, "confidence": confidence, **extra}
        return Step(self._pane, self._here(), StepPlan, about, agent)

    def tool(
        self,
        name: str,
        args: Any = None,
        *,
        timeout_ms: int | None = None,
        task_type: str | None = None,
        agent: str | None = None,
        **extra: Any,
    ) -> ToolStep:
        """Return a call of a tool, to be entered with ``with``: it emits the call and the return.

        ``args`` is any value; what it returns is told by ``step.returns(value)``.
        """
        return ToolStep(
            self._pane,
            self._here(),
            name,
            args,
            timeout_ms=timeout_ms,
            task_type=task_type,
            agent=agent,
            extra=extra,
        )

    def observe(
        self,
        source: str,
        value: Any = None,
        *,
        delta_from_last: float | None = None,
        agent: str | None = None,
        **extra: Any,
    ) -> Step:
        """Emit ``step.observation``.

        ``delta_from_last`` is worked out for a number that was observed before in this round.
        """
        seen = number(value)
        if seen is not None and isinstance(source, str):
            before = self._seen.get(source)
            self._seen[source] = seen
            if delta_from_last is None and before is not None:
                delta_from_last = seen - before
        about = {"source": source, "value": value, "delta_from_last": delta_from_last, **extra}
        return Step(self._pane, self._here(), StepObservation, about, agent)

    def reflect(
        self,
        verdict: str | None = None,
        *,
        issues: list[str] | None = None,
        retry: bool | None = None,
        agent: str | None = None,
        **extra: Any,
    ) -> Step:
        """Emit ``step.reflection``; otherwise as ``plan``."""
        about = {"verdict": verdict, "issues": issues, "retry": retry, **extra}
        return Step(self._pane, self._here(), StepReflection, about, agent)

    def retry(
        self,
        cause: str | None = None,
        *,
        attempt: int | None = None,
        prior_error: str | BaseException | None = None,
        agent: str | None = None,
        **extra: Any,
    ) -> Step:
        """Emit ``step.retry``, before something is tried again.

        ``attempt`` is counted, unless given: the first retry in a place begins the second attempt.
        Calls of a tool count theirs by themselves.
        """
        here = self._here()
        if attempt is None:
            attempt = self._retries.get(here.place.parent_id, 1) + 1
        if isinstance(attempt, int):
            self._retries[here.place.parent_id] = attempt
        if isinstance(prior_error, BaseException):
            cause = cause or type(prior_error).__qualname__
            prior_error = describe(prior_error, None)
        about = {"cause": cause, "attempt": attempt, "prior_error": prior_error, **extra}
        return Step(self._pane, here, StepRetry, about, agent)

    def suite(
        self,
        name: str,
        *,
        scorer_version: str | None = None,
        n_cases: int | None = None,
        direction: Direction | None = None,
        regression_threshold: float = DEFAULT_THRESHOLD,
        agent: str | None = None,
        **extra: Any,
    ) -> Suite:
        """Return one evaluation of the candidate, to be entered with ``with``: emits ``eval.run``.

        A case that is worse than the best before it, of the same project, client and suite, by more
        than ``regression_threshold``, or that passed then and does not now, is emitted as
        ``eval.regression``. ``direction`` says which way its scores are better (max).
        """
        suite = Suite(
            self._pane,
            self._here(),
            name,
            scorer_version=scorer_version,
            n_cases=n_cases,
            direction=direction,
            regression_threshold=regression_threshold,
            agent=agent,
            extra=extra,
        )
        self.suites.append(suite)
        return suite

    def calls(
        self,
        *,
        phase: str | None = None,
        task_type: str | None = None,
        span_name: str | None = None,
        agent: str | None = None,
    ) -> Calls:
        """Return a scope, to be entered with ``with``, that says what calls of models are made for.

        ``phase`` and ``task_type`` are of the catalogue's taxonomy, or one's own; ``span_name``
        becomes ``$ai_span_name``. ``agent`` is who acts in it, in every event.
        """
        place = self._here().place
        named = {"phase": phase, "task_type": task_type, "$ai_span_name": span_name}
        given = {name: value for name, value in named.items() if value is not None}
        calls = {**(place.calls or {}), **given}
        return Calls(self._pane, Place(place.properties, agent or place.agent, calls))

    def carrier(self) -> dict[str, str]:
        """Return the W3C ``baggage`` header by which another process joins this round, here."""
        place = self._here().place
        return {"baggage": carrier.baggage(place, self._pane.project, self._pane.client)}

    def environ(self) -> dict[str, str]:
        """Return the environment variable by which a child process joins this round, here.

        What else is in this process's ``BAGGAGE`` stays in it.
        """
        place = self._here().place
        return {"BAGGAGE": carrier.environ(place, self._pane.project, self._pane.client)}

    def track(self, event: str, /, *, agent: str | None = None, **props: Any) -> str | None:
        """Track any event of this round, from any thread."""
        return self._pane._track(event, props, place=self._here().place, agent=agent)

    def emit(self, event: Event, /, *, agent: str | None = None, **extra: Any) -> str | None:
        """Emit a catalogue event of this round, from any thread."""
        return self._pane._emit(event, self._here().place, agent, extra)

    def _here(self) -> Scope:
        """Return the innermost scope of this round that the calling code stands in."""
        here = current_scope(self._pane)
        if here is not None and here.place.round_id == self.place.round_id:
            return here
        return self

    def _measure(
        self, metric: str | None, direction: Direction | None
    ) -> tuple[str | None, Direction | None]:
        return metric, direction

    def _read_knobs(self) -> Knobs:
        self._knobs, self.place = read_knobs(self._pane, self._knobs_kind, self.place)
        return self._knobs

    def _quality(self) -> float | None:
        scores = [score for suite in self.suites for score in suite.scores()]
        return mean(scores or self._grades)


class JoinedRound(Working):
    """A round that another process began and will close: made by ``Pane.join()``.

    ``round_id`` is empty when there was none to join.
    """
