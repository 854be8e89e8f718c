"""Evaluations of a candidate: a suite of cases, and which of them got worse.

A suite finds regressions by itself, against the best scores before, which it asks the history for
while the cases are judged. Without an answer it goes on without: it never raises, and waits at its
end for two seconds at most.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nightpane.catalog import EvalCase, EvalRegression, EvalRun
from nightpane.client.history import Asked, Best
from nightpane.client.scopes import Scope, describe, number, shown
from nightpane.client.steps import quietly
from nightpane.ids import new_ulid

if TYPE_CHECKING:
    from nightpane.client.pane import Pane

__all__ = ["Case", "Suite", "mean"]

_UNSAFE = re.compile(r"[^A-Za-z0-9_~.@()!'|-]")
_MAX_ID_CHARS = 120
DEFAULT_THRESHOLD = 0.05
# Scores such as 0.9 and 0.85 differ by a little more than 0.05 in binary.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class _Judged:
    case: Case
    score: float | None
    dim: str | None
    passed: bool | None


class Suite(Scope):
    """One evaluation: made by ``round.suite()``; its cases may be judged in several threads."""

    def __init__(
        self,
        pane: Pane,
        outer: Scope,
        name: str,
        *,
        scorer_version: str | None,
        n_cases: int | None,
        direction: Literal["max", "min"] | None,
        regression_threshold: float,
        agent: str | None,
        extra: Mapping[str, Any],
    ) -> None:
        self.suite_id = new_ulid()
        self.name = name
        self.direction = direction
        self.regressions: list[EvalRegression] = []
        self._within = outer.place
        threshold = number(regression_threshold)
        self._threshold = DEFAULT_THRESHOLD if threshold is None else threshold
        self._scorer_version = scorer_version
        self._n_cases = n_cases
        self._extra = extra
        self._judged: dict[str, _Judged] = {}
        self._uncompared: list[_Judged] = []
        self._asked: Asked | None = None
        self._lock = threading.RLock()
        super().__init__(pane, outer.place.inside(self.suite_id, agent))

    def case(
        self,
        case_id: str,
        *,
        score: float | None = None,
        dim: str | None = None,
        rationale: str | None = None,
        passed: bool | None = None,
        agent: str | None = None,
        **extra: Any,
    ) -> Case:
        """Emit ``eval.case``; or judge it in ``with suite.case(…) as case:`` by ``case.judged()``.

        Calls of models inside the ``with`` block hang under the case.
        """
        case = Case(self, case_id if isinstance(case_id, str) else shown(case_id), dim, agent)
        if any(given is not None for given in (score, rationale, passed)):
            case.judged(score, rationale=rationale, passed=passed, **extra)
        else:
            case._extra = extra
        return case

    @property
    def mean(self) -> float | None:
        """The mean of the cases' scores, None while there is none."""
        return mean(self.scores())

    def scores(self) -> list[float]:
        """Return the scores so far, one for each case that has one."""
        with self._lock:
            return [one.score for one in self._judged.values() if one.score is not None]

    def dims(self) -> dict[str, float]:
        """Return the mean score of each dimension that cases were said to belong to."""
        by_dim: dict[str, list[float]] = {}
        with self._lock:
            for one in self._judged.values():
                if isinstance(one.dim, str) and one.score is not None:
                    by_dim.setdefault(one.dim, []).append(one.score)
        return {dim: sum(scores) / len(scores) for dim, scores in by_dim.items()}

    def _begin(self) -> None:
        place = self._within
        self._asked = self._pane._history.ask(
            project=place.properties.get("project", self._pane.project),
            client=place.properties.get("client", self._pane.client),
            suite=self.name,
            suite_id=self.suite_id,
            direction="min" if self.direction == "min" else "max",
        )
        event = EvalRun(
            suite_id=self.suite_id,
            suite=self.name,
            direction=self.direction,
            history=self._asked.state,
            scorer_version=self._scorer_version,
            n_cases=self._n_cases,
        )
        extra = {"$ai_span_id": self.suite_id, **self._extra}
        self._pane._emit(event, place, self.place.agent, extra)

    def _end(self, error: BaseException | None) -> None:
        quietly(lambda: self._compare(wait=error is None), error)

    def _note(self, judged: _Judged) -> None:
        with self._lock:
            self._judged[judged.case.case_id] = judged
            self._uncompared.append(judged)
        self._compare(wait=False)

    def _compare(self, *, wait: bool) -> None:
        """Emit the regressions among what was judged since the last time."""
        if self._asked is None or not self._uncompared:
            return
        bests = self._asked.bests(wait=wait)
        if bests is None:
            return
        with self._lock:
            waiting, self._uncompared = self._uncompared, []
        for judged in waiting:
            best = bests.get(judged.case.case_id)
            found = None if best is None else self._regression(judged, best)
            if found is not None:
                self.regressions.append(found)
                case = judged.case
                self._pane._emit(found, case.place, None, {})

    def _regression(self, judged: _Judged, best: Best) -> EvalRegression | None:
        delta = loss = None
        if judged.score is not None and best.score is not None:
            delta = judged.score - best.score
            loss = delta if self.direction == "min" else -delta
        is_worse = loss is not None and loss > self._threshold + _ROUNDING
        if not is_worse and not (best.passed and judged.passed is False):
            return None
        return EvalRegression(
            case_id=judged.case.case_id,
            dim=judged.dim,
            prior_score=best.score,
            new_score=judged.score,
            delta=delta,
            suite_id=self.suite_id,
        )


class Case(Scope):
    """One case of a suite, emitted when it is judged; left unjudged, without a score."""

    def __init__(self, suite: Suite, case_id: str, dim: str | None, agent: str | None) -> None:
        self.suite = suite
        self.case_id = case_id
        self.span_id = _span_id(suite.suite_id, case_id)
        self.uuid: str | None = None
        self._dim = dim
        self._extra: Mapping[str, Any] = {}
        self._is_judged = False
        super().__init__(suite._pane, suite.place.inside(self.span_id, agent))

    def judged(
        self,
        score: float | None = None,
        *,
        dim: str | None = None,
        rationale: str | None = None,
        passed: bool | None = None,
        **extra: Any,
    ) -> str | None:
        """Emit ``eval.case``, and ``eval.regression`` when it got worse; return the case's uuid."""
        self._is_judged = True
        dim = dim or self._dim
        event = EvalCase(
            suite_id=self.suite.suite_id,
            case_id=self.case_id,
            dim=dim,
            score=score,
            rationale=rationale,
            passed=passed,
        )
        extra = {"$ai_span_id": self.span_id, **self._extra, **extra}
        self.uuid = self._pane._emit(event, self.suite.place, self.place.agent, extra)
        self.suite._note(_Judged(self, number(score), dim, passed))
        return self.uuid

    def _end(self, error: BaseException | None) -> None:
        if not self._is_judged:
            why = None if error is None else f"not judged: {describe(error)}"
            quietly(lambda: self.judged(rationale=why), error)


def mean(values: Iterable[float]) -> float | None:
    """Return the arithmetic mean, None of nothing."""
    values = list(values)
    return sum(values) / len(values) if values else None


def _span_id(suite_id: str, case_id: str) -> str:
    """Return a case's id in the tree, of characters that PostHog takes in ids."""
    safe = _UNSAFE.sub("-", case_id)[:_MAX_ID_CHARS]
    if safe != case_id:
        safe = f"{safe}~{zlib.crc32(case_id.encode('utf-8', 'replace')):08x}"
    return f"{suite_id}:{safe}"
